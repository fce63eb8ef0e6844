import { readFile } from "node:fs/promises";

import { daysum } from "./daysum.js";

export { DaysumError } from "./daysum.js";

export const { summarize, fold, encode, rows, overview } = daysum(async () =>
  WebAssembly.compile(await readFile(new URL("./daysum.wasm", import.meta.url))),
);
