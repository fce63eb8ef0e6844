// The page in real Chromium, with files through its real file inputs.
import assert from "node:assert/strict";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createServer, request } from "node:http";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { parquetReadObjects } from "hyparquet";

import { finished, openPage } from "./lib/browser.mjs";
import { assertSameBytes, assertSameRows } from "./lib/compare.mjs";
import { filesBelow, golden, goldens, native, nativeDays } from "./lib/goldens.mjs";
import { repeated, zeros } from "./lib/parquet.mjs";

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

/** What the charts are made of: no axis says the same number twice, nothing has a negative size. */
async function assertDrawn(page, name) {
  for (const resource of ["cpu", "memory"]) {
    if (await page.locator("#charts").isVisible()) await page.check(`input[value=${resource}]`);
    const drawn = await page.evaluate(() => ({
      axes: ["chart-days", "chart-unallocated"].map((id) => [...document.querySelectorAll(`#${id} text[text-anchor=end]`)].map((text) => text.textContent)),
      sizes: [...document.querySelectorAll("#charts svg[role=img] rect")].flatMap((bar) => ["width", "height"].map((size) => Number(bar.getAttribute(size)))),
    }));
    for (const axis of drawn.axes) assert.equal(new Set(axis).size, axis.length, `${name}, ${resource}: ${axis}`);
    assert.ok(drawn.sizes.every((size) => size >= 0), `${name}, ${resource}: ${drawn.sizes}`);
  }
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
    await assertDrawn(page, one.name);
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

/** Chooses files in an input of our own. */
async function chooseInPage(page, paths) {
  await page.evaluate(() => {
    document.getElementById("test-input")?.remove();
    const input = Object.assign(document.createElement("input"), { type: "file", id: "test-input", multiple: true });
    document.body.append(input);
  });
  await page.setInputFiles("#test-input", paths);
}

/** The package's own interface in the page, over those `File` objects. */
async function summarizeInPage(page, { files, lookups }) {
  await chooseInPage(page, files.map(({ path }) => path));
  // Names in an input have no folders, so the paths travel beside them.
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

/** Everything the result says, as text, whether or not files have folders. */
async function shown(page) {
  const tables = { table: "#table tbody tr", files: "#file-table tbody tr", report: "#equation dd", notes: "#notes li" };
  const texts = Object.entries(tables).map(async ([name, selector]) => [name, await page.locator(selector).allTextContents()]);
  const { files, notes, ...others } = Object.fromEntries(await Promise.all(texts));
  return { files: files.sort(), notes: notes.map((text) => text.replace(/\S+\//, "")), ...others };
}

/** What the file input makes of the same files. */
async function shownFromInput(t, paths) {
  const { page } = await openPage(t);
  await page.setInputFiles("#files", paths);
  await finished(page);
  const expected = await shown(page);
  for (const kind of ["pod", "storage", "node", "namespace"]) {
    assert.ok(expected.files.filter((file) => file.startsWith(`${kind}_`)).length > 1, `several files of ${kind}`);
  }
  assert.ok(expected.table.length > 0);
  return expected;
}

test("files of all four kinds dropped at once: the same as through the file input", async (t) => {
  const paths = readdirSync(folder(golden("gen-small")), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const expected = await shownFromInput(t, paths);
  const { page, problems } = await openPage(t);
  const contents = paths.map((path) => [basename(path), readFileSync(path, "base64")]);
  const transfer = await page.evaluateHandle((contents) => {
    const transfer = new DataTransfer();
    for (const [name, text] of contents) {
      transfer.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt())], name));
    }
    return transfer;
  }, contents);
  const send = (type) =>
    page.locator("#drop").evaluate((zone, { type, dataTransfer }) => {
      const event = new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
      zone.dispatchEvent(event);
      // Where nobody prevents it, the browser leaves the page for the file.
      return { prevented: event.defaultPrevented, over: zone.classList.contains("over") };
    }, { type, dataTransfer: transfer });
  assert.deepEqual(await send("dragover"), { prevented: true, over: true });
  assert.deepEqual(await send("drop"), { prevented: true, over: false });
  await finished(page);
  assert.deepEqual(await shown(page), expected);
  assert.deepEqual(problems, []);
});

test("a folder dropped by the browser itself: the same as through the file input", async (t) => {
  const path = folder(golden("gen-small"));
  const { page, context, problems } = await openPage(t);
  const { x, y } = await page.locator("#drop").boundingBox();
  const session = await context.newCDPSession(page);
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    const data = { items: [], files: [path], dragOperationsMask: 1 };
    await session.send("Input.dispatchDragEvent", { type, x: x + 10, y: y + 10, data });
  }
  await finished(page);
  const files = filesBelow(path).map(({ path }) => path);
  assert.deepEqual(await shown(page), await shownFromInput(t, [...files, join(path, "lookups.json")]));
  assert.deepEqual(problems, []);
});

test("no request leaves the origin, and none is possible", async (t) => {
  const { page, origin, requests } = await openPage(t);
  await page.setInputFiles("#folder", folder(golden("gen-small")));
  await finished(page);
  for (const format of ["parquet", "csv", "arrow"]) assert.ok((await download(page, format)).length > 0, format);
  assert.ok(requests.some((url) => url.endsWith("/daysum/daysum.wasm")), "requests of the worker are seen");
  const foreign = requests.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith(`blob:${origin}/`));
  assert.deepEqual(foreign, []);
  // Also not from the worker, which a policy of its own would let go wherever it likes.
  let hits = 0;
  const other = createServer((_, response) => ((hits += 1), response.end()));
  await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
  t.after(() => other.closeAllConnections() ?? other.close());
  const [worker] = page.workers();
  const from = await worker.evaluate((url) => fetch(url, { mode: "no-cors" }).then(() => "allowed", () => "refused"), `http://127.0.0.1:${other.address().port}/`);
  assert.deepEqual([from, hits], ["refused", 0]);
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

/** A copy of the page that a test may change. */
function ownPage(name) {
  const path = join(scratch, name);
  cpSync(new URL("../dist/page", import.meta.url), path, { recursive: true });
  return { path, root: pathToFileURL(`${path}/`) };
}

test("without a network it is the version that was seen last, under its longer address too", async (t) => {
  const { path, root } = ownPage("versions");
  const { page, context, server, origin } = await openPage(t, { root });
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForFunction(() => navigator.serviceWorker.controller);
  const index = join(path, "index.html");
  writeFileSync(index, readFileSync(index, "utf8").replace("<h1>daysum</h1>", "<h1>the next version</h1>"));
  await page.reload();
  await page.waitForFunction(async () => (await (await caches.match("./")).text()).includes("the next version"));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await context.setOffline(true);
  for (const address of [`${origin}/`, `${origin}/index.html`]) {
    await page.goto(address);
    assert.equal(await page.locator("h1").textContent(), "the next version", address);
  }
});

test("a part that could not be loaded is told, and the next files try again", async (t) => {
  for (const [name, message] of [["worker.js", /worker could not be started/], ["daysum/daysum.wasm", /^the engine could not be loaded: .*; reload the page/]]) {
    const { path, root } = ownPage(`without ${basename(name)}`);
    const part = readFileSync(join(path, name));
    rmSync(join(path, name));
    const { page } = await openPage(t, { root });
    for (const round of [1, 2]) {
      await page.setInputFiles("#folder", folder(golden("edge-15-node-roles")));
      await page.locator("#error:not([hidden])").waitFor();
      assert.match(await page.locator("#error").textContent(), message, `${name}, ${round}`);
      await page.locator("#status").waitFor({ state: "hidden" });
    }
    writeFileSync(join(path, name), part);
    await page.setInputFiles("#folder", folder(golden("edge-15-node-roles")));
    await finished(page);
    assert.ok((await page.locator("#table tbody tr").count()) > 0);
  }
});

test("the page's server says 404 to what is no path, and goes on", async (t) => {
  const { page, origin, server } = await openPage(t);
  const { port } = server.address();
  const status = await new Promise((resolve, reject) => request({ port, host: "127.0.0.1", path: "//" }, (answer) => resolve(answer.resume().statusCode)).on("error", reject).end());
  assert.equal(status, 404);
  assert.equal((await page.goto(`${origin}/`)).status(), 200);
});

test("lookups are named where they are broken or unknown, and other JSON is left alone", async (t) => {
  const { page } = await openPage(t);
  const one = folder(golden("edge-15-node-roles"));
  const lookups = join(one, "lookups.json");
  const good = readFileSync(lookups, "utf8");
  const choose = async () => (await page.setInputFiles("#folder", one), finished(page));
  rmSync(lookups);
  writeFileSync(join(one, "manifest.json"), '{ "version": "a build of the operator", "start": 1 }');
  await choose();
  writeFileSync(lookups, JSON.stringify({ ...JSON.parse(good), enabled_tags: ["app"] }));
  await choose();
  assert.match(await page.locator("#notes").textContent(), /lookups: enabled_tags is not known and has no effect/);
  for (const text of ["{", "null", "[]", "5"]) {
    writeFileSync(lookups, text);
    await assert.rejects(choose(), /^Error: lookups: /, text);
  }
});

test("the lookups are the one file of that name, and hidden files are none", async (t) => {
  const { page } = await openPage(t);
  const one = folder(golden("edge-15-node-roles"));
  t.after(() => rmSync(one, { recursive: true })); // the next copy of it would be laid over these
  const notes = async () => {
    await page.setInputFiles("#folder", one);
    await finished(page);
    return page.locator("#notes").textContent();
  };
  const capital = join(one, "Lookups.JSON");
  renameSync(join(one, "lookups.json"), capital);
  writeFileSync(join(one, "my-lookups.json"), "{");
  writeFileSync(join(one, "._pods.parquet"), "of macOS");
  const told = await notes();
  assert.match(told, /the lookups are edge-15-node-roles\/Lookups\.JSON/);
  assert.match(told, /left out, as their names begin with a dot: edge-15-node-roles\/\._pods\.parquet/);
  assert.equal(await page.locator("#notes .bad").count(), 0);
  mkdirSync(join(one, "below"));
  copyFileSync(capital, join(one, "below", "params.json"));
  await assert.rejects(notes(), (error) => ["/Lookups.JSON", "/below/params.json"].every((path) => error.message.includes(path)));
});

test("where nothing comes of the files, the source and the days are told that were asked for", async (t) => {
  const { page } = await openPage(t);
  const one = folder(golden("edge-15-node-roles"));
  const lookups = join(one, "lookups.json");
  const given = JSON.parse(readFileSync(lookups, "utf8"));
  const bad = async () => {
    await page.setInputFiles("#folder", one);
    await finished(page);
    return (await page.locator("#notes .bad").allTextContents()).join("\n");
  };
  assert.equal(await bad(), "");
  writeFileSync(lookups, JSON.stringify({ ...given, source_uuid: "of-the-lookups" }));
  assert.match(await bad(), /no summary rows: no file is of the source of-the-lookups and the day 2025-11-\d\d$/);
  await page.locator("summary", { hasText: "Options" }).click();
  await page.fill("#source", "of-the-field");
  assert.match(await bad(), /no file is of the source of-the-field and /);
  await page.fill("#source", given.source_uuid);
  await page.fill("#start", "2026-01-01");
  await page.fill("#end", "2026-01-02");
  assert.match(await bad(), new RegExp(`the source ${given.source_uuid} and the days 2026-01-01 to 2026-01-02$`));
});

test("files of several sources: the one that is named is read", async (t) => {
  const { page } = await openPage(t);
  const both = join(scratch, "sources");
  for (const { name, data } of golden("edge-15-node-roles").files) {
    for (const source of ["a", "b"]) {
      const path = join(both, name.replace(/source=[^/]*/, `source=${source}`));
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, data);
    }
  }
  await page.setInputFiles("#folder", both);
  await assert.rejects(finished(page), /of several sources: a, b/);
  await page.locator("summary", { hasText: "Options" }).click();
  await page.fill("#source", "b");
  await page.setInputFiles("#folder", both);
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

test("what was asked for beyond the capacity is drawn below zero, and told", async (t) => {
  const { page, problems } = await openPage(t);
  await page.setInputFiles("#folder", folder(golden("poc-07-unallocated-capacity")));
  await finished(page);
  const chart = page.locator("#chart-unallocated svg[role=img]");
  assert.match(await chart.getAttribute("aria-label"), /; below zero, down to -[\d.]+K, where more was used or asked for/);
  const below = await chart.evaluate((svg) => {
    const texts = [...svg.querySelectorAll("text[text-anchor=end]")];
    const zero = Number(texts.find(({ textContent }) => textContent === "0").getAttribute("y")) - 4;
    const bars = [...svg.querySelectorAll("rect")].filter((bar) => bar.querySelector("title").textContent.includes(" -"));
    return bars.map((bar) => [Number(bar.getAttribute("y")) - zero, Number(bar.getAttribute("height"))]);
  });
  assert.ok(below.length > 0 && below.every(([from, height]) => from > -1e-6 && height > 0), JSON.stringify(below));
  // Negative numbers of any kind, which no golden has in every chart.
  await page.evaluate(async () => {
    const { drawDays, drawNamespaces } = await import("./charts.js");
    drawDays(document.getElementById("chart-days"), [{ day: "2025-11-01", usage: -3, request: 2, capacity: 4 }], "hours");
    drawNamespaces(document.getElementById("chart-namespaces"), [{ namespace: "a", usage: -1, request: 0 }], "hours");
  });
  const sizes = await page.locator("#charts svg[role=img] rect").evaluateAll((bars) => bars.map((bar) => [bar.getAttribute("width"), bar.getAttribute("height")].map(Number)));
  assert.ok(sizes.flat().every((size) => size >= 0), JSON.stringify(sizes));
  assert.deepEqual(problems, []);
});

test("the focus never goes with what is hidden", async (t) => {
  const { page } = await openPage(t);
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.textContent);
  await page.setInputFiles("#folder", folder(golden("gen-small")));
  await finished(page);
  await page.locator("#more").focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#more").isHidden(), true);
  assert.equal(await focused(), "scroll");
  await page.locator("#table th button", { hasText: "Rows" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await focused(), "Rows");
  await page.evaluate(() => {
    globalThis.moves = [];
    const hidden = () => ["result", "status"].filter((id) => document.getElementById(id).hidden).join();
    addEventListener("focusin", ({ target }) => globalThis.moves.push([target.id, hidden()]));
  });
  await page.locator("#filter").focus();
  await page.setInputFiles("#folder", folder(golden("gen-small")));
  await page.waitForFunction(() => globalThis.moves.length === 3 && document.getElementById("status").hidden);
  const moves = await page.evaluate(() => globalThis.moves);
  assert.deepEqual(moves, [["filter", "status"], ["cancel", ""], ["report-title", ""]], "each while what it leaves is still there");
});

test("a damaged file is named, holds back its days, and the next files work", async (t) => {
  const { page } = await openPage(t);
  await page.setInputFiles("#folder", folder(golden("gen-small")));
  await finished(page);
  const path = join(scratch, "damaged.parquet");
  const pods = golden("gen-small").files.find(({ name }) => name.includes("pod_usage"));
  writeFileSync(path, pods.data.subarray(0, pods.data.length - 20));
  await page.setInputFiles("#files", path);
  await finished(page);
  assert.match(await page.locator("#notes").textContent(), /damaged\.parquet: unreadable Parquet/);
  assert.doesNotMatch(await page.locator("#notes").textContent(), /1970/);
  for (const id of ["charts", "namespaces"]) assert.equal(await page.locator(`#${id}`).isVisible(), false, "nothing of the files before");
  await page.setInputFiles("#folder", folder(golden("edge-15-node-roles")));
  await finished(page);
  assert.ok((await page.locator("#table tbody tr").count()) > 0);
});

test("columns that a file lacks are told beside the report", async (t) => {
  const { page } = await openPage(t);
  const path = join(scratch, "labels of no node.parquet");
  writeFileSync(path, repeated(1, "{}", "node"));
  const complete = golden("gen-small").files.map(({ path }) => path);
  const pods = complete.find((path) => path.includes("pod_usage") && path.includes("_daily_"));
  await page.setInputFiles("#files", pods);
  await finished(page);
  assert.equal(await page.locator("#files-summary").textContent(), "1 file read");
  assert.match(await page.locator("#said").textContent(), /^Done: 1 day, /);
  await page.setInputFiles("#files", complete);
  await finished(page);
  assert.doesNotMatch(await page.locator("#notes").textContent(), /columns are missing/);
  await page.locator("summary", { hasText: "Options" }).click();
  await page.fill("#start", "2025-11-01"); // the labels do not tell
  await page.fill("#end", "2025-11-02");
  await page.setInputFiles("#files", [...complete, path]);
  await finished(page);
  assert.match(await page.locator("#notes").textContent(), /columns are missing and read as empty: node/);
});

test("a generated month: first look, progress, cancel", async (t) => {
  const { page, problems } = await openPage(t);
  const month = join(scratch, "month");
  mkdirSync(month);
  native("generate", "--output", month, "--rows", "300k");
  await page.evaluate(() => {
    globalThis.said = [];
    const said = document.getElementById("said");
    new MutationObserver(() => globalThis.said.push(said.textContent)).observe(said, { childList: true });
  });
  // The second choice ends the first run, of which nothing is told any more.
  await page.setInputFiles("#folder", month);
  await page.setInputFiles("#folder", month);
  await page.locator("#first-look:not([hidden])").waitFor();
  await finished(page);
  assert.equal(await page.locator("#first-look").isHidden(), true);
  assert.equal(await page.locator("#day option").count(), 31);
  const said = await page.evaluate(() => globalThis.said);
  assert.match(said.join("\n"), /^Reading \d+ files\.\nReading \d+ files\.(\n\d\d % of the rows are read\.){1,3}\nDone: 30 days, [\d,]+ summary rows\.$/);
  assert.equal(await page.evaluate(() => document.activeElement.id), "report-title");
  await page.setInputFiles("#folder", month);
  await page.locator("#first-look:not([hidden])").waitFor();
  assert.match(await page.locator("#first-look").textContent(), /being read/);
  await page.click("#cancel");
  await page.locator("#status").waitFor({ state: "hidden" });
  assert.equal(await page.locator("#first-look").textContent(), "Stopped: only the first rows.");
  assert.equal(await page.evaluate(() => document.activeElement.id), "report-title");
  assert.deepEqual(problems, []);
});

test("hostile files in Chromium: typed errors, and the next files give the native bytes", async (t) => {
  const { page } = await openPage(t);
  const zstd = new Uint8Array(readFileSync(new URL("data/zstd.parquet", import.meta.url)));
  const flipped = zstd.slice();
  flipped[1000] ^= 255;
  const hostile = {
    cut: [zstd.subarray(0, -20), "format"],
    flipped: [flipped, "format"],
    zeros: [new Uint8Array(5000), "format"],
    claims: [zeros({ rows: 10, held: 80, told: 2 ** 30, footer: 80 }), "format"],
    bomb: [zeros({ rows: 2 ** 27, held: 2 ** 30, told: 2 ** 30 }), "memory", { memoryLimit: 2 ** 26 }],
    traps: [zeros({ rows: 10, held: 80, told: 2 ** 31 - 1 }), "trap", { memoryLimit: 2 ** 33 }],
  };
  const one = golden("gen-small");
  const expected = nativeDays(join(one.directory, "input"), join(one.directory, "params.json"));
  for (const [name, [data, code, options = {}]] of Object.entries(hostile)) {
    const path = join(scratch, `${name}.parquet`);
    writeFileSync(path, data);
    await chooseInPage(page, [path]);
    const told = await page.evaluate(async (options) => {
      const { summarize } = await import("./daysum/index.js");
      const [file] = document.getElementById("test-input").files;
      return summarize(file, { start: "2025-11-01", end: "2025-11-30", ...options }).then(() => "was believed", (error) => error.toJSON());
    }, options);
    assert.deepEqual([told.code, told.file], [code, `${name}.parquet`], JSON.stringify(told));
    assertSameBytes(`after ${name}`, expected, await summarizeInPage(page, one));
  }
});

test("a worker that is ended in the middle leaves nothing behind: another one begins again", async (t) => {
  const { page } = await openPage(t);
  const month = join(scratch, "ended");
  native("generate", "--output", month, "--rows", "300k", "--days", "3");
  await chooseInPage(page, filesBelow(month).map(({ path }) => path));
  const told = await page.evaluate(async () => {
    const files = [...document.getElementById("test-input").files].map((data) => ({ path: data.name, data }));
    const run = (until) =>
      new Promise((resolve) => {
        const worker = new Worker("worker.js", { type: "module" });
        worker.onmessage = ({ data }) => {
          if (data.type !== until && data.type !== "error") return;
          worker.terminate();
          resolve(data);
        };
        worker.postMessage({ job: "summarize", files, options: {} });
      });
    const ended = await run("progress");
    const again = await run("done");
    return { ended: ended.type, again: again.type, days: again.days?.length, report: again.report };
  });
  assert.deepEqual([told.ended, told.again, told.days], ["progress", "done", 3], JSON.stringify(told));
  assert.equal(told.report.rowsIn, told.report.totalRows);
});

for (const colorScheme of ["light", "dark"]) {
  test(`the page can be read: contrast and widths, ${colorScheme}`, async (t) => {
    const { page } = await openPage(t, { colorScheme, viewport: { width: 390, height: 844 } });
    const one = folder(golden("gen-small"));
    const lookups = join(one, "lookups.json");
    const { nodes, ...others } = JSON.parse(readFileSync(lookups, "utf8"));
    writeFileSync(lookups, JSON.stringify({ ...others, nodes: nodes.slice(1) })); // one node has no role
    await page.setInputFiles("#folder", one);
    await finished(page);
    for (const kind of ["worker", "platform", "unknown"]) assert.ok((await page.locator(`#chart-unallocated .${kind}`).count()) > 0, kind);
    const { wide, poor } = await page.evaluate(() => {
      const light = (color) => {
        const [r, g, b] = color.match(/[\d.]+/g).map((part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
      const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
          const color = getComputedStyle(at).backgroundColor;
          if (!/, 0\)$/.test(color)) return color;
        }
      };
      const check = (selector, property, least) =>
        [...document.querySelectorAll(selector)].map((element) => {
          const behind = ground(property === "color" ? element : element.parentElement);
          return [selector, property, contrast(getComputedStyle(element)[property], behind), least];
        });
      const text = [...check("p, h1, h2, dt, dd, td, button, label, summary, figcaption, li, code", "color", 4.5), ...check("svg text", "fill", 4.5)];
      const shapes = [".usage", ".request", ".worker", ".platform", ".unknown"].flatMap((kind) => check(`svg ${kind}`, "fill", 3));
      const lines = [...check("svg .capacity", "stroke", 3), ...check("input[type=text], input[type=search], select", "borderTopColor", 3)];
      return {
        wide: document.documentElement.scrollWidth - innerWidth,
        poor: [...text, ...shapes, ...lines].filter(([, , found, least]) => found < least).map(String),
      };
    });
    assert.deepEqual([...new Set(poor)], []);
    assert.equal(wide, 0);
  });
}
