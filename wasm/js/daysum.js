// The interface, over whichever way the module is loaded.

import { Engine } from "./engine.js";
import { asDaysumError, DaysumError, misuse } from "./errors.js";
import { run } from "./run.js";
import { bytesOf, joined } from "./source.js";

export { DaysumError };

/**
 * @param {() => Promise<WebAssembly.Module>} load
 * @param {string} [advice] what to do where that fails
 */
export function daysum(load, advice) {
  const engine = new Engine(load, advice);

  const guarded = async (work) => {
    try {
      return await engine.with(work);
    } catch (thrown) {
      throw asDaysumError(thrown);
    }
  };

  async function summarize(files, options = {}) {
    const { days, report } = await run(engine, files, options, "summarize");
    return { days, report };
  }

  async function fold(files, options = {}) {
    const { state, report } = await run(engine, files, options, "fold");
    return { state, report };
  }

  async function encode(days, format) {
    const files = arrowFiles(days);
    if (typeof format !== "string") throw misuse("format: name parquet, csv, arrow or jsonl");
    return guarded((core) => joined([...parts(core, files, format)]));
  }

  async function rows(days) {
    const files = arrowFiles(days);
    return guarded((core) => [...parsed(parts(core, files, "jsonl"))]);
  }

  async function overview(day) {
    const file = arrowFile(day);
    return guarded((core) => JSON.parse(core.overview(file)));
  }

  return { summarize, fold, encode, rows, overview };
}

function arrowFiles(days) {
  return Array.isArray(days) ? days.map(arrowFile) : [arrowFile(days)];
}

function arrowFile(day) {
  const bytes = bytesOf(day?.arrow ?? day);
  if (!bytes) throw misuse("days: give days as summarize gives them, or their Arrow files as bytes");
  return bytes;
}

/** A file as it comes, day by day: a month of lines is too much for the engine's memory. */
function* parts(core, files, format) {
  const encoder = new core.Encoder(format);
  for (const file of files) yield encoder.add(file);
  yield encoder.finish();
  encoder.free();
}

/** The values of whole lines, one by one: a string of them all may be longer than strings can be. */
function* parsed(parts) {
  const decoder = new TextDecoder();
  for (const lines of parts) {
    for (let at = 0, end; at < lines.length; at = end + 1) {
      end = lines.indexOf(10, at); // every line ends with it
      yield JSON.parse(decoder.decode(lines.subarray(at, end)));
    }
  }
}
