// The types as TypeScript's strict compiler takes them, for each way into the package.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import * as daysum from "daysum";

import { install, wasm } from "./lib/installed.mjs";

const ways = {
  web: ["--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2022,dom,dom.iterable", "--types", ""],
  nodejs: ["--module", "nodenext", "--moduleResolution", "nodenext", "--lib", "es2022", "--types", "node"],
  bundler: [
    ...["--module", "esnext", "--moduleResolution", "bundler", "--customConditions", "workerd"],
    ...["--lib", "es2022,webworker", "--types", ""],
  ],
};

test("what npm publishes has its licence", () => {
  const { status, stdout } = spawnSync("npm", ["pack", "--dry-run", "--json", "--offline"], { cwd: wasm, encoding: "utf8" });
  assert.equal(status, 0);
  const paths = JSON.parse(stdout)[0].files.map(({ path }) => path);
  assert.ok(paths.includes("LICENSE") && paths.includes("dist/web/index.js"), paths.join("\n"));
});

for (const [way, flags] of Object.entries(ways)) {
  test(`${way}: a consumer compiles, wrong uses do not`, (t) => {
    const project = mkdtempSync(join(tmpdir(), "daysum-"));
    t.after(() => rmSync(project, { recursive: true }));
    install(project);
    writeFileSync(join(project, "package.json"), '{ "type": "module" }');
    copyFileSync(join(wasm, "tests/types/consumer.ts"), join(project, "consumer.ts"));
    // What is there when it runs is what the types say, no more and no less.
    const names = Object.keys(daysum).map((name) => JSON.stringify(name)).join(" | ");
    const exports = `import * as daysum from "daysum";\ndeclare const names: ${names};\nexport const declared: keyof typeof daysum = names;
declare const keys: keyof typeof daysum;\nexport const there: ${names} = keys;\n`;
    writeFileSync(join(project, "exports.ts"), exports);
    // Without skipLibCheck, so that the package's own file is checked too.
    const compiler = join(wasm, "node_modules/typescript/bin/tsc");
    const roots = ["--target", "es2022", "--typeRoots", join(wasm, "node_modules/@types")];
    const args = ["--noEmit", "--strict", "--listFiles", ...roots, ...flags, "consumer.ts", "exports.ts"];
    const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, ...args], { cwd: project, encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
    const read = stdout.split("\n").filter((path) => path.includes("/daysum/dist/"));
    assert.deepEqual(read.map((path) => path.split("/").slice(-3).join("/")), [`dist/${way}/index.d.ts`]);
  });
}
