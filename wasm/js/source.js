// Where bytes come from: anything of which ranges can be read.
//
//   source = { name, size, version, read(start, end, signal) -> Promise<Uint8Array> }
//
// Nothing here ever reads a large file whole.

import { DaysumError, misuse, unreadable } from "./errors.js";

/** A server that ignores `Range` sends everything: up to this size that is as good. */
const WHOLE = 16 * 1024 * 1024;
/** The first request brings the end of the file, where the footer is. */
const TAIL = 64 * 1024;

/** User and password at the beginning of a URL, however the slashes are written. */
const USER = /^(\s*(?:[a-z][a-z\d+.-]*:[\\/]*|[\\/]{2}))[^\\/?#]*@/i;

/**
 * Inputs as { name, data, redirect }. A file chosen as part of a directory is named by its path: koku's paths tell month
 * and source.
 * @param {import("./daysum.js").Input | Iterable<import("./daysum.js").Input>} files
 */
export function inputsOf(files) {
  const list = isSingle(files) ? [files] : [...files];
  return list.map((input, index) => {
    const { name: given, data, redirect = "follow" } = isNamed(input) ? input : { data: input };
    const own = isUrl(data) ? nameOfUrl(String(data)) : data?.webkitRelativePath || data?.name;
    const name = given || own || `file-${index + 1}.parquet`;
    if (typeof name !== "string") throw misuse(`file ${index + 1} of ${list.length}: its name is no text`);
    if (!isUrl(data) && !isSliceable(data) && !bytesOf(data)) {
      throw misuse("give a File, a Blob, bytes, a URL, or an object with size and slice(start, end)", name);
    }
    if (isUrl(data) && USER.test(data)) throw misuse("no URL with user and password in it can be fetched", name);
    if (!["follow", "error"].includes(redirect)) throw misuse('redirect is "follow" or "error"', name);
    return { name, data, redirect };
  });
}

/** @param {AbortSignal} signal */
export async function openSource({ name, data, redirect }, signal) {
  if (isUrl(data)) return openUrl(String(data), name, redirect, signal);
  return isSliceable(data) ? ofSlices(name, data) : ofBytes(name, bytesOf(data));
}

function isSingle(files) {
  return typeof files === "string" || ArrayBuffer.isView(files) || typeof files?.[Symbol.iterator] !== "function";
}

function isNamed(input) {
  return input !== null && typeof input === "object" && "data" in input && !isSliceable(input);
}

function isUrl(data) {
  return typeof data === "string" || data instanceof URL;
}

function isSliceable(data) {
  return typeof data?.size === "number" && typeof data.slice === "function";
}

/** Bytes in whatever form, or undefined; those of a frame or of a test's sandbox are no instances of the classes here. */
export function bytesOf(data) {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return Object.prototype.toString.call(data) === "[object ArrayBuffer]" ? new Uint8Array(data) : undefined;
}

function ofBytes(name, bytes) {
  return { name, size: bytes.length, read: async (start, end) => bytes.subarray(start, end) };
}

function ofSlices(name, data) {
  const version = typeof data.lastModified === "number" ? String(data.lastModified) : undefined;
  const read = async (start, end, signal) => {
    const part = await data.slice(start, end, signal); // to a Blob a content type, of which nothing is made
    const bytes = bytesOf(part) ?? bytesOf(await part?.arrayBuffer?.());
    if (!bytes) throw misuse("slice(start, end) must give bytes, or what has arrayBuffer()", name);
    return bytes;
  };
  return { name, size: data.size, version, read };
}

async function openUrl(url, name, redirect, signal) {
  const ask = (range, signal) => request(url, name, range, redirect, signal);
  let response = await ask(`-${TAIL}`, signal);
  const told = sizeIn(response);
  // Some servers refuse to tell more last bytes than there are.
  if (response.status === 416 && told > 0) response = await ask(`${Math.max(told - TAIL, 0)}-${told - 1}`, signal);
  if (!response.ok) throw sourceError(name, refusal(response));
  const version = versionOf(response);
  if (response.status !== 206) return { ...ofBytes(name, await whole(response, name)), version };
  const size = sizeIn(response);
  if (!Number.isSafeInteger(size)) {
    await response.body?.cancel();
    throw sourceError(name, "the server does not say how large the file is; CORS must expose Content-Range");
  }
  const tail = new Uint8Array(await response.arrayBuffer());
  const read = async (start, end, signal) => {
    const skipped = size - tail.length;
    if (start >= skipped) return tail.subarray(start - skipped, end - skipped);
    const part = await ask(`${start}-${end - 1}`, signal);
    if (!part.ok) throw sourceError(name, refusal(part));
    if (part.status !== 206 || versionOf(part) !== version) {
      await part.body?.cancel();
      throw sourceError(name, "the file has changed while it was read");
    }
    return new Uint8Array(await part.arrayBuffer());
  };
  return { name, size, version, read };
}

async function request(url, name, range, redirect, signal) {
  // Workers of Cloudflare know no redirect: "error". What is not followed is an answer that is not ok.
  const options = { headers: { Range: `bytes=${range}` }, redirect: redirect === "error" ? "manual" : "follow", signal };
  const response = await fetch(url, options).catch((thrown) => {
    throw unreadable(thrown, name);
  });
  if (!response.ok) await response.body?.cancel();
  return response;
}

function refusal(response) {
  const { status, statusText, type } = response;
  const size = sizeIn(response);
  // Any other file has a last byte that could be asked for.
  if (status === 416 && size === 0) return "the file is empty";
  if (status === 416 && Number.isNaN(size)) {
    return "the server has no such range, and does not say how large the file is; CORS must expose Content-Range";
  }
  if (type === "opaqueredirect" || (status >= 300 && status < 400)) return "the server redirects to another address";
  return `the server answers ${status} ${statusText}`.trimEnd();
}

function sizeIn({ headers }) {
  return Number(headers.get("content-range")?.split("/")[1]);
}

function versionOf({ headers }) {
  return headers.get("etag") ?? headers.get("last-modified") ?? undefined;
}

/** A body in one piece, unless it is too large: its length is not always told beforehand. */
async function whole(response, name) {
  if (!response.body) throw sourceError(name, `the server answers ${response.status} without content`);
  const reader = response.body.getReader();
  const parts = [];
  let size = Number(response.headers.get("content-length") ?? 0);
  for (let length = 0; size <= WHOLE; size = length) {
    const { done, value } = await reader.read();
    if (done) return joined(parts);
    parts.push(value);
    length += value.length;
  }
  await reader.cancel();
  throw sourceError(name, "the server answers no ranges (bytes=…), and the file is too large to read whole");
}

/** @param {Uint8Array[]} parts */
export function joined(parts) {
  const all = new Uint8Array(parts.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function sourceError(file, why) {
  return new DaysumError({ code: "source", message: `${file}: ${why}`, file });
}

function nameOfUrl(url) {
  const path = url.replace(USER, "$1").split(/[?#]/)[0];
  const name = path.slice(path.indexOf("//") < 0 ? 0 : path.indexOf("/", path.indexOf("//") + 2) + 1);
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // a percent sign that stands for itself
  }
}
