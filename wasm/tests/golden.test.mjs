// Every golden data set through the JavaScript interface: the rows are koku's, the bytes are the native command's.
import assert from "node:assert/strict";
import { test } from "node:test";
import { join } from "node:path";

import { encode, rows, summarize } from "daysum";
import { parquetReadObjects } from "hyparquet";

import { assertSameBytes, assertSameRows } from "./lib/compare.mjs";
import { goldens, nativeDays } from "./lib/goldens.mjs";

const parquet = (bytes) => parquetReadObjects({ file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) });

for (const golden of goldens()) {
  test(golden.name, async () => {
    const { days, report } = await summarize(golden.files, { lookups: golden.lookups });
    const expected = await parquet(golden.expected);
    assertSameRows(golden.name, expected, await rows(days));

    const bytes = new Map(days.map(({ day, arrow }) => [day, Buffer.from(arrow)]));
    const native = nativeDays(join(golden.directory, "input"), join(golden.directory, "params.json"));
    assertSameBytes(golden.name, native, bytes);

    const filtered = Object.values(report.rowsFiltered).reduce((sum, rows) => sum + rows, 0);
    assert.ok(report.rowsIn > 0);
    assert.equal(report.rowsIn, report.rowsAggregated + filtered + report.rowsQuarantined);
    assert.equal(report.rowsOut, expected.length);

    // A reader that is not ours reads the Parquet file.
    if (days.length > 0) assertSameRows(golden.name, expected, await parquet(await encode(days, "parquet")));
  });
}
