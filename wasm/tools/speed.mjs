// How a preview in Chromium compares with the native command in one thread, on this machine:
//
//   daysum generate --output DIR --rows 1m --days 1    # a file of a million rows, and small ones beside it
//   node wasm/tools/speed.mjs DIR [ROUNDS]
//
// prints when the first partial result is there, how long the whole preview takes, and its ratio to native; then the
// linear memory. DAYSUM names the command (a release build), CHROMIUM the browser.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";

import { chromium } from "playwright-core";

import { serve } from "./serve.mjs";

const [directory, rounds = "5"] = process.argv.slice(2);
const { DAYSUM = "target/release/daysum", CHROMIUM = "/usr/bin/chromium" } = process.env;
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

const lookups = join(directory, "lookups.json");
const paths = readdirSync(directory, { recursive: true }).filter((name) => name.endsWith(".parquet")).map((name) => resolve(directory, name));

const server = await serve(0);
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.evaluate(() => document.body.append(Object.assign(document.createElement("input"), { type: "file", id: "measured", multiple: true })));
await page.setInputFiles("#measured", paths);

/** As the page's worker does it: a first look, then everything. */
const preview = () =>
  page.evaluate(
    async ({ names, lookups }) => {
      const { summarize } = await import("./daysum/index.js");
      const { files } = document.getElementById("measured");
      const inputs = names.map((name, index) => ({ name, data: files[index] }));
      const started = performance.now();
      await summarize(inputs, { lookups, rowLimit: 10_000 });
      const first = performance.now() - started;
      const { days, report } = await summarize(inputs, { lookups });
      const whole = performance.now() - started - first;
      return { first, whole, memory: report.peakMemory, rows: report.rowsIn, days: days.length };
    },
    { names: paths.map((path) => relative(directory, path)), lookups: readFileSync(lookups, "utf8") },
  );

function native() {
  const output = mkdtempSync(join(tmpdir(), "daysum-"));
  const started = performance.now();
  const settings = ["--lookups", lookups, "--threads", "1", "--format", "arrow"];
  execFileSync(DAYSUM, ["run", directory, "--output", output, ...settings], { stdio: "pipe" });
  const taken = performance.now() - started;
  rmSync(output, { recursive: true });
  return taken;
}

const cold = await preview(); // fetches and compiles the engine
const warm = await preview();
const times = { first: [], whole: [], native: [] };
for (let round = 0; round < Number(rounds); round += 1) {
  const { first, whole } = await preview();
  times.first.push(first);
  times.whole.push(whole);
  times.native.push(native());
}
await browser.close();
server.close();
const [first, whole, one] = [times.first, times.whole, times.native].map(median);
console.log(`${warm.rows} rows, ${warm.days} days; medians of ${rounds} rounds`);
console.log(`first result ${first.toFixed(0)} ms (with loading the engine ${cold.first.toFixed(0)} ms)`);
console.log(`whole preview ${whole.toFixed(0)} ms, native in one thread ${one.toFixed(0)} ms: ratio ${(whole / one).toFixed(2)}`);
console.log(`linear memory ${(warm.memory / 2 ** 20).toFixed(1)} MiB`);
