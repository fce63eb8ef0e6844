// For tools that turn an import of a .wasm file into a compiled module: workerd, wrangler, and bundlers told so.
import module from "./daysum.wasm";

import { daysum } from "./daysum.js";

export { DaysumError } from "./daysum.js";

export const { summarize, fold, encode, rows, overview } = daysum(async () => module);
