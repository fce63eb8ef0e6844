// Serves wasm/dist/page on this machine: `node serve.mjs [PORT]`.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { pathToFileURL } from "node:url";

const page = new URL("../dist/page/", import.meta.url);
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** @returns {Promise<import("node:http").Server>} listening on this machine only */
export function serve(port, root = page) {
  const server = createServer(async (request, response) => {
    try {
      const path = new URL(request.url, "http://localhost").pathname;
      // URL has resolved every `..`; what is left starts below the root.
      const file = new URL(`.${path.endsWith("/") ? `${path}index.html` : path}`, root);
      const bytes = await readFile(file);
      const headers = { "content-type": TYPES[extname(file.pathname)] ?? "application/octet-stream" };
      response.writeHead(200, { ...headers, "x-content-type-options": "nosniff", "cache-control": "no-cache" });
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const server = await serve(Number(process.argv[2] ?? 8000));
  console.log(`http://127.0.0.1:${server.address().port}/`);
}
