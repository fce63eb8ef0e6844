// What the interface promises besides numbers: sources, progress, cancelling, first looks, states.
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync, openAsBlob, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { pipeline } from "node:stream";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { after, before, test } from "node:test";

import { DaysumError, encode, fold, overview, rows, summarize } from "daysum";

import { daysum } from "../dist/nodejs/daysum.js";
import { asDaysumError } from "../dist/nodejs/errors.js";
import { assertSameBytes } from "./lib/compare.mjs";
import { daysIn, filesBelow, golden, native, nativeDays } from "./lib/goldens.mjs";
import { repeated, tail, take } from "./lib/parquet.mjs";
import { get, set, struct } from "./lib/thrift.mjs";

const month = golden("gen-small");
const { lookups } = month;
const expected = nativeDays(join(month.directory, "input"), join(month.directory, "params.json"));
const bytesOf = (days) => new Map(days.map(({ day, arrow }) => [day, Buffer.from(arrow)]));

let scratch;
/** A file that is larger than its tail, so that reading it takes more than one range. */
let large;
before(() => {
  scratch = mkdtempSync(join(tmpdir(), "daysum-"));
  const generated = join(scratch, "generated");
  native("generate", "--output", generated, "--rows", "200k", "--days", "1");
  large = filesBelow(generated).reduce((a, b) => (a.data.length > b.data.length ? a : b));
  if (large.data.length < 200_000) throw new Error(`${large.name} has only ${large.data.length} bytes`);
});
after(() => rmSync(scratch, { recursive: true }));

test("blobs, buffers and slices are the same file", async () => {
  const forms = [
    async ({ name, path }) => ({ name, data: await openAsBlob(path) }),
    async ({ name, data }) => ({ name, data: data.buffer.slice(data.byteOffset, data.byteOffset + data.length) }),
    async ({ name, data }) => new File([data], name),
    async ({ name, data }) => ({ name, size: data.length, slice: (start, end) => data.slice(start, end) }),
    async ({ name, data }) => ({ name, size: data.length, slice: async (start, end) => data.slice(start, end).buffer }),
    async ({ name, data }) => ({ name, size: data.length, data: "its own", slice: (start, end) => new DataView(data.slice(start, end).buffer) }),
    async ({ name, data }) => ({ name, data: new DataView(data.buffer, data.byteOffset, data.length) }),
    async ({ name, data }) => ({ name, data: foreign(data) }),
    async ({ name, data }) => ({ name, data: foreign(data).buffer }),
    async ({ name, data }) => ({ name, size: data.length, slice: (start, end) => foreign(data.subarray(start, end)) }),
  ];
  for (const form of forms) {
    const files = await Promise.all(month.files.map(form));
    assertSameBytes(String(form), expected, bytesOf((await summarize(files, { lookups })).days));
  }
});

/** Bytes as a frame or a sandbox has them: of classes of its own. */
function foreign(bytes) {
  const copy = runInNewContext("new Uint8Array(length)", { length: bytes.length });
  copy.set(bytes);
  assert.ok(!(copy instanceof Uint8Array));
  return copy;
}

test("kinds are told by columns where a file has only a name", async () => {
  const bare = month.files.map(({ data }, index) => ({ name: `upload-${index}`, data }));
  const { days, report } = await summarize(bare, { lookups });
  assertSameBytes("bare names", expected, bytesOf(days));
  const kinds = new Set(report.files.map(({ kind }) => kind));
  for (const kind of ["node_labels", "namespace_labels"]) assert.ok(kinds.has(kind), `${kind} is among ${[...kinds]}`);
});

test("options stand in for the lookups file, and the files for the dates", async () => {
  const options = {
    enabledKeys: lookups.enabled_tag_keys,
    costCategories: lookups.cost_categories.map((one) => ({ namespace: one.namespace, id: one.cost_category_id })),
    nodes: lookups.nodes.map((one) => ({ node: one.node, resourceId: one.resource_id, role: one.node_role })),
    clusterId: lookups.cluster_id,
    clusterAlias: lookups.cluster_alias,
    sourceUuid: lookups.source_uuid,
    lookups: { report_period_id: lookups.report_period_id },
  };
  const { days, report } = await summarize(month.files, options);
  assertSameBytes("options", expected, bytesOf(days));
  assert.deepEqual(report.range, [days[0].day, days.at(-1).day]);
  const one = await summarize(month.files, { ...options, start: days[1].day, end: days[1].day });
  assert.deepEqual(one.days.map(({ day }) => day), [days[1].day]);
});

test("a file that does not tell its days asks for them, whatever others tell", async () => {
  const files = [...month.files, { name: "labels", data: repeated(3, "{}") }];
  const error = await summarize(files, { badFiles: "hold" }).catch((error) => error);
  assert.deepEqual([error.code, error.file, error.rowGroup], ["config", "labels", 0], String(error));
  const { report } = await summarize(files, { start: "2025-11-01", end: "2025-11-02" });
  assert.equal(report.files.find(({ name }) => name === "labels").rows, 3);
});

test("the source is told by the paths, and asked for where they name several", async () => {
  const of = (source) => month.files.map(({ name, data }) => ({ name: name.replace(/source=[^/]*/, `source=${source}`), data }));
  const sources = async (files, options) => [...new Set((await rows((await summarize(files, options)).days)).map((row) => row.source_uuid))];
  assert.deepEqual(await sources(of("a")), ["a"]);
  assert.deepEqual(await sources([...of("a"), ...of("b")], { sourceUuid: "b" }), ["b"]);
  const error = await summarize([...of("a"), ...of("b")], { badFiles: "hold" }).catch((error) => error);
  assert.equal(error.code, "config");
  assert.match(error.message, /several sources: a, b;/);
});

test("fields of the lookups that nobody knows are told", async () => {
  const { report } = await summarize(month.files, { lookups: { enabled_tags: ["app"] } });
  assert.deepEqual(report.unknownLookups, ["enabled_tags"]);
});

test("wrong uses are told as such, before anything is read", async () => {
  const [file] = month.files;
  let reads = 0;
  const slice = (start, end) => ((reads += 1), file.data.slice(start, end));
  const sliced = { name: "a.parquet", size: file.data.length, slice };
  const wrong = {
    files: [undefined, null, 5, {}, [null], [file, undefined], Promise.resolve(file), new Response("PAR1"), { name: "a", data: [1] }, { data: null }],
    names: [5, {}, Symbol("a")].map((name) => ({ name, data: file.data })),
    redirects: [{ data: "https://example.com/a.parquet", redirect: "manual" }],
  };
  const options = [null, 5, "hold", { enabledkeys: [] }, { toString: "app" }, { enabledKeys: new Set(["app"]) }, { enabledKeys: "app" }];
  options.push({ costCategories: {} }, { costCategories: [null] }, { nodes: "n" }, { start: new Date() }, { sourceUuid: 5 }, { badFiles: true });
  for (const number of [NaN, Infinity, "100", true]) options.push({ rowLimit: number }, { memoryLimit: number });
  for (const signal of [{}, 5, new AbortController()]) options.push({ signal });
  for (const callback of [{}, 5]) options.push({ onDay: callback }, { onProgress: callback });
  const days = [undefined, null, 5, "day", {}, { day: "2025-11-01" }, new Blob(), [null], new Set([new Uint8Array()]), { days: [] }];
  const calls = [
    ...Object.values(wrong).flat().map((files) => () => summarize(files, { badFiles: "hold" })),
    ...options.flatMap((given) => [() => summarize(sliced, given), () => fold(sliced, given)]),
    ...days.flatMap((given) => [() => encode(given, "csv"), () => rows(given), () => overview(given)]),
    ...[undefined, null, 5, {}, "xlsx"].map((format) => () => encode([], format)),
  ];
  for (const [index, call] of calls.entries()) {
    const error = await call().then(() => "was taken", (error) => error);
    assert.deepEqual([error.name, error.code], ["DaysumError", "config"], `call ${index}: ${error}`);
  }
  assert.equal(reads, 0);
  const nothing = Object.fromEntries(["lookups", "nodes", "rowLimit", "memoryLimit", "badFiles", "signal", "onDay"].map((name) => [name, null]));
  assert.ok((await summarize(sliced, nothing)).report.rowsIn > 0, "null is as good as nothing");
});

test("slices that are no bytes are an error of whoever gives them, a defect here is one of ours", async () => {
  for (const part of [null, undefined, "PAR1", [1, 2]]) {
    const error = await summarize({ name: "a", size: 100, slice: () => part }, { badFiles: "hold" }).catch((error) => error);
    assert.deepEqual([error.code, error.file], ["config", "a"], String(error));
  }
  const { code, cause } = asDaysumError(new TypeError("x is not a function"));
  assert.deepEqual([code, cause.name], ["internal", "TypeError"]);
});

test("lookups that are no object are an error of theirs", async () => {
  const text = JSON.stringify(lookups);
  const cyclic = {};
  cyclic.cyclic = cyclic;
  const wrong = ["", "{", "null", "5", "true", "[]", '"text"', 5, true, [], new File([text], "lookups.json"), new Blob([text])];
  wrong.push(new Map(Object.entries(lookups)), new TextEncoder().encode(text), cyclic, { report_period_id: 5n });
  for (const given of wrong) {
    const error = await summarize(month.files, { lookups: given, badFiles: "hold" }).catch((error) => error);
    assert.deepEqual([error.name, error.code], ["DaysumError", "config"], `${typeof given} ${given}: ${error}`);
    assert.match(error.message, /^lookups: ./);
  }
  assertSameBytes("as text", expected, bytesOf((await summarize(month.files, { lookups: text })).days));
});

test("a file is read by ranges over HTTP, and a server that knows none is told apart", async (t) => {
  const asked = [];
  const server = createServer((request, response) => {
    const file = [...month.files, large].find(({ name }) => request.url.endsWith(name));
    if (!file) return response.writeHead(404).end();
    if (request.url.startsWith("/whole/")) {
      response.writeHead(200, { "content-length": 1e9 });
      return response.write("PAR1");
    }
    if (request.url.startsWith("/endless/")) return pipeline(endless, response, () => {});
    if (request.url.startsWith("/unmeasured/")) return response.writeHead(200).end(file.data);
    const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range);
    const start = from === "" ? Math.max(file.data.length - Number(to), 0) : Number(from);
    const end = from === "" ? file.data.length : Number(to) + 1;
    asked.push(end - start);
    const changed = request.url.startsWith("/changing/") && from !== "";
    response.writeHead(206, {
      "content-range": `bytes ${start}-${end - 1}/${file.data.length}`,
      etag: changed ? '"2"' : '"1"',
    });
    response.end(file.data.subarray(start, end));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.closeAllConnections() ?? server.close());
  const base = `http://127.0.0.1:${server.address().port}`;

  const urls = month.files.map(({ name }) => `${base}/${name}`);
  assertSameBytes("URLs", expected, bytesOf((await summarize(urls, { lookups })).days));
  assert.ok(asked.length >= month.files.length);

  const { days } = await summarize(month.files.map(({ name }) => `${base}/unmeasured/${name}`), { lookups });
  assertSameBytes("of a length that is not told", expected, bytesOf(days));

  const code = async (url) => (await summarize([url]).catch((error) => error)).code;
  assert.equal(await code(`${base}/endless/${large.name}`), "source");
  assert.equal(await code(`${base}/whole/${large.name}`), "source");
  assert.equal(await code(`${base}/absent`), "source");
  asked.length = 0;
  await summarize(`${base}/${large.name}`, { start: "2025-11-01", end: "2025-11-01" });
  assert.ok(asked.length > 1, "more than one range");
  assert.ok(Math.max(...asked) < large.data.length, "none is the whole file");
  assert.equal(await code(`${base}/changing/${large.name}`), "source");
});

test("what servers do besides: redirects, no content, refusing to tell more than there is", async (t) => {
  const [pods] = month.files.filter(({ name }) => name.includes("pod_usage"));
  const asked = [];
  const server = createServer((request, response) => {
    const [, kind, name] = request.url.split("/");
    const file = [pods, large].find((file) => file.name.endsWith(name));
    const { length } = file.data;
    asked.push(request.headers.range);
    if (kind === "redirect") return response.writeHead(302, { location: `/plain/${name}` }).end();
    if (kind === "nothing") return response.writeHead(204).end();
    const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range);
    if (kind === "empty") return response.writeHead(416, { "content-range": "bytes */0" }).end();
    if (kind === "no-suffix" && from === "") return response.writeHead(416, { "content-range": `bytes */${length}` }).end();
    if (kind === "never") return response.writeHead(416, { "content-range": `bytes */${length}` }).end();
    const [start, end] = from === "" ? [Math.max(length - Number(to), 0), length] : [Number(from), Number(to) + 1];
    response.writeHead(206, { "content-range": `bytes ${start}-${end - 1}/${length}` }).end(file.data.subarray(start, end));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.closeAllConnections() ?? server.close());
  const host = `127.0.0.1:${server.address().port}`;
  const url = (kind, { name }) => `http://${host}/${kind}/${name.split("/").at(-1)}`;
  const range = { start: "2025-11-01", end: "2025-11-02" };
  const read = async (input) => bytesOf((await summarize(input, range)).days);
  for (const file of [pods, large]) {
    const truth = await read(file);
    for (const kind of ["plain", "redirect", "no-suffix"]) {
      assertSameBytes(`${kind}: ${file.name}`, truth, await read({ name: file.name, data: url(kind, file) }));
    }
  }
  const error = async (input) => summarize(input, { ...range, badFiles: "throw" }).then(() => assert.fail(), (error) => error);
  const refused = {
    "the server redirects to another address": { name: "a", data: url("redirect", pods), redirect: "error" },
    "the server answers 204 without content": { name: "a", data: url("nothing", pods) },
    "the file is empty": { name: "a", data: new URL(url("empty", pods)) },
    "the server answers 416 Range Not Satisfiable": { name: "a", data: url("never", pods) },
  };
  for (const [message, input] of Object.entries(refused)) {
    const { code, message: told } = await error(input);
    assert.deepEqual([code, told], ["source", `a: ${message}`]);
  }
  asked.length = 0;
  for (const secret of ["http://user:secret@", "http:/user:secret@", "//user:secret@", "HTTP:\\\\user:secret@[", "http://user%3A:secret@:"]) {
    const { code, message } = await error(`${secret}${host}/plain/${pods.name.split("/").at(-1)}`);
    assert.equal(code, "config", message);
    assert.doesNotMatch(message, /secret/);
  }
  assert.deepEqual(asked, []);
});

function* endless() {
  for (;;) yield Buffer.alloc(2 ** 20);
}

test("only ranges are read, and near ones together", async () => {
  let reads = 0;
  let read = 0;
  const slice = (start, end) => ((reads += 1), (read += end - start), large.data.slice(start, end));
  const { report } = await summarize({ name: large.name, size: large.data.length, slice });
  assert.equal(report.bytesRead, read);
  const groups = report.files[0].rowGroups;
  assert.ok(groups > 0 && reads <= 2 + 9 * groups, `${reads} reads for ${groups} row groups of some 18 columns each`);
  assert.ok(report.peakMemory < 128 * 2 ** 20, `${report.peakMemory} bytes`);
});

test("a large row group is read by and by: memory does not grow with it", async () => {
  const generated = join(scratch, "one group");
  native("generate", "--output", generated, "--rows", "1m", "--days", "1", "--row-group-rows", "2000000");
  const [{ path, name }] = filesBelow(generated).filter(({ name }) => name.includes("pod_usage"));
  const { report } = await summarize({ name, data: await openAsBlob(path) });
  const [file] = report.files;
  assert.ok(file.rowGroups === 1 && file.rows > 900_000, JSON.stringify(file));
  assert.ok(report.bytesRead > 60 * 2 ** 20, `${report.bytesRead} bytes are in the group`);
  assert.ok(report.peakMemory < 128 * 2 ** 20, `${report.peakMemory} bytes`);
});

test("offsets above 2^32: pages far beyond four gigabytes, in a file of which only ranges exist", async () => {
  const pods = month.files.find(({ name }) => name.includes("pod_usage"));
  const far = 2 ** 33 + 5;
  const { footer, footerAt, chunks } = take(pods.data);
  const moved = chunks.reduce((footer, { rowGroup, position }) => {
    const place = [4, rowGroup, 1, position, 3];
    const present = [9, 11].filter((field) => get(footer, ...place, field) !== undefined);
    return present.reduce((footer, field) => set(footer, [...place, field], get(footer, ...place, field) + far), footer);
  }, footer);
  const end = tail(struct(moved));
  const parts = [[far, pods.data.subarray(0, footerAt)], [far + footerAt, end]];
  const slice = (start, end) => {
    const found = new Uint8Array(end - start); // between the parts there is nothing
    for (const [at, bytes] of parts) {
      const [from, to] = [Math.max(start, at), Math.min(end, at + bytes.length)];
      if (from < to) found.set(bytes.subarray(from - at, to - at), from - start);
    }
    return found;
  };
  const sparse = { name: pods.name, data: { size: far + footerAt + end.length, slice } };
  const near = await summarize(pods, { lookups });
  assertSameBytes("far", bytesOf(near.days), bytesOf((await summarize(sparse, { lookups })).days));
});

test("a file that changes on disk while it is read is an error, and the next one works", async () => {
  const path = join(scratch, "changing.parquet");
  for (const change of [() => truncateSync(path, 1000), () => appendFileSync(path, "more")]) {
    writeFileSync(path, large.data);
    const data = await openAsBlob(path);
    const changing = { size: data.size, slice: (start, end) => (end === data.size ? data.slice(start, end) : (change(), data.slice(start, end))) };
    const error = await summarize({ name: "changing.parquet", data: changing }).catch((error) => error);
    assert.deepEqual([error.code, error.file], ["source", "changing.parquet"], String(error));
  }
  assertSameBytes("afterwards", expected, bytesOf((await summarize(month.files, { lookups })).days));
});

test("several previews at once, of which one fails and one is cancelled", async () => {
  const controller = new AbortController();
  const cancelled = summarize(month.files, { lookups, signal: controller.signal, onDay: () => controller.abort() });
  const broken = summarize({ name: "broken.parquet", data: large.data.subarray(0, 1000) });
  const whole = [1, 2, 3].map(() => summarize(month.files, { lookups }));
  const [first, second, ...others] = await Promise.allSettled([cancelled, broken, ...whole]);
  assert.equal(first.reason?.name, "AbortError");
  assert.deepEqual([second.reason?.code, second.reason?.file], ["format", "broken.parquet"]);
  for (const { value } of others) assertSameBytes("at once", expected, bytesOf(value.days));
});

test("each option alone changes what it is for", async () => {
  const read = async (options) => rows((await summarize(month.files, { lookups: { ...lookups, ...without }, ...options })).days);
  const without = { enabled_tag_keys: [], cost_categories: [], nodes: [] };
  const bare = await read({});
  assert.ok(bare.every(({ pod_labels: labels }) => Object.keys(labels ?? {}).length === 0));
  assert.ok(bare.every(({ cost_category_id: id }) => id === null));
  const [key] = lookups.enabled_tag_keys;
  assert.ok((await read({ enabledKeys: [key] })).some(({ pod_labels: labels }) => key in (labels ?? {})), key);
  assert.ok((await read({ costCategories: [{ namespace: "%", id: 7 }] })).some(({ cost_category_id: id }) => id === 7));
  const nodes = lookups.nodes.map(({ node, resource_id: resourceId }) => ({ node, resourceId, role: "master" }));
  const names = (found) => new Set(found.map(({ namespace }) => namespace));
  assert.ok(!names(bare).has("Platform unallocated"));
  assert.ok(names(await read({ nodes })).has("Platform unallocated"));
});

test("progress is told and ends with everything", async () => {
  const told = [];
  await summarize(month.files, { lookups, onProgress: (now) => told.push(now) });
  const last = told.at(-1);
  assert.ok(last.totalRows > 0 && last.rows === last.totalRows, JSON.stringify(last));
  assert.ok(told.every((now, index) => index === 0 || now.rows >= told[index - 1].rows));
});

test("an abort ends the run, before it and within", async () => {
  await assert.rejects(summarize(month.files, { lookups, signal: AbortSignal.abort() }), { name: "AbortError" });
  const controller = new AbortController();
  const options = { lookups, signal: controller.signal, onDay: () => controller.abort() };
  await assert.rejects(summarize(month.files, options), { name: "AbortError" });
  const slow = { name: "slow.parquet", size: 1e6, slice: () => new Promise((resolve) => setTimeout(resolve, 50)) };
  await assert.rejects(summarize(slow, { lookups, signal: AbortSignal.timeout(5) }), { name: "TimeoutError" });
  assertSameBytes("afterwards", expected, bytesOf((await summarize(month.files, { lookups })).days));
});

test("an abort ends a run that waits for bytes, and every read ends with the run", async () => {
  const signals = [];
  const never = (start, end, signal) => (signals.push(signal), new Promise(() => {}));
  const controller = new AbortController();
  let waiting;
  await new Promise((resolve) => {
    const slice = (...asked) => (resolve(), never(...asked));
    waiting = summarize({ size: large.data.length, slice }, { signal: controller.signal });
  });
  const reason = new Error("enough");
  controller.abort(reason);
  assert.equal(await waiting.catch((error) => error), reason);
  assert.equal(signals[0].reason, reason);

  // The footer comes, then one read of several fails.
  signals.length = 0;
  const slice = (start, end, signal) => {
    if (end === large.data.length) return large.data.slice(start, end);
    return signals.length === 0 ? (signals.push(signal), Promise.reject(new Error("gone"))) : never(start, end, signal);
  };
  const error = await summarize({ name: "a", size: large.data.length, slice }).catch((error) => error);
  assert.deepEqual([error.code, error.file], ["source", "a"], String(error));
  assert.ok(signals.length > 1 && signals.every(({ aborted }) => aborted), `${signals.length} reads`);
});

test("URLs are opened four at a time, and told in their order", async (t) => {
  let [open, most] = [0, 0];
  const waiting = [];
  // None is answered before four are there, and the last of them first; every other one badly.
  const answer = () => {
    for (const [{ url }, response] of waiting.splice(0).reverse()) {
      open -= 1;
      response.writeHead(Number(url.slice(1)) % 2 ? 200 : 503).end(repeated(1, url));
    }
  };
  const server = createServer((...exchange) => {
    most = Math.max(most, ++open);
    if (waiting.push(exchange) === 4) setTimeout(answer, 50); // a fifth would come
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.closeAllConnections() ?? server.close());
  const urls = Array.from({ length: 8 }, (_, index) => `http://127.0.0.1:${server.address().port}/${index}`);
  const options = { malformedLabels: "empty", start: "2025-11-01", end: "2025-11-02" };
  const { report } = await summarize(urls, { ...options, badFiles: "hold" });
  assert.deepEqual([most, report.quarantined.map(({ file }) => file), report.totalRows], [4, ["0", "2", "4", "6"], 4]);
  const error = await summarize(urls, options).catch((error) => error);
  assert.deepEqual([error.code, error.file], ["source", "0"], String(error));
});

test("a row limit gives a first look, and says so", async () => {
  const { days, report } = await summarize(month.files, { lookups, rowLimit: 100 });
  assert.equal(report.firstLook, true);
  assert.ok(days.length > 0 && report.rowsIn < (await summarize(month.files, { lookups })).report.rowsIn);
  assert.equal((await summarize(month.files, { lookups, rowLimit: 1e9 })).report.firstLook, false);
});

test("memory is that of the run itself, whatever ran before", async () => {
  const { report: larger } = await summarize(large);
  const memoryLimit = larger.peakMemory - 1;
  const { report } = await summarize(month.files, { lookups, memoryLimit });
  assert.ok(report.peakMemory <= memoryLimit, `${report.peakMemory} bytes`);
});

test("an engine that cannot be loaded is an error of its own, and the next call tries again", async () => {
  const load = async () => WebAssembly.compile(readFileSync(new URL("../dist/nodejs/daysum.wasm", import.meta.url)));
  const loads = [async () => { throw new Error("404 Not Found") }, async () => WebAssembly.compile(Buffer.from("<html>")), load];
  const own = daysum(() => loads.shift()());
  for (const call of [() => own.summarize(month.files, { lookups, badFiles: "hold" }), () => own.encode([], "csv")]) {
    const error = await call().catch((error) => error);
    assert.deepEqual([error.name, error.code, error.file], ["DaysumError", "engine", undefined], String(error));
    assert.doesNotMatch(error.message, /reload/, "there is no page");
  }
  assertSameBytes("afterwards", expected, bytesOf((await own.summarize(month.files, { lookups })).days));
});

test("a memory limit ends the run with its code", async () => {
  const error = await summarize(month.files, { lookups, memoryLimit: 1000 }).catch((error) => error);
  assert.ok(error instanceof DaysumError);
  assert.equal(error.code, "memory");
});

test("a bad file holds back its days, the others are there", async () => {
  const files = month.files.map((file) => ({ ...file }));
  const bad = files.find(({ name }) => name.includes("pod_usage"));
  bad.data = bad.data.slice(0, -10);
  const error = await summarize(files, { lookups }).catch((error) => error);
  assert.deepEqual([error.code, error.file], ["format", bad.name]);
  const { days, report } = await summarize(files, { lookups, badFiles: "hold" });
  assert.equal(report.quarantined[0].file, bad.name);
  assert.ok(report.daysHeld.length > 0 && days.length > 0);
  assert.ok(days.every(({ day }) => !report.daysHeld.includes(day)));
});

test("a file whose bytes cannot be had is held back like a damaged one", async (t) => {
  const path = join(scratch, "gone.parquet");
  writeFileSync(path, large.data);
  const gone = { name: "gone.parquet", data: await openAsBlob(path) };
  rmSync(path);
  let reads = 0;
  const slice = (start, end) => (++reads > 2 ? Promise.reject(new RangeError("the disk is out")) : large.data.slice(start, end));
  const halfway = { name: "halfway.parquet", size: large.data.length, slice };
  const server = createServer((_, response) => response.writeHead(503).end());
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.closeAllConnections() ?? server.close());
  const unavailable = `http://127.0.0.1:${server.address().port}/unavailable.parquet`;
  const nowhere = "http://127.0.0.1:1/nowhere.parquet";
  const bad = { "gone.parquet": gone, "halfway.parquet": halfway, "unavailable.parquet": unavailable, "nowhere.parquet": nowhere };
  const pods = month.files.filter(({ name }) => name.includes("pod_usage"));
  for (const [name, file] of Object.entries(bad)) {
    reads = 0;
    const error = await summarize([file, ...pods], { start: "2025-11-01", end: "2025-11-02" }).catch((error) => error);
    assert.deepEqual([error.code, error.file], ["source", name], String(error));
  }
  reads = 0;
  const told = [];
  const { report } = await summarize([...Object.values(bad), ...pods], { badFiles: "hold", onDay: ({ day }) => told.push(day) });
  const quarantined = report.quarantined.map(({ code, file }) => [code, file]);
  assert.deepEqual(quarantined.sort(), Object.keys(bad).map((name) => ["source", name]).sort());
  assert.deepEqual([told, report.daysHeld], [[], ["2025-11-01", "2025-11-02"]]);
});

test("where no file can be read, no days are told", async () => {
  const { days, report } = await summarize({ name: "noise", data: new Uint8Array(100) }, { badFiles: "hold" });
  assert.deepEqual([days, report.range, report.daysHeld], [[], null, []]);
  assert.deepEqual(report.quarantined.map(({ file, firstDay, lastDay }) => [file, firstDay, lastDay]), [["noise", null, null]]);
});

test("what a callback throws comes back as it is, and no file is held back for it", async () => {
  for (const thrown of [new RangeError("mine"), new DOMException("mine", "AbortError"), "mine"]) {
    for (const callback of ["onDay", "onProgress"]) {
      const throwing = () => { throw thrown };
      const options = { lookups, badFiles: "hold", [callback]: throwing };
      assert.equal(await summarize(month.files, options).catch((error) => error), thrown, `${callback}: ${thrown}`);
    }
  }
  const reason = new RangeError("enough");
  const controller = new AbortController();
  const aborted = summarize(month.files, { lookups, badFiles: "hold", signal: controller.signal, onDay: () => controller.abort(reason) });
  assert.equal(await aborted.catch((error) => error), reason);
});

test("columns that a file lacks are named", async () => {
  const data = repeated(1, "{}", "node");
  const { report } = await summarize([...month.files, { name: "labels of no node", data }], { lookups });
  const missing = report.files.filter(({ missingColumns }) => missingColumns.length > 0);
  assert.deepEqual(missing.map(({ name, missingColumns }) => [name, missingColumns]), [["labels of no node", ["node"]]]);
});

test("the same file twice is refused", async () => {
  const error = await summarize([month.files[0], month.files[0]], { lookups }).catch((error) => error);
  assert.deepEqual([error.code, error.file], ["overlap", month.files[0].name]);
});

test("daysum merge takes what was folded here", async () => {
  const half = (file) => file.name.includes("pod_usage");
  const { state, report } = await fold(month.files.filter(half), { lookups });
  assert.equal(report.rowsIn, report.totalRows);
  const here = join(scratch, "here.state");
  writeFileSync(here, state);
  const rest = join(scratch, "rest");
  for (const file of month.files.filter((file) => !half(file))) {
    mkdirSync(join(rest, file.name, ".."), { recursive: true });
    writeFileSync(join(rest, file.name), file.data);
  }
  const params = join(month.directory, "params.json");
  native("fold", rest, "--lookups", params, "--output", join(scratch, "there.state"));
  native("merge", here, join(scratch, "there.state"), "--output", join(scratch, "all.state"));
  const output = join(scratch, "days");
  native("finalise", join(scratch, "all.state"), "--lookups", params, "--output", output, "--format", "arrow");
  assertSameBytes("merged natively", expected, daysIn(output));
  const holding = await fold(month.files, { lookups, badFiles: "hold" }).catch((error) => error);
  assert.equal(holding.code, "config");
});

test("a file of lines leaves the engine as it grows", async (t) => {
  const { Instance } = WebAssembly;
  let memory;
  WebAssembly.Instance = function (...args) {
    const instance = new Instance(...args);
    memory = instance.exports.memory;
    return instance;
  };
  t.after(() => (WebAssembly.Instance = Instance));
  const own = daysum(async () => WebAssembly.compile(readFileSync(new URL("../dist/nodejs/daysum.wasm", import.meta.url))));
  const { days } = await own.summarize(month.files, { lookups });
  for (const format of ["csv", "jsonl"]) {
    const one = await own.encode(days, format);
    const times = Math.ceil((32 * 2 ** 20) / one.length);
    const many = await own.encode(Array(times).fill(days).flat(), format);
    assert.ok(many.length > 28 * 2 ** 20, `${format}: ${many.length} bytes`);
    assert.ok(Buffer.compare(one, many.subarray(0, one.length)) === 0);
    assert.ok(memory.buffer.byteLength < 16 * 2 ** 20, `${format}: ${memory.buffer.byteLength} bytes of memory`);
  }
});

test("days become CSV, JSON and sums by namespace", async () => {
  const { days } = await summarize(month.files, { lookups });
  const all = await rows(days);
  const csv = new TextDecoder().decode(await encode(days, "csv"));
  assert.match(csv, /^"report_period_id","cluster_id"/);
  assert.equal(csv.trimEnd().split("\r\n").length, all.length + 1);
  const usage = (list, of) => list.reduce((sum, one) => sum + (of(one) ?? 0), 0);
  const first = all.filter((row) => row.usage_start === days[0].day && row.infrastructure_usage_cost);
  const { namespaces, cpuCapacity } = await overview(days[0]);
  const told = namespaces.filter(({ unallocated }) => !unallocated);
  const near = (a, b) => Math.abs(a - b) <= 1e-9 * Math.max(a, b);
  assert.ok(near(usage(first, (row) => row.pod_usage_cpu_core_hours), usage(told, (one) => one.cpuUsage)));
  assert.equal(cpuCapacity, Math.max(...first.map((row) => row.cluster_capacity_cpu_core_hours ?? 0)));
});
