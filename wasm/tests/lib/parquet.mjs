// Parquet files byte by byte, for those that no honest writer makes.
//
// The table is node labels: interval_start, node, node_labels; every column is required, so pages hold values only.

import { gzipSync } from "node:zlib";

import { BINARY, get, I32, I64, LIST, parse, set, STRUCT, struct, varint } from "./thrift.mjs";

export const SNAPPY = 1;
export const GZIP = 2;
export const ZSTD = 6;
export const LZ4 = 7;
const PLAIN = 0;
const RLE_DICTIONARY = 8;

/** One page with its header; `uncompressed` may be a lie. */
export function page({ kind = 0, values, encoding = PLAIN, bytes, uncompressed }) {
  const facts = kind === 2
    ? [7, STRUCT, [[1, I32, values], [2, I32, PLAIN]]]
    : [5, STRUCT, [[1, I32, values], [2, I32, encoding], [3, I32, 3], [4, I32, 3]]];
  return Buffer.concat([Buffer.from(struct([[1, I32, kind], [2, I32, uncompressed], [3, I32, bytes.length], facts])), bytes]);
}

/**
 * A file of one row group.
 * @param {{rows: number, codec: number, columns: {name: string, dictionary?: Buffer, data: Buffer, uncompressed: number}[]}} file
 */
export function file({ rows, codec, columns }) {
  const parts = [Buffer.from("PAR1")];
  let at = 4;
  const add = (bytes) => (parts.push(bytes), (at += bytes.length));
  const chunks = columns.map(({ name, dictionary, data, uncompressed }) => {
    const start = at;
    if (dictionary) add(dictionary);
    const dataAt = at;
    add(data);
    const facts = [
      [1, I32, name === "interval_start" ? 2 : 6],
      [2, LIST, [I32, [PLAIN, 3, RLE_DICTIONARY]]],
      [3, LIST, [BINARY, [name]]],
      [4, I32, codec],
      [5, I64, rows],
      [6, I64, uncompressed],
      [7, I64, at - start],
      [9, I64, dataAt],
      ...(dictionary ? [[11, I64, start]] : []),
    ];
    return [[2, I64, start], [3, STRUCT, facts]];
  });
  const leaves = columns.map(({ name }) =>
    name === "interval_start"
      ? [[1, I32, 2], [3, I32, 0], [4, BINARY, name], [6, I32, 9]]
      : [[1, I32, 6], [3, I32, 0], [4, BINARY, name], [6, I32, 0]],
  );
  const footer = struct([
    [1, I32, 1],
    [2, LIST, [STRUCT, [[[4, BINARY, "schema"], [5, I32, columns.length]], ...leaves]]],
    [3, I64, rows],
    [4, LIST, [STRUCT, [[[1, LIST, [STRUCT, chunks]], [2, I64, at], [3, I64, rows]]]]],
  ]);
  return new Uint8Array(Buffer.concat([...parts, tail(footer)]));
}

/** What `size` zeros become at best, by codec. */
export const zerosIn = {
  [SNAPPY]: snappyZeros,
  [GZIP]: (size) => gzipSync(Buffer.alloc(size), { level: 9 }),
  [ZSTD]: zstdZeros,
  [LZ4]: lz4Zeros,
};

/** A zero, then "the last byte, 64 times" again and again. */
function snappyZeros(size) {
  const copies = Math.ceil((size - 1) / 64);
  const bytes = Buffer.alloc(3 * copies, Buffer.from([(63 << 2) | 2, 1, 0]));
  bytes[bytes.length - 3] = ((size - 2) % 64 << 2) | 2;
  return Buffer.concat([Buffer.from(varint(size)), Buffer.from([0, 0]), bytes]);
}

/** A zero, "the last byte, some million times", and the last bytes as they are, which LZ4 wants. */
function lz4Zeros(size) {
  const repeated = size - 1 - 12 - 4 - 15;
  const length = Buffer.alloc(Math.floor(repeated / 255) + 1, 255);
  length[length.length - 1] = repeated % 255;
  return Buffer.concat([Buffer.from([0x1f, 0, 1, 0]), length, Buffer.from([0xc0, ...Buffer.alloc(12)])]);
}

/** A zstd frame of blocks that say "this byte, 128 KiB times". */
function zstdZeros(size) {
  const frame = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0])]; // single segment, content size in four bytes
  const head = Buffer.alloc(4);
  head.writeUInt32LE(size);
  frame.push(head);
  for (let left = size; left > 0; ) {
    const now = Math.min(left, 1 << 17);
    left -= now;
    const block = (now << 3) | (1 << 1) | (left === 0 ? 1 : 0);
    frame.push(Buffer.from([block & 0xff, (block >> 8) & 0xff, (block >> 16) & 0xff, 0]));
  }
  return Buffer.concat(frame);
}

/** Snappy's form of bytes that are not compressed: one literal. */
export function snappyStored(bytes) {
  const length = bytes.length - 1;
  const head = length < 60 ? [length << 2] : [61 << 2, length & 0xff, length >> 8];
  return Buffer.concat([Buffer.from([...varint(bytes.length), ...head]), bytes]);
}

/** `rows` times the same row, in some forty bytes a column; without one of its columns, if that is named. */
export function repeated(rows, labels = "{}", without = undefined) {
  const text = (value) => Buffer.concat([Buffer.from(Uint32Array.of(value.length).buffer), Buffer.from(value)]);
  const day = Buffer.alloc(8);
  day.writeBigInt64LE(BigInt(Date.UTC(2025, 10, 1)));
  const column = (name, value) => {
    const keys = Buffer.from([1, ...varint(BigInt(rows) << 1n), 0]); // one bit a key, one run of key 0
    const dictionary = page({ kind: 2, values: 1, bytes: snappyStored(value), uncompressed: value.length });
    const data = page({ values: rows, encoding: RLE_DICTIONARY, bytes: snappyStored(keys), uncompressed: keys.length });
    return { name, dictionary, data, uncompressed: dictionary.length + data.length };
  };
  const columns = [column("interval_start", day), column("node", text("n1")), column("node_labels", text(labels))];
  return file({ rows, codec: SNAPPY, columns: columns.filter(({ name }) => name !== without) });
}

/** Columns whose pages say that they are `told` bytes long when they are decompressed; they hold `held` zeros. */
export function zeros({ rows, held, told, footer = told, codec = ZSTD }) {
  const bytes = zerosIn[codec](held);
  const column = (name) => ({ name, data: page({ values: rows, bytes, uncompressed: told }), uncompressed: footer });
  return file({ rows, codec, columns: ["interval_start", "node", "node_labels"].map(column) });
}

/** A file in parts that can be changed: its footer, and the pages of every column chunk. */
export function take(bytes) {
  const length = Buffer.from(bytes.slice(-8, -4)).readUInt32LE();
  const footerAt = bytes.length - 8 - length;
  const footer = parse(bytes, footerAt).fields;
  const chunks = get(footer, 4)[1].flatMap((group, rowGroup) =>
    get(group, 1)[1].map((chunk, position) => {
      const facts = get(chunk, 3);
      const pages = [];
      let at = Math.min(...[get(facts, 9), get(facts, 11)].filter((offset) => offset !== undefined));
      for (const end = at + get(facts, 7); at < end; ) {
        const { fields: header, end: bodyAt } = parse(bytes, at);
        const next = bodyAt + get(header, 3);
        pages.push({ at, bodyAt, end: next, header, body: bytes.subarray(bodyAt, next) });
        at = next;
      }
      return { rowGroup, position, column: String(get(facts, 3)[1].at(-1)), pages };
    }),
  );
  return { footer, footerAt, chunks };
}

/** The file again, with all its offsets and sizes as they are now. */
export function assemble({ footer, chunks }) {
  const parts = [Buffer.from("PAR1")];
  let at = 4;
  for (const { rowGroup, position, pages } of chunks) {
    const start = at;
    const facts = [4, rowGroup, 1, position, 3];
    const found = {};
    for (const { header, body } of pages) {
      found[get(header, 1) === 2 ? 11 : 9] ??= at;
      const head = Buffer.from(struct(header));
      parts.push(head, body);
      at += head.length + body.length;
    }
    for (const [field, offset] of Object.entries(found)) footer = set(footer, [...facts, Number(field)], offset);
    footer = set(footer, [...facts, 7], at - start);
  }
  return new Uint8Array(Buffer.concat([...parts, tail(struct(footer))]));
}

/** The end of a file. */
export function tail(footer) {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([Buffer.from(footer), length, Buffer.from("PAR1")]);
}
