// A project of a user's own that has the package installed.
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const wasm = fileURLToPath(new URL("../../", import.meta.url));

/** Copies what npm would publish; a link is another case to bundlers. */
export function install(project) {
  const target = join(project, "node_modules/daysum");
  mkdirSync(target, { recursive: true });
  const { files } = JSON.parse(readFileSync(join(wasm, "package.json"), "utf8"));
  for (const path of ["package.json", ...files]) cpSync(join(wasm, path), join(target, path), { recursive: true });
}
