// Replaces functions that never run here by a trap, so that they and what only they call are not downloaded.
//
//   node snip.mjs FROM.wasm TO.wasm
//
// Linkers keep whatever a table of methods names: parquet's codecs bring their compressors, its reader brings what a
// filter on rows would need. wasm-bindgen drops what nobody calls any more. Should one of these run after all, that
// is a trap, which tests would see as one.
import { readFileSync, writeFileSync } from "node:fs";

/** Parts of mangled names, and why those functions never run. */
const NEVER = [
  // Nothing here compresses, but with snappy.
  /^ZSTD_compress/,
  /zlib_rs(7|\.\.)deflate/,
  /lz4_flex(5|\.\.)block(8|\.\.)compress/,
  // Rows are not filtered while they are decoded, so no column is decoded early, kept and cut.
  /cached_array_reader/,
  /arrow_select(6filter|6concat|10interleave|10dictionary)/,
];

const [from, to] = process.argv.slice(2);
const file = readFileSync(from);

let at = 0;
const number = () => {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = file[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return value;
  }
};
const text = () => {
  const length = number();
  return file.toString("utf8", at, (at += length));
};
const leb = (value) => {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
};

/** Sections as [kind, start, end]. */
const sections = [];
for (at = 8; at < file.length; ) {
  const kind = file[at++];
  const length = number();
  sections.push([kind, at, (at += length)]);
}

function imported() {
  at = sections.find(([kind]) => kind === 2)[1];
  let functions = 0;
  for (let left = number(); left > 0; left -= 1) {
    text(), text();
    const kind = file[at++];
    if (kind !== 0) throw new Error(`an import of kind ${kind}: only functions are expected`);
    number();
    functions += 1;
  }
  return functions;
}

/** Names of functions by index. */
function names() {
  for (const [kind, start, end] of sections) {
    at = start;
    if (kind !== 0 || text() !== "name") continue;
    while (at < end) {
      const part = file[at++];
      const length = number();
      const next = at + length;
      if (part === 1) return new Map(Array.from({ length: number() }, () => [number(), text()]));
      at = next;
    }
  }
  throw new Error(`${from} has no names of functions`);
}

const TRAP = Buffer.from([3, 0, 0x00, 0x0b]); // no locals, unreachable, end
const first = imported();
const named = names();
const seen = new Set();
let dropped = 0;

function code(start) {
  at = start;
  const bodies = Array.from({ length: number() }, (_, index) => {
    const begin = at;
    const length = number();
    at += length;
    const name = named.get(first + index) ?? "";
    const why = NEVER.find((pattern) => pattern.test(name));
    if (!why) return file.subarray(begin, at);
    seen.add(why);
    dropped += length;
    return TRAP;
  });
  return Buffer.concat([leb(bodies.length), ...bodies]);
}

const out = sections.map(([kind, start, end]) => {
  const content = kind === 10 ? code(start) : file.subarray(start, end);
  return Buffer.concat([Buffer.from([kind]), leb(content.length), content]);
});
for (const pattern of NEVER) if (!seen.has(pattern)) throw new Error(`no function is called ${pattern}`);
writeFileSync(to, Buffer.concat([file.subarray(0, 8), ...out]));
console.log(`${dropped} bytes of functions never run`);
