// Keeps the page's own files, and answers with them when there is no network. Nothing else is ever fetched.

const KEPT = "daysum";
const FILES = [
  "./", "style.css", "icon.svg", "page.js", "charts.js", "files.js", "report.js", "table.js", "worker.js",
  ...["index.js", "daysum.js", "core.js", "engine.js", "errors.js", "lookups.js", "run.js", "source.js", "daysum.wasm"].map(
    (name) => `daysum/${name}`,
  ),
];

addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)).then(() => skipWaiting()));
});
addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || new URL(event.request.url).origin !== location.origin) return;
  event.respondWith(fetchOrKept(event.request));
});

/** The network first, so that a new version is seen at once. */
async function fetchOrKept(request) {
  try {
    return await fetch(request);
  } catch (error) {
    const kept = await caches.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
