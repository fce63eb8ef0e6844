// The interface, over whichever way the module is loaded.

import { Engine } from "./engine.js";
import { asDaysumError, DaysumError } from "./errors.js";
import { run } from "./run.js";
import { joined } from "./source.js";

export { DaysumError };

/** @param {() => Promise<WebAssembly.Module>} load */
export function daysum(load) {
  const engine = new Engine(load);

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

  const encode = (days, format) => guarded((core) => joined([...parts(core, days, format)]));

  const rows = (days) => guarded((core) => [...parsed(parts(core, days, "jsonl"))]);

  const overview = (day) => guarded((core) => JSON.parse(core.overview(day.arrow ?? day)));

  return { summarize, fold, encode, rows, overview };
}

/** A file as it comes, day by day: a month of lines is too much for the engine's memory. */
function* parts(core, days, format) {
  const encoder = new core.Encoder(format);
  for (const day of Array.isArray(days) ? days : [days]) yield encoder.add(day.arrow ?? day);
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
