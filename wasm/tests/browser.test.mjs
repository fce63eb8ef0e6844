// The page in real Chromium, with files through its real file inputs.
import assert from "node:assert/strict";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { parquetReadObjects } from "hyparquet";

import { finished, openPage } from "./lib/browser.mjs";
import { assertSameBytes, assertSameRows } from "./lib/compare.mjs";
import { golden, goldens, native, nativeDays } from "./lib/goldens.mjs";

let scratch;
before(() => (scratch = mkdtempSync(join(tmpdir(), "daysum-"))));
after(() => rmSync(scratch, { recursive: true }));

/** A directory as a person would choose it: koku's files with lookups.json beside them. */
function folder({ name, directory }) {
  const path = join(scratch, name);
  cpSync(join(directory, "input"), path, { recursive: true });
  copyFileSync(join(directory, "params.json"), join(path, "lookups.json"));
  return path;
}

async function download(page, format) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click(`[data-format=${format}]`)]);
  return readFileSync(await file.path());
}

test("every golden through the folder input: koku's rows, the native command's bytes", async (t) => {
  const { page, problems } = await openPage(t);
  for (const one of goldens()) {
    await page.setInputFiles("#folder", folder(one));
    await finished(page);
    const bytes = new Uint8Array(await download(page, "parquet"));
    const rows = await parquetReadObjects({ file: bytes.buffer });
    assertSameRows(one.name, await parquetReadObjects({ file: new Uint8Array(one.expected).buffer }), rows);
    const told = await page.locator("#equation dd").allTextContents();
    const [rowsIn, aggregated, filtered, quarantined, rowsOut] = told.map((text) => Number(text.replaceAll(",", "")));
    assert.equal(rowsIn, aggregated + filtered + quarantined, one.name);
    assert.equal(rowsOut, rows.length, one.name);
  }
  assert.deepEqual(problems, []);
});

test("the engine in Chromium gives the native command's bytes, from files in a file input", async (t) => {
  const { page } = await openPage(t);
  for (const one of goldens()) {
    const days = await summarizeInPage(page, one);
    const expected = nativeDays(join(one.directory, "input"), join(one.directory, "params.json"));
    assertSameBytes(one.name, expected, days);
  }
});

/** The package's own interface in the page, over `File` objects of an input of our own. */
async function summarizeInPage(page, { files, lookups }) {
  await page.evaluate(() => {
    document.getElementById("test-input")?.remove();
    const input = Object.assign(document.createElement("input"), { type: "file", id: "test-input", multiple: true });
    document.body.append(input);
  });
  // Names in an input have no folders, so the paths travel beside them.
  await page.setInputFiles("#test-input", files.map(({ path }) => path));
  const days = await page.evaluate(
    async ({ names, lookups }) => {
      const { summarize } = await import("./daysum/index.js");
      const { files } = document.getElementById("test-input");
      const inputs = names.map((name, index) => ({ name, data: files[index] }));
      const { days } = await summarize(inputs, { lookups });
      return days.map(({ day, arrow }) => [day, [...arrow]]);
    },
    { names: files.map(({ name }) => name), lookups },
  );
  return new Map(days.map(([day, bytes]) => [day, Buffer.from(bytes)]));
}

test("no request leaves the origin, and none is possible", async (t) => {
  const { page, origin, requests } = await openPage(t);
  await page.setInputFiles("#folder", folder(golden("gen-small")));
  await finished(page);
  for (const format of ["parquet", "csv", "arrow"]) assert.ok((await download(page, format)).length > 0, format);
  assert.ok(requests.some((url) => url.endsWith("/daysum/daysum.wasm")), "requests of the worker are seen");
  const foreign = requests.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith(`blob:${origin}/`));
  assert.deepEqual(foreign, []);
  const tried = await page.evaluate(async () => {
    const refused = (promise) => promise.then(() => "allowed", () => "refused");
    const image = new Promise((resolve, reject) => {
      const image = Object.assign(new Image(), { onload: resolve, onerror: reject });
      image.src = "https://example.com/x.png";
    });
    return Promise.all([refused(fetch("https://example.com/")), refused(image)]);
  });
  assert.deepEqual(tried, ["refused", "refused"]);
});

test("the page opens again without a network", async (t) => {
  const { page, context, server } = await openPage(t);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForFunction(() => caches.has("daysum"));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await context.setOffline(true);
  await page.reload();
  await page.setInputFiles("#folder", folder(golden("edge-15-node-roles")));
  await finished(page);
  assert.ok((await page.locator("#table tbody tr").count()) > 0);
});

test("tables sort and filter, charts change, by keyboard too", async (t) => {
  const { page } = await openPage(t);
  await page.setInputFiles("#folder", folder(golden("gen-small")));
  await finished(page);
  const column = async (index) => page.locator(`#table tbody td:nth-child(${index})`).allTextContents();
  await page.locator("#table th button", { hasText: "CPU used" }).focus();
  await page.keyboard.press("Enter");
  const used = (await column(3)).map((text) => Number(text.replaceAll(",", "")));
  assert.deepEqual(used, [...used].sort((a, b) => b - a));
  assert.equal(await page.locator("#table th[aria-sort=descending]").count(), 1);
  const [name] = (await column(2)).filter((name) => !name.includes("unallocated"));
  await page.fill("#filter", name);
  assert.ok((await column(2)).every((other) => other.includes(name)));
  const before = await page.locator("#chart-days svg[role=img]").getAttribute("aria-label");
  await page.check("input[value=memory]");
  assert.notEqual(await page.locator("#chart-days svg[role=img]").getAttribute("aria-label"), before);
});

test("a damaged file is named, holds back its days, and the next files work", async (t) => {
  const { page } = await openPage(t);
  const path = join(scratch, "damaged.parquet");
  const pods = golden("gen-small").files.find(({ name }) => name.includes("pod_usage"));
  writeFileSync(path, pods.data.subarray(0, pods.data.length - 20));
  await page.setInputFiles("#files", path);
  await finished(page);
  assert.match(await page.locator("#notes").textContent(), /damaged\.parquet: unreadable Parquet/);
  await page.setInputFiles("#folder", folder(golden("edge-15-node-roles")));
  await finished(page);
  assert.ok((await page.locator("#table tbody tr").count()) > 0);
});

test("a generated month: first look, progress, cancel", async (t) => {
  const { page, problems } = await openPage(t);
  const month = join(scratch, "month");
  mkdirSync(month);
  native("generate", "--output", month, "--rows", "300k");
  await page.setInputFiles("#folder", month);
  await page.locator("#first-look:not([hidden])").waitFor();
  await finished(page);
  assert.equal(await page.locator("#first-look").isHidden(), true);
  assert.equal(await page.locator("#day option").count(), 31);
  await page.setInputFiles("#folder", month);
  await page.click("#cancel");
  await page.locator("#status").waitFor({ state: "hidden" });
  assert.deepEqual(problems, []);
});
