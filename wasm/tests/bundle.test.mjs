// The package through a bundler, as a project of a user's own has it: Vite builds a page, Chromium runs it.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { summarize } from "daysum";
import { build, createServer } from "vite";

import { openPage } from "./lib/browser.mjs";
import { assertSameBytes } from "./lib/compare.mjs";
import { golden } from "./lib/goldens.mjs";
import { install } from "./lib/installed.mjs";

const month = golden("gen-small");

let scratch;
before(() => (scratch = mkdtempSync(join(tmpdir(), "daysum-"))));
after(() => rmSync(scratch, { recursive: true })); // when no server writes there any more

/** A page that summarises the files of its input, and tells each day's bytes. */
function project() {
  const root = mkdtempSync(join(scratch, "project-"));
  install(root);
  mkdirSync(join(root, "src"));
  writeFileSync(join(root, "package.json"), '{ "type": "module" }');
  writeFileSync(join(root, "index.html"), '<link rel="icon" href="data:,"><input type="file" multiple><script type="module" src="/src/main.js"></script>');
  const main = `import { summarize } from "daysum";
    globalThis.summarized = async (names, lookups) => {
      const { files } = document.querySelector("input");
      const { days } = await summarize(names.map((name, index) => ({ name, data: files[index] })), { lookups });
      return days.map(({ day, arrow }) => [day, [...arrow]]);
    };`;
  writeFileSync(join(root, "src/main.js"), main);
  return root;
}

const quiet = { configFile: false, logLevel: "error" };

async function assertSameAsNode(name, page, problems) {
  const { files, lookups } = month;
  await page.waitForFunction(() => globalThis.summarized, undefined, { timeout: 60_000 }).catch((error) => assert.fail(`${error}\n${problems.join("\n")}`));
  await page.setInputFiles("input", files.map(({ path }) => path));
  const names = files.map(({ name }) => name);
  const days = await page.evaluate(({ names, lookups }) => globalThis.summarized(names, lookups), { names, lookups });
  const expected = (await summarize(files, { lookups })).days;
  assert.ok(expected.length > 0);
  assertSameBytes(
    name,
    new Map(expected.map(({ day, arrow }) => [day, Buffer.from(arrow)])),
    new Map(days.map(([day, bytes]) => [day, Buffer.from(bytes)])),
  );
  assert.deepEqual(problems, []);
}

/** README's plugin: an import of a .wasm file is its compiled module. */
const compiled = {
  name: "wasm-module",
  enforce: "pre",
  load(id) {
    if (!id.endsWith(".wasm")) return;
    return `import url from ${JSON.stringify(`${id}?url`)};
      export default await WebAssembly.compile(await (await fetch(url)).arrayBuffer());`;
  },
};

const ways = {
  "the package as it is, without a plugin": {},
  "dist/bundler, with a plugin for modules": { plugins: [compiled], resolve: { conditions: ["workerd"] } },
};
for (const [name, config] of Object.entries(ways)) {
  test(`built: ${name}`, async (t) => {
    const root = project();
    await build({ ...quiet, root, ...config });
    const { page, problems, requests } = await openPage(t, { root: pathToFileURL(`${root}/dist/`) });
    await assertSameAsNode(name, page, problems);
    assert.ok(requests.some((url) => /\/assets\/daysum-[\w-]+\.wasm$/.test(url)), requests.join("\n"));
  });
}

test("served for development", async (t) => {
  const root = project();
  const server = await createServer({ ...quiet, root, server: { port: 0, host: "127.0.0.1" } });
  t.after(() => server.close());
  await server.listen();
  const { page, problems } = await openPage(t);
  await page.goto(`http://127.0.0.1:${server.httpServer.address().port}/`);
  await assertSameAsNode("development", page, problems);
});
