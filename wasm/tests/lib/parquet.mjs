// Parquet files byte by byte, for those that no honest writer makes.
//
// The table is node labels: interval_start, node, node_labels; every column is required, so pages hold values only.

export const SNAPPY = 1;
export const ZSTD = 6;
const PLAIN = 0;
const RLE_DICTIONARY = 8;

/** Thrift's compact protocol: fields as [number, kind, value], in order. */
const I32 = 5, I64 = 6, BINARY = 8, LIST = 9, STRUCT = 12;

function varint(value) {
  const bytes = [];
  let rest = BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}
const zigzag = (value) => varint((BigInt(value) << 1n) ^ (BigInt(value) >> 63n));

function write(kind, value) {
  if (kind === I32 || kind === I64) return zigzag(value);
  if (kind === BINARY) return [...varint(Buffer.byteLength(value)), ...Buffer.from(value)];
  if (kind === STRUCT) return struct(value);
  const [of, items] = value;
  return [0xf0 | of, ...varint(items.length), ...items.flatMap((item) => write(of, item))];
}

function struct(fields) {
  let last = 0;
  const bytes = fields.flatMap(([number, kind, value]) => {
    const head = ((number - last) << 4) | kind;
    last = number;
    return [head, ...write(kind, value)];
  });
  return [...bytes, 0];
}

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
  const footer = Buffer.from(
    struct([
      [1, I32, 1],
      [2, LIST, [STRUCT, [[[4, BINARY, "schema"], [5, I32, columns.length]], ...leaves]]],
      [3, I64, rows],
      [4, LIST, [STRUCT, [[[1, LIST, [STRUCT, chunks]], [2, I64, at], [3, I64, rows]]]]],
    ]),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return new Uint8Array(Buffer.concat([...parts, footer, length, Buffer.from("PAR1")]));
}

/** A zstd frame of zeros: blocks that say "this byte, 128 KiB times". */
export function zstdZeros(size) {
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

/** `rows` times the same row, in some forty bytes a column. */
export function repeated(rows, labels = "{}") {
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
  return file({ rows, codec: SNAPPY, columns });
}

/** Columns whose pages say that they are `told` bytes long when they are decompressed; they hold `held` zeros. */
export function zeros({ rows, held, told, footer = told }) {
  const bytes = zstdZeros(held);
  const column = (name) => ({ name, data: page({ values: rows, bytes, uncompressed: told }), uncompressed: footer });
  return file({ rows, codec: ZSTD, columns: ["interval_start", "node", "node_labels"].map(column) });
}
