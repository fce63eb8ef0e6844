// Drives a run: the engine says which bytes it needs, this reads them.

import { asDaysumError, DaysumError, isTrap, unreadable } from "./errors.js";
import { lookupsJson, MEMORY_LIMIT, optionsOf, runOptionsJson } from "./lookups.js";
import { inputsOf, openSource } from "./source.js";

/** Others must get a turn, in a page above all. */
const BREATH_MS = 16;
/** Reads on their way at the same time. */
const READS = 4;

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
  signal?.throwIfAborted();
  const config = [lookupsJson(options), runOptionsJson(options, purpose)];
  /** Files that ended an instance or whose bytes cannot be had, by index: no later attempt reads them again. */
  const refused = new Map();
  const sources = await open(inputs, options, refused);
  /** Days that `onDay` has heard of: a later attempt comes to them again. */
  const told = new Set();
  for (;;) {
    let file;
    try {
      const core = await engine.fresh();
      return await attempt(core, config, sources, { refused, told, at: (now) => (file = now) }, options, purpose);
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

async function open(inputs, { signal, badFiles }, refused) {
  const sources = [];
  for (const [index, input] of inputs.entries()) {
    const { name } = input;
    try {
      sources.push(await openSource(input, signal));
    } catch (thrown) {
      if (signal?.aborted) throw signal.reason;
      const error = unreadable(thrown, name);
      if (error.code !== "source" || badFiles !== "hold") throw error;
      refused.set(index, error);
      sources.push({ name, size: 0 });
    }
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
      signal?.throwIfAborted();
      await call(onProgress, { rows: run.rows, totalRows: run.totalRows, bytesRead, file: sources[file]?.name });
    }
  }
  signal?.throwIfAborted();
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

/** The bytes of each range in order, a few reads ahead. */
async function* reads(source, flat, signal) {
  const pending = [];
  for (let next = 0; next < flat.length || pending.length > 0; ) {
    while (next < flat.length && pending.length < READS) {
      const reading = readRange(source, flat[next], flat[next + 1], signal);
      reading.catch(() => {}); // told when it is its turn
      pending.push(reading);
      next += 2;
    }
    yield await pending.shift();
  }
}

async function readRange(source, start, end, signal) {
  signal?.throwIfAborted();
  let bytes;
  try {
    bytes = await source.read(start, end, signal);
  } catch (thrown) {
    throw unreadable(thrown, source.name);
  }
  if (bytes.length === end - start) return bytes;
  const message = `${source.name}: ${bytes.length} bytes came for the range ${start} to ${end}: the file has changed`;
  throw new DaysumError({ code: "source", message, file: source.name });
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
