// Files that are damaged, or made to do damage: a typed error that names them, no hang, and the next file works.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { DaysumError, summarize } from "daysum";

import { assertSameBytes } from "./lib/compare.mjs";
import { golden, nativeDays } from "./lib/goldens.mjs";
import { assemble, GZIP, LZ4, repeated, SNAPPY, tail, take, ZSTD, zeros } from "./lib/parquet.mjs";
import { get, set, struct } from "./lib/thrift.mjs";

const month = golden("gen-small");
const { lookups } = month;
const pods = month.files.find(({ name }) => name.includes("openshift_pod_usage_line_items/"));
const expected = nativeDays(join(month.directory, "input"), join(month.directory, "params.json"));
const codes = ["format", "schema", "value", "memory", "trap", "overflow", "config"];
const MIB = 2 ** 20;

const CODECS = { snappy: SNAPPY, gzip: GZIP, lz4: LZ4, zstd: ZSTD };
/** 300 rows in two row groups, with pages of both versions; data/codecs.py has written them. */
const fixture = (codec) => new Uint8Array(readFileSync(new URL(`data/${codec}.parquet`, import.meta.url)));

const bytesOf = (days) => new Map(days.map(({ day, arrow }) => [day, Buffer.from(arrow)]));

/** What becomes of a file: its report and days, or an error that knows the file. */
async function outcome(data, options = {}) {
  const signal = AbortSignal.timeout(30_000); // a hang ends as a TimeoutError, which is no DaysumError
  try {
    const { days, report } = await summarize({ name: "bad.parquet", data }, { lookups, signal, ...options });
    return { ...report, days };
  } catch (error) {
    assert.ok(error instanceof DaysumError, String(error.stack));
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    return error;
  }
}

/** The same interface, right after. */
async function stillWorks() {
  const { days } = await summarize(month.files, { lookups });
  assertSameBytes("afterwards", expected, bytesOf(days));
}

/** An error of the file, or an account of every row. */
function assertSound(told, what) {
  if (told instanceof DaysumError) return assert.equal(told.file, "bad.parquet", `${what}: ${told.message}`);
  const filtered = Object.values(told.rowsFiltered).reduce((sum, rows) => sum + rows, 0);
  assert.equal(told.rowsIn, told.rowsAggregated + filtered + told.rowsQuarantined, what);
}

/** An error of the file, or the days as they are without the lie. */
function assertHarmless(told, what, truth) {
  assertSound(told, what);
  if (!(told instanceof DaysumError)) assertSameBytes(what, bytesOf(truth.days), bytesOf(told.days));
}

function assertRefused(told, what, rowGroup, column) {
  assert.ok(told instanceof DaysumError, `${what}: was believed`);
  const where = [told.code, told.file, told.rowGroup, column && told.column];
  assert.deepEqual(where, ["format", "bad.parquet", rowGroup, column], `${what}: ${told.message}`);
}

/** A time, texts with a dictionary and without, numbers. */
const LIARS = ["interval_start", "pod", "namespace", "pod_labels", "pod_usage_cpu_core_seconds"];
/** Columns of pod usage that nothing is made of. */
const UNREAD = ["report_period_start", "report_period_end", "interval_end"];

/** Numbers that are the same in every run. */
function dice(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test("the same rows in every codec are the same days", async () => {
  const read = async (codec) => (await summarize({ name: "a", data: fixture(codec) }, { lookups })).days;
  const [first, ...others] = await Promise.all(Object.keys(CODECS).map(read));
  assert.ok(first.length > 0 && first[0].rows > 10);
  for (const days of others) assert.deepEqual(days, first);
});

for (const codec of Object.keys(CODECS)) {
  test(`${codec}: cut off at every page boundary, and beside it`, async () => {
    const data = fixture(codec);
    const all = take(data).chunks.flatMap(({ pages }) => pages.flatMap(({ at, bodyAt, end }) => [at, bodyAt, end]));
    assert.ok(all.length > 200, `${all.length} boundaries`);
    for (const at of new Set(all.flatMap((offset) => [offset - 1, offset, offset + 1]))) {
      const error = await outcome(data.subarray(0, at));
      assert.deepEqual([error.code, error.file], ["format", "bad.parquet"], `cut at ${at}`);
    }
    await stillWorks();
  });

  test(`${codec}: a footer whose pages are gone: zeros from every page boundary on`, async () => {
    const { chunks } = take(fixture(codec));
    const { end } = chunks.at(-1).pages.at(-1);
    for (const { rowGroup, pages } of chunks) {
      for (const { at, bodyAt } of pages) {
        for (const from of [at, bodyAt]) {
          const data = fixture(codec);
          data.fill(0, from, end);
          const error = await outcome(data);
          assert.deepEqual([error.code, error.file, error.rowGroup], ["format", "bad.parquet", rowGroup], `zeros from ${from}`);
        }
      }
    }
    await stillWorks();
  });

  test(`${codec}: a bomb is refused by what its page says, or by what its footer does`, async () => {
    const size = 128 * MIB;
    const bomb = (facts) => zeros({ rows: size / 8, held: size, told: size, codec: CODECS[codec], ...facts });
    const honest = await outcome(bomb({}), { memoryLimit: 64 * MIB });
    const where = [honest.code, honest.file, honest.rowGroup, honest.column];
    assert.deepEqual(where, ["memory", "bad.parquet", 0, "interval_start"], honest.message);
    assertRefused(await outcome(bomb({ footer: 1000 })), "the footer lies", 0, "interval_start");
    const denied = await outcome(bomb({ told: 1000, footer: 1000, rows: 125 }), { memoryLimit: 64 * MIB });
    assert.ok(denied instanceof DaysumError && denied.file === "bad.parquet", String(denied));
    await stillWorks();
  });
}

for (const [version, codec] of ["gzip", "zstd"].entries()) {
  test(`${codec}: pages of version ${version + 1} that lie in their headers`, async () => {
    const whole = take(fixture(codec));
    const truth = await outcome(fixture(codec));
    for (const [index, chunk] of whole.chunks.entries()) {
      if (chunk.rowGroup !== 1 || !LIARS.includes(chunk.column)) continue;
      for (const [place, { header }] of chunk.pages.entries()) {
        const facts = [5, 7, 8].find((field) => get(header, field)); // of a page of either version, or of a dictionary
        const lie = async (path, value, check) => {
          const pages = chunk.pages.with(place, { ...chunk.pages[place], header: set(header, path, value) });
          const told = await outcome(assemble({ ...whole, chunks: whole.chunks.with(index, { ...chunk, pages }) }));
          check(told, `${chunk.column}, page ${place}: field ${path.join(".")} is ${value}`);
        };
        const refused = (told, what) => assertRefused(told, what, chunk.rowGroup);
        const harmless = (told, what) => assertHarmless(told, what, truth);
        const [uncompressed, compressed, values] = [[2], [3], [facts, 1]];
        for (const path of [uncompressed, compressed, values]) {
          const now = get(header, ...path);
          for (const value of [-(2 ** 31), -1, 2 ** 30, 2 ** 31 - 1]) await lie(path, value, refused);
          // Nobody looks at the size of a page that is not compressed, or at words that are not used.
          for (const value of [0, now - 1, now + 1]) await lie(path, value, path === compressed ? refused : harmless);
        }
        for (const path of [[1], ...[2, 3, 4, 5, 6].map((field) => [facts, field])]) {
          if (!Number.isInteger(get(header, ...path))) continue;
          for (const value of [-1, 1, 2, 3, 99]) await lie(path, value, assertSound);
        }
      }
    }
    await stillWorks();
  });
}

test("a footer that lies about rows, sizes and places", async () => {
  const whole = take(fixture("zstd"));
  const data = fixture("zstd");
  const pages = data.subarray(0, whole.footerAt);
  const lie = (changes) => {
    const footer = changes.reduce((footer, [path, value]) => set(footer, path, value), whole.footer);
    return outcome(new Uint8Array(Buffer.concat([pages, tail(struct(footer))])));
  };
  assert.equal((await lie([])).rowsIn, 300);
  const columns = get(whole.footer, 4, 0, 1)[1].map((_, column) => column);
  const read = columns.filter((column) => !UNREAD.includes(whole.chunks[column].column));
  for (const by of [-1, 1, 1000, 2 ** 40]) {
    const rows = [[4, 0, 3], get(whole.footer, 4, 0, 3) + by];
    const values = columns.map((column) => [[4, 0, 1, column, 3, 5], rows[1]]);
    assertRefused(await lie([rows]), `the row group's rows and ${by}`, 0);
    assertRefused(await lie([rows, ...values]), `rows and values and ${by}`, 0);
  }
  for (const column of read) {
    const facts = [4, 0, 1, column, 3];
    for (const [field, name] of [[5, "values"], [6, "bytes"], [7, "stored bytes"], [9, "place"], [11, "dictionary's place"]]) {
      const path = [...facts, field];
      const now = get(whole.footer, ...path);
      if (now === undefined) continue;
      for (const value of [-(2 ** 53), -1, 0, now - 1, now + 1, now * 2, data.length, 2 ** 31, 2 ** 53 - 1]) {
        assertSound(await lie([[path, value]]), `column ${column}: ${name} ${value}`);
      }
    }
    for (const value of [0, 1, 3, 5, 99]) assertSound(await lie([[[...facts, 4], value]]), `column ${column}: codec ${value}`);
    // The bytes of another column, as many as that has, or some more.
    const places = [7, 9, 11].map((field) => [field, get(whole.footer, 4, 0, 1, column ? 0 : 18, 3, field)]);
    for (const by of [0, 100]) {
      const over = places.filter(([, now]) => now !== undefined).map(([field, now]) => [[...facts, field], field === 7 ? now + by : now]);
      assertSound(await lie(over), `column ${column}: over another one`);
    }
  }
  await stillWorks();
});

test("two gigabytes claimed by the footer and by a page of fifty bytes", async () => {
  const told = await outcome(zeros({ rows: 10, held: 80, told: 2 ** 31 - 1 }));
  assert.deepEqual([told.code, told.file, told.rowGroup, told.column], ["memory", "bad.parquet", 0, "interval_start"]);
  await stillWorks();
});

test("single bits that flipped in the footer and in page headers", async () => {
  const next = dice(2);
  for (const codec of Object.keys(CODECS)) {
    const data = fixture(codec);
    const { footerAt, chunks } = take(data);
    const headers = chunks.flatMap(({ pages }) => pages.map(({ at, bodyAt }) => [at, bodyAt]));
    for (const spans of [headers, [[footerAt, data.length]]]) {
      for (let round = 0; round < 300; round += 1) {
        const [from, to] = spans[next(spans.length)];
        const flipped = data.slice();
        const at = from + next(to - from);
        flipped[at] ^= 1 << next(8);
        const told = await outcome(flipped);
        // What the footer says of columns and rows may change the meaning of all; then the error is of the input.
        if (told instanceof DaysumError && told.code === "config") continue;
        assertSound(told, `${codec}: byte ${at}`);
      }
    }
  }
  await stillWorks();
});

test("random bytes, alone and within a good file", async () => {
  const next = dice(1);
  for (let round = 0; round < 100; round += 1) {
    const noise = Uint8Array.from({ length: 1 + next(5000) }, () => next(256));
    if (round % 2) noise.set([80, 65, 82, 49], noise.length - 4 > 0 ? noise.length - 4 : 0);
    assert.ok((await outcome(noise)) instanceof DaysumError);
    const data = pods.data.slice();
    for (let change = 0; change <= round % 10; change += 1) data[next(data.length)] = next(256);
    await outcome(data); // some bytes are values, so this may as well succeed
  }
  await stillWorks();
});

test("a value without a meaning is named by file, row group, row and column", async () => {
  const error = await outcome(repeated(3, '{"app": '));
  const { code, file, rowGroup, row, column } = error;
  assert.deepEqual({ code, file, rowGroup, row, column }, { code: "value", file: "bad.parquet", rowGroup: 0, row: 0, column: "node_labels" });
  assert.equal((await outcome(repeated(3, '{"app": '), { malformedLabels: "empty" })).rowsAggregated, 3);
});

test("rows packed 1 to 100,000 are read in bounded memory", async () => {
  const rows = 5_000_000;
  const data = repeated(rows);
  assert.ok((rows * 12) / data.length > 100_000, `${data.length} bytes`);
  const report = await outcome(data);
  assert.equal(report.rowsIn, rows);
  assert.ok(report.peakMemory < 64 * MIB, `${report.peakMemory} bytes`);
});

test("two billion rows in half a kilobyte end when they are told to", async () => {
  const data = repeated(2 ** 31 - 1);
  const started = Date.now();
  await assert.rejects(summarize(data, { lookups, signal: AbortSignal.timeout(100) }), { name: "TimeoutError" });
  assert.ok(Date.now() - started < 5_000);
  const { report } = await summarize({ name: "rows", data }, { lookups, rowLimit: 100_000 });
  assert.equal(report.firstLook, true);
  await stillWorks();
});

test("a trap ends one file, not its neighbours: their days are finished without it", async () => {
  const name = `openshift_node_labels_line_items/source=${lookups.source_uuid}/year=2025/month=10/bad.parquet`;
  const bad = { name, data: zeros({ rows: 10, held: 80, told: 2 ** 31 - 1 }) };
  const memoryLimit = 2 ** 33; // above what the engine can have, for three pages
  const alone = await summarize(bad, { lookups, memoryLimit, start: "2025-10-31" }).catch((error) => error);
  assert.deepEqual([alone.code, alone.file], ["trap", name]);
  const { days, report } = await summarize([bad, ...month.files], { lookups, memoryLimit, badFiles: "hold", start: "2025-10-31" });
  assert.deepEqual(report.quarantined.map(({ code, file }) => [code, file]), [["trap", name]]);
  assert.deepEqual(report.daysHeld, ["2025-10-31"]);
  assertSameBytes("the others", expected, bytesOf(days));
});

test("a day that was told before a trap is not told again", async () => {
  const name = `openshift_node_labels_line_items/source=${lookups.source_uuid}/year=2025/month=12/bad.parquet`;
  const bad = { name, data: zeros({ rows: 10, held: 80, told: 2 ** 31 - 1 }) };
  const told = [];
  const options = { lookups, memoryLimit: 2 ** 33, badFiles: "hold", end: "2025-12-01", onDay: ({ day }) => told.push(day) };
  const { days, report } = await summarize([bad, ...month.files], options);
  assert.deepEqual(report.quarantined.map(({ code, file }) => [code, file]), [["trap", name]]);
  assert.deepEqual(told, days.map(({ day }) => day));
});
