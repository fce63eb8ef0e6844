// The interface, over whichever way the module is loaded.

import { Engine } from "./engine.js";
import { asDaysumError, DaysumError } from "./errors.js";
import { lookupsJson, runOptionsJson } from "./lookups.js";
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

  function merge(states) {
    return guarded((core) => {
      const state = mergedState(core, states);
      const bytes = state.encode();
      state.free();
      return bytes;
    });
  }

  function finalise(state, options = {}) {
    return guarded((core) => {
      const merged = mergedState(core, [state]);
      merged.finalise(lookupsJson(options), runOptionsJson(options));
      const days = [];
      while (merged.nextDay()) days.push({ ...JSON.parse(merged.dayFacts()), arrow: merged.dayRows() });
      merged.free();
      return days;
    });
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

  return { summarize, fold, merge, finalise, encode, rows, overview };
}

function mergedState(core, states) {
  const [first, ...others] = states;
  if (first === undefined) throw new DaysumError({ code: "config", message: "no state to merge" });
  const state = new core.State(first);
  for (const other of others) state.merge(other);
  return state;
}

function list(days) {
  return Array.isArray(days) ? days : [days];
}
