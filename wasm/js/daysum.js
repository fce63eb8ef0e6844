// The interface, over whichever way the module is loaded.

import { Engine } from "./engine.js";
import { asDaysumError, DaysumError } from "./errors.js";
import { run } from "./run.js";

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

  function encode(days, format) {
    return guarded((core) => {
      const encoder = new core.Encoder(format);
      for (const day of list(days)) encoder.add(day.arrow ?? day);
      const file = encoder.finish();
      encoder.free();
      return file;
    });
  }

  async function rows(days) {
    const lines = new TextDecoder().decode(await encode(days, "jsonl"));
    return lines === "" ? [] : lines.trimEnd().split("\n").map((line) => JSON.parse(line));
  }

  const overview = (day) => guarded((core) => JSON.parse(core.overview(day.arrow ?? day)));

  return { summarize, fold, encode, rows, overview };
}

function list(days) {
  return Array.isArray(days) ? days : [days];
}
