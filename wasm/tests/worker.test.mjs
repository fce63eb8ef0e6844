// The example in workerd, the runtime of Cloudflare's workers.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { overview, summarize } from "daysum";
import { Miniflare } from "miniflare";

import { golden } from "./lib/goldens.mjs";

const at = (path) => new URL(`../${path}`, import.meta.url);
const pods = golden("gen-small").files.find(({ name }) => name.includes("openshift_pod_usage_line_items/"));

let worker, server, host, other;
before(async () => {
  other = createServer((_, response) => response.end(pods.data));
  await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
  server = createServer((request, response) => {
    if (request.url === "/redirected.parquet") {
      return response.writeHead(302, { location: `http://127.0.0.1:${other.address().port}/pods.parquet` }).end();
    }
    const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range);
    const start = from === "" ? Math.max(pods.data.length - Number(to), 0) : Number(from);
    const end = from === "" ? pods.data.length : Number(to) + 1;
    response.writeHead(206, { "content-range": `bytes ${start}-${end - 1}/${pods.data.length}` });
    response.end(pods.data.subarray(start, end));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  host = `127.0.0.1:${server.address().port}`;

  // What a bundler does: the package's name becomes its files for workerd.
  const files = ["index", "daysum", "core", "engine", "errors", "lookups", "run", "source"];
  const module = (path, file) => ({ type: "ESModule", path, contents: readFileSync(file, "utf8") });
  const example = module("/worker.js", at("examples/worker/worker.js"));
  example.contents = example.contents.replace('from "daysum"', 'from "./daysum/index.js"');
  const modules = [example, ...files.map((name) => module(`/daysum/${name}.js`, at(`dist/bundler/${name}.js`)))];
  const engine = { type: "CompiledWasm", path: "/daysum/daysum.wasm", contents: readFileSync(at("dist/bundler/daysum.wasm")) };
  worker = new Miniflare({
    modulesRoot: "/",
    modules: [...modules, engine],
    compatibilityDate: "2025-06-01",
    bindings: { ALLOWED_HOSTS: host },
  });
  await worker.ready;
});
after(async () => {
  await worker?.dispose();
  for (const one of [server, other]) {
    one.closeAllConnections();
    one.close();
  }
});

async function expected() {
  const { days } = await summarize(pods.data, { enabledKeys: ["app"] });
  return Promise.all(days.map(async (day) => ({ day: day.day, rows: day.rows, ...(await overview(day)) })));
}

test("a posted file is summarised", async () => {
  const response = await worker.dispatchFetch("http://worker/?keys=app", { method: "POST", body: pods.data });
  assert.equal(response.status, 200, await response.clone().text());
  const { days, report } = await response.json();
  assert.deepEqual(days, await expected());
  assert.equal(report.rowsIn, report.rowsAggregated + Object.values(report.rowsFiltered).reduce((a, b) => a + b, 0));
});

test("a file on an allowed host is read by ranges, another one is not", async () => {
  const answer = await worker.dispatchFetch(`http://worker/?keys=app&url=${encodeURIComponent(`http://${host}/pods.parquet`)}`);
  assert.equal(answer.status, 200, await answer.clone().text());
  assert.deepEqual((await answer.json()).days, await expected());
  const foreign = await worker.dispatchFetch("http://worker/?url=https://example.com/pods.parquet");
  assert.deepEqual([foreign.status, (await foreign.json()).code], [422, "config"]);
});

test("an allowed host cannot redirect to another one", async () => {
  let asked = 0;
  other.on("request", () => (asked += 1));
  const answer = await worker.dispatchFetch(`http://worker/?url=${encodeURIComponent(`http://${host}/redirected.parquet`)}`);
  const { code, message } = await answer.json();
  assert.deepEqual([answer.status, code, asked], [422, "source", 0], message);
  assert.match(message, /redirects to another address/);
});

test("a damaged file is a typed answer, and the next one works", async () => {
  const response = await worker.dispatchFetch("http://worker/", { method: "POST", body: pods.data.subarray(0, 5000) });
  assert.equal(response.status, 422);
  assert.deepEqual(await response.json().then(({ code, file }) => [code, file]), ["format", "upload.parquet"]);
  const next = await worker.dispatchFetch("http://worker/?keys=app", { method: "POST", body: pods.data });
  assert.equal(next.status, 200);
});
