// What a visitor downloads: the engine and its JavaScript, as brotli 11 makes them. Fails above the budget.
import { readdirSync, readFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";

const BUDGET = 660_000;
const dist = new URL("../dist/web/", import.meta.url);

let whole = 0;
for (const name of readdirSync(dist).filter((name) => !name.endsWith(".d.ts"))) {
  const bytes = readFileSync(new URL(name, dist));
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_LGWIN]: 24,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  const small = brotliCompressSync(bytes, { params }).length;
  whole += small;
  console.log(`${name.padEnd(14)} ${String(bytes.length).padStart(9)} bytes, brotli ${String(small).padStart(7)}`);
}
console.log(`the package: brotli ${whole} bytes, budget ${BUDGET}`);
if (whole > BUDGET) {
  console.error(`${whole - BUDGET} bytes too many`);
  process.exit(1);
}
