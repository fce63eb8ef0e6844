// Where bytes come from: anything of which ranges can be read.
//
//   source = { name, size, version, read(start, end, signal) -> Promise<Uint8Array> }
//
// Nothing here ever reads a large file whole.

import { DaysumError } from "./errors.js";

/** A server that ignores `Range` sends everything: up to this size that is as good. */
const WHOLE = 16 * 1024 * 1024;
/** The first request brings the end of the file, where the footer is. */
const TAIL = 64 * 1024;

/**
 * @param {import("./daysum.js").Input} input
 * @param {number} index
 * @param {AbortSignal} [signal]
 */
export async function openSource(input, index, signal) {
  const named = isNamed(input) ? input : { data: input };
  const { data } = named;
  const name = named.name ?? nameOf(data) ?? `file-${index + 1}.parquet`;
  if (typeof data === "string" || data instanceof URL) return openUrl(String(data), named.name, signal);
  if (data instanceof ArrayBuffer) return ofBytes(name, new Uint8Array(data));
  if (ArrayBuffer.isView(data)) return ofBytes(name, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  if (typeof data?.size === "number" && typeof data.slice === "function") return ofSlices(name, data);
  const message = `${name}: give a File, a Blob, bytes, a URL, or an object with size and slice(start, end)`;
  throw new DaysumError({ code: "config", message, file: name });
}

function isNamed(input) {
  return input !== null && typeof input === "object" && "data" in input;
}

/** A file chosen as part of a directory is named by its path: koku's paths tell month and source. */
function nameOf(data) {
  if (typeof data !== "object" || data === null) return undefined;
  return data.webkitRelativePath || data.name || undefined;
}

function ofBytes(name, bytes) {
  return { name, size: bytes.length, read: async (start, end) => bytes.subarray(start, end) };
}

function ofSlices(name, data) {
  const version = typeof data.lastModified === "number" ? String(data.lastModified) : undefined;
  const read = async (start, end) => {
    const part = await data.slice(start, end);
    if (part instanceof Uint8Array) return part;
    return new Uint8Array(part instanceof ArrayBuffer ? part : await part.arrayBuffer());
  };
  return { name, size: data.size, version, read };
}

async function openUrl(url, name = nameOfUrl(url), signal) {
  const response = await request(url, name, { Range: `bytes=-${TAIL}` }, signal);
  const version = response.headers.get("etag") ?? response.headers.get("last-modified") ?? undefined;
  if (response.status !== 206) {
    const length = Number(response.headers.get("content-length") ?? Infinity);
    if (length > WHOLE) {
      await response.body?.cancel();
      const message = `${name}: the server answers no ranges (bytes=…), and the file is too large to read whole`;
      throw new DaysumError({ code: "source", message, file: name });
    }
    return { ...ofBytes(name, new Uint8Array(await response.arrayBuffer())), version };
  }
  const size = Number(response.headers.get("content-range")?.split("/")[1]);
  if (!Number.isSafeInteger(size)) {
    await response.body?.cancel();
    const message = `${name}: the server does not say how large the file is; CORS must expose Content-Range`;
    throw new DaysumError({ code: "source", message, file: name });
  }
  const tail = new Uint8Array(await response.arrayBuffer());
  const read = async (start, end, signal) => {
    const skipped = size - tail.length;
    if (start >= skipped) return tail.subarray(start - skipped, end - skipped);
    const part = await request(url, name, { Range: `bytes=${start}-${end - 1}` }, signal);
    const etag = part.headers.get("etag") ?? part.headers.get("last-modified") ?? undefined;
    if (part.status !== 206 || etag !== version) {
      await part.body?.cancel();
      const message = `${name}: the file has changed while it was read`;
      throw new DaysumError({ code: "source", message, file: name });
    }
    return new Uint8Array(await part.arrayBuffer());
  };
  return { name, size, version, read };
}

async function request(url, name, headers, signal) {
  const response = await fetch(url, { headers, signal });
  // 416: the file is shorter than the tail that was asked for, and empty.
  if (response.ok) return response;
  await response.body?.cancel();
  const message = `${name}: the server answers ${response.status} ${response.statusText}`.trimEnd();
  throw new DaysumError({ code: "source", message, file: name });
}

function nameOfUrl(url) {
  const path = url.split(/[?#]/)[0];
  return decodeURIComponent(path.slice(path.indexOf("//") < 0 ? 0 : path.indexOf("/", path.indexOf("//") + 2) + 1));
}
