// Drives a run: the engine says which bytes it needs, this reads them.

import { asDaysumError, DaysumError, isTrap, unreadable } from "./errors.js";
import { lookupsJson, MEMORY_LIMIT, optionsOf, runOptionsJson } from "./lookups.js";
import { inputsOf, openSource } from "./source.js";

/** Others must get a turn, in a page above all. */
const BREATH_MS = 16;
/** Files that are opened, and ranges that are read, at the same time. */
const AHEAD = 4;

/**
 * @param {import("./engine.js").Engine} engine
 * @param {import("./daysum.js").Input | Iterable<import("./daysum.js").Input>} files
 * @param {import("./daysum.js").Options} given
 * @param {"summarize" | "fold"} purpose
 */
export async function run(engine, files, given, purpose) {
  const options = optionsOf(given);
  const inputs = inputsOf(files);
  const { signal } = options;
  const config = [lookupsJson(options), runOptionsJson(options, purpose)];
  /** Files that ended an instance or whose bytes cannot be had, by index: no later attempt reads them again. */
  const refused = new Map();
  const sources = await ending(signal, (signal) => open(inputs, { ...options, signal }, refused));
  /** Days that `onDay` has heard of: a later attempt comes to them again. */
  const told = new Set();
  for (;;) {
    let file;
    try {
      const core = await engine.fresh();
      const known = { refused, told, at: (now) => (file = now) };
      return await ending(signal, (signal) => attempt(core, config, sources, known, { ...options, signal }, purpose));
    } catch (thrown) {
      if (signal?.aborted) throw signal.reason;
      if (thrown instanceof CallerError) throw thrown.thrown;
      const error = asDaysumError(thrown, sources[file]?.name);
      const isOfFile = file !== undefined && (isTrap(thrown) || thrown?.code === "source");
      if (!isOfFile || options.badFiles !== "hold" || refused.has(file)) throw error;
      refused.set(file, error);
    }
  }
}

/** Runs `work` with a signal that aborts when the caller's does, and when the work has ended: nothing goes on behind it. */
async function ending(signal, work) {
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  signal?.addEventListener("abort", abort);
  try {
    signal?.throwIfAborted();
    return await work(controller.signal);
  } finally {
    signal?.removeEventListener("abort", abort);
    controller.abort();
  }
}

async function open(inputs, { signal, badFiles }, refused) {
  const sources = [];
  const held = async (input) => {
    try {
      return await openSource(input, signal);
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      const error = unreadable(thrown, input.name);
      if (error.code !== "source" || badFiles !== "hold") throw error;
      return { name: input.name, size: 0, error };
    }
  };
  for await (const source of ahead(inputs, held)) {
    if (source.error) refused.set(sources.length, source.error);
    sources.push(source);
  }
  return sources;
}

/** One attempt with one instance. `at` hears which file is being read, for the case that it ends the instance. */
async function attempt(core, config, sources, { refused, told, at }, options, purpose) {
  const { signal, onProgress, onDay } = options;
  const run = new core.Run(...config);
  for (const { name, size, version } of sources) run.add(name, size, version);
  for (const [file, error] of refused) run.refuse(file, JSON.stringify(error));
  const breath = new Breath();
  const days = [];
  let bytesRead = 0;
  while (!run.done) {
    const { file } = run;
    at(Math.min(file, sources.length - 1));
    const ranges = run.step();
    checkMemory(core, options.memoryLimit, sources[file]?.name);
    if (ranges.length > 0) {
      for await (const bytes of reads(sources[run.file], ranges, signal)) {
        bytesRead += bytes.length;
        run.supply(bytes);
      }
    }
    while (run.nextDay()) {
      const day = { ...JSON.parse(run.dayFacts()), arrow: run.dayRows() };
      days.push(day);
      if (!told.has(day.day)) await call(onDay, day);
      told.add(day.day);
    }
    if (await breath.taken()) {
      signal.throwIfAborted();
      await call(onProgress, { rows: run.rows, totalRows: run.totalRows, bytesRead, file: sources[file]?.name });
    }
  }
  signal.throwIfAborted();
  await call(onProgress, { rows: run.rows, totalRows: run.totalRows, bytesRead, file: undefined });
  const report = { ...JSON.parse(run.report()), bytesRead, peakMemory: core.memory.buffer.byteLength };
  const state = purpose === "fold" ? run.state() : undefined;
  run.free();
  days.sort((a, b) => (a.day < b.day ? -1 : 1));
  return { days, report, state };
}

/** What a callback threw: the caller's own, and no fault of the file that is being read. */
class CallerError {
  constructor(thrown) {
    this.thrown = thrown;
  }
}

async function call(callback, value) {
  try {
    await callback?.(value);
  } catch (thrown) {
    throw new CallerError(thrown);
  }
}

/** The bytes of each range. */
function reads(source, flat, signal) {
  const ranges = Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index], flat[2 * index + 1]]);
  return ahead(ranges, ([start, end]) => readRange(source, start, end, signal));
}

/** What `work` makes of each, in order, a few ahead of it. */
async function* ahead(list, work) {
  const pending = [];
  for (let next = 0; next < list.length || pending.length > 0; ) {
    while (next < list.length && pending.length < AHEAD) {
      const working = work(list[next++]);
      working.catch(() => {}); // told when it is its turn
      pending.push(working);
    }
    yield await pending.shift();
  }
}

async function readRange(source, start, end, signal) {
  let bytes;
  try {
    signal.throwIfAborted();
    bytes = await unlessAborted(signal, source.read(start, end, signal));
  } catch (thrown) {
    throw unreadable(thrown, source.name);
  }
  if (bytes.length === end - start) return bytes;
  const message = `${source.name}: ${bytes.length} bytes came for the range ${start} to ${end}: the file has changed`;
  throw new DaysumError({ code: "source", message, file: source.name });
}

/** What a promise comes to, unless the signal aborts before: a caller's `slice` may know nothing of it. */
function unlessAborted(signal, promise) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

function checkMemory(core, limit = MEMORY_LIMIT, file = undefined) {
  const taken = core.memory.buffer.byteLength;
  if (taken <= limit) return;
  const message = `${taken} bytes of memory are in use, the limit is ${limit}: give fewer files, days or label keys`;
  throw new DaysumError({ code: "memory", message, file });
}

/** Gives others a turn every few milliseconds. */
class Breath {
  #last = Date.now();

  async taken() {
    if (Date.now() - this.#last < BREATH_MS) return false;
    await new Promise((resolve) => setTimeout(resolve));
    this.#last = Date.now();
    return true;
  }
}
