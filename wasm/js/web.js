import { daysum } from "./daysum.js";

export { DaysumError } from "./daysum.js";

// Bundlers understand this form and carry the file along.
const location = new URL("./daysum.wasm", import.meta.url);

export const { summarize, fold, encode, rows, overview } = daysum(async () => {
  const response = await fetch(location);
  if (!response.ok) throw new Error(`${location}: ${response.status} ${response.statusText}`);
  // Not compileStreaming: it refuses servers that do not know the type of .wasm files.
  return WebAssembly.compile(await response.arrayBuffer());
}, "reload the page, or check that daysum.wasm is served");
