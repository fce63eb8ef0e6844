// Keeps the page's own files, and answers with them when there is no network.

const KEPT = "daysum";
const FILES = [
  "./", "style.css", "icon.svg", "page.js", "charts.js", "files.js", "report.js", "table.js", "worker.js",
  ...["index.js", "daysum.js", "core.js", "engine.js", "errors.js", "lookups.js", "run.js", "source.js", "daysum.wasm"].map(
    (name) => `daysum/${name}`,
  ),
];
const URLS = new Set(FILES.map((name) => new URL(name, location).href));

addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)).then(() => skipWaiting()));
});
addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== location.origin) return;
  event.respondWith(fetchOrKept(event, origin + pathname.replace(/\/index\.html$/, "/")));
});

/** The network first, so that a new version is seen at once, and is the one that is kept. */
async function fetchOrKept(event, url) {
  try {
    const response = await fetch(event.request);
    if (response.status === 200 && URLS.has(url)) event.waitUntil(keep(url, response.clone()));
    return response;
  } catch (error) {
    const kept = await caches.match(url);
    if (kept) return kept;
    throw error;
  }
}

async function keep(url, response) {
  const cache = await caches.open(KEPT);
  await cache.put(url, response);
}
