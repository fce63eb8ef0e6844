// Thrift's compact protocol, as Parquet's footers and page headers use it: structs are [number, kind, value][].

export const TRUE = 1, FALSE = 2, BYTE = 3, I16 = 4, I32 = 5, I64 = 6, DOUBLE = 7, BINARY = 8, LIST = 9, STRUCT = 12;

export function varint(value) {
  const bytes = [];
  let rest = BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}
const zigzag = (value) => varint(BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n)));

function write(kind, value) {
  if (kind === TRUE || kind === FALSE) return [];
  if (kind === BYTE) return [value];
  if (kind === I16 || kind === I32 || kind === I64) return zigzag(value);
  if (kind === DOUBLE) return [...value];
  if (kind === BINARY) return [...varint(Buffer.byteLength(value)), ...Buffer.from(value)];
  if (kind === STRUCT) return struct(value);
  const [of, items] = value;
  return [0xf0 | of, ...varint(items.length), ...items.flatMap((item) => (of === TRUE ? [item] : write(of, item)))];
}

/** The bytes of a struct. */
export function struct(fields) {
  let last = 0;
  const bytes = fields.flatMap(([number, kind, value]) => {
    const head = ((number - last) << 4) | kind;
    last = number;
    return [head, ...write(kind, value)];
  });
  return [...bytes, 0];
}

/** The struct that bytes begin with, and where it ends. */
export function parse(bytes, at = 0) {
  const number = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const signed = () => {
    const value = number();
    return Number((value >> 1n) ^ -(value & 1n));
  };
  const raw = (length) => Buffer.from(bytes.subarray(at, (at += length)));
  const read = (kind) => {
    if (kind === TRUE || kind === FALSE) return null;
    if (kind === BYTE) return bytes[at++];
    if (kind === I16 || kind === I32 || kind === I64) return signed();
    if (kind === DOUBLE) return raw(8);
    if (kind === BINARY) return raw(Number(number()));
    if (kind === STRUCT) return fields();
    if (kind !== LIST) throw new Error(`kind ${kind} at ${at}`);
    const head = bytes[at++];
    const of = head & 15;
    const length = head >> 4 === 15 ? Number(number()) : head >> 4;
    return [of, Array.from({ length }, () => (of === TRUE ? bytes[at++] : read(of)))];
  };
  const fields = () => {
    const found = [];
    for (let last = 0; ; ) {
      const head = bytes[at++];
      if (head === 0) return found;
      last += head >> 4; // long forms do not occur
      found.push([last, head & 15, read(head & 15)]);
    }
  };
  return { fields: fields(), end: at };
}

/** A list is [kind, items], a struct is [number, kind, value][]. */
const isList = (value) => typeof value[0] === "number";

/** The value of a field, by numbers of fields and positions in lists from the outermost struct on. */
export function get(value, ...path) {
  return path.reduce((now, step) => (isList(now) ? now[1][step] : now.find(([number]) => number === step)?.[2]), value);
}

/** The same struct with another value there. */
export function set(value, path, by) {
  if (path.length === 0) return by;
  const [step, ...rest] = path;
  if (isList(value)) return [value[0], value[1].map((item, index) => (index === step ? set(item, rest, by) : item))];
  return value.map(([number, kind, now]) => [number, kind, number === step ? set(now, rest, by) : now]);
}
