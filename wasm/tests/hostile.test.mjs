// Files that are damaged, or made to do damage: a typed error that names them, no hang, and the next file works.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { DaysumError, summarize } from "daysum";
import { parquetMetadata } from "hyparquet";

import { assertSameBytes } from "./lib/compare.mjs";
import { golden, nativeDays } from "./lib/goldens.mjs";
import { repeated, zeros } from "./lib/parquet.mjs";

const month = golden("gen-small");
const { lookups } = month;
const pods = month.files.find(({ name }) => name.includes("openshift_pod_usage_line_items/"));
const expected = nativeDays(join(month.directory, "input"), join(month.directory, "params.json"));
const codes = ["format", "schema", "value", "memory", "trap", "overflow", "config"];

/** What becomes of a file: nothing but days, or an error that knows the file. */
async function outcome(data, options = {}) {
  const signal = AbortSignal.timeout(30_000); // a hang ends as a TimeoutError, which is no DaysumError
  try {
    return (await summarize({ name: "bad.parquet", data }, { lookups, signal, ...options })).report;
  } catch (error) {
    assert.ok(error instanceof DaysumError, String(error.stack));
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    return error;
  }
}

/** The same interface, right after. */
async function stillWorks() {
  const { days } = await summarize(month.files, { lookups });
  assertSameBytes("afterwards", expected, new Map(days.map(({ day, arrow }) => [day, Buffer.from(arrow)])));
}

/** Where column chunks and their pages begin. */
function boundaries(bytes) {
  const { row_groups: groups } = parquetMetadata(bytes.slice().buffer);
  const offsets = groups.flatMap(({ columns }) =>
    columns.flatMap(({ meta_data: facts }) => [
      facts.dictionary_page_offset,
      facts.data_page_offset,
      (facts.dictionary_page_offset ?? facts.data_page_offset) + facts.total_compressed_size,
    ]),
  );
  return [...new Set(offsets.filter((offset) => offset !== undefined).map(Number))].sort((a, b) => a - b);
}

/** Numbers that are the same in every run. */
function dice(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test("cut off at every page boundary, and beside it", async () => {
  const all = boundaries(pods.data);
  assert.ok(all.length > 30, `${all.length} boundaries`);
  for (const at of all.flatMap((offset) => [offset - 1, offset, offset + 1])) {
    const error = await outcome(pods.data.subarray(0, at));
    assert.deepEqual([error.code, error.file], ["format", "bad.parquet"], `cut at ${at}`);
  }
  await stillWorks();
});

test("a footer whose pages are gone: zeros from every page boundary on", async () => {
  const all = boundaries(pods.data);
  const end = all.at(-1);
  for (const at of all.slice(0, -1)) {
    const data = pods.data.slice();
    data.fill(0, at, end);
    const error = await outcome(data);
    assert.ok(error instanceof DaysumError, `zeros from ${at} are no rows`);
    assert.equal(error.file, "bad.parquet");
    if (error.code === "format") assert.equal(error.rowGroup, 0);
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

test("pages that lie about their size", async () => {
  for (const told of [0, 1, 79, 81, 2 ** 20, 2 ** 30, 2 ** 31 - 1]) {
    const error = await outcome(zeros({ rows: 10, held: 80, told, footer: 80 }));
    assert.ok(error instanceof DaysumError, `${told} bytes were told, 80 are there`);
    assert.equal(error.file, "bad.parquet");
  }
  await stillWorks();
});

test("a page of 1.9 GB in 60 KB is refused by the memory limit before it is read", async () => {
  const size = 1_900_000_000;
  const data = zeros({ rows: size / 8, held: size, told: size });
  assert.ok(data.length < 200_000, `${data.length} bytes`);
  const error = await outcome(data, { memoryLimit: 256 * 2 ** 20 });
  assert.deepEqual([error.code, error.file, error.rowGroup], ["memory", "bad.parquet", 0]);
  await stillWorks();
});

test("rows packed 1 to 100,000 are read in bounded memory", async () => {
  const rows = 5_000_000;
  const data = repeated(rows);
  assert.ok((rows * 12) / data.length > 100_000, `${data.length} bytes`);
  const report = await outcome(data);
  assert.equal(report.rowsIn, rows);
  assert.ok(report.peakMemory < 64 * 2 ** 20, `${report.peakMemory} bytes`);
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
  const bad = { name, data: zeros({ rows: 10, held: 80, told: 2 ** 31 - 1, footer: 80 }) };
  const alone = await summarize(bad, { lookups, start: "2025-10-31" }).catch((error) => error);
  assert.deepEqual([alone.code, alone.file], ["trap", name]);
  const { days, report } = await summarize([bad, ...month.files], { lookups, badFiles: "hold", start: "2025-10-31" });
  assert.deepEqual(report.quarantined.map(({ code, file }) => [code, file]), [["trap", name]]);
  assert.deepEqual(report.daysHeld, ["2025-10-31"]);
  assertSameBytes("the others", expected, new Map(days.map(({ day, arrow }) => [day, Buffer.from(arrow)])));
});
