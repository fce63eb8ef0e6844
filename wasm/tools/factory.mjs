// Turns the glue of wasm-bindgen's web target, which knows one instance per page, into a function that makes as
// many as are asked for: after a trap the next run needs another one.
import { readFileSync, writeFileSync } from "node:fs";

const [from, to] = process.argv.slice(2);
const glue = readFileSync(from, "utf8");

const replace = (text, what, by) => {
  if (!what.test(text)) throw new Error(`${from}: ${what} is not there; this wasm-bindgen writes something else`);
  return text.replace(what, by);
};

let body = replace(glue, /^export \{.*\};?\s*$/gm, "");
body = replace(body, /^export (class|function) /gm, "$1 ");
// The loader with its URL: index.js compiles the module itself.
body = replace(body, /^async function __wbg_init\([\s\S]*?^\}\n/m, "");
body = replace(body, /^async function __wbg_init_once\([\s\S]*?^\}\n/m, "");
body = replace(body, /^async function __wbg_load\([\s\S]*?^\}\n/m, "");
if (/^(import|export)\b|\bimport\.meta|\bimport\(/m.test(body)) {
  throw new Error(`${from}: an import or export is left over`);
}
const names = [...glue.matchAll(/^export (?:class|function) (\w+)/gm)].map((match) => match[1]);
const api = names.filter((name) => name !== "initSync");

writeFileSync(
  to,
  `// Written by wasm-bindgen; wasm/tools/factory.mjs has put it into a function.
export function instantiate(module) {
// An instance is dropped as a whole. Freeing parts of one that has trapped would trap again.
const FinalizationRegistry = undefined;
${body}
const { memory } = initSync({ module });
return { memory, ${api.join(", ")} };
}
`,
);
