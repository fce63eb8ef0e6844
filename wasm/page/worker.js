// Reads and computes away from the page, which stays quick. The finished days stay here until they are downloaded.

import { encode, overview, summarize } from "./daysum/index.js";

/** Rows of a first look; small inputs need none. */
const FIRST_ROWS = 10_000;
const SMALL_BYTES = 4 * 1024 * 1024;

let days = [];
let running;

// Fetches and compiles the engine before there are files. If that fails, the first files say so.
encode([], "jsonl").catch(() => {});

const jobs = {
  async summarize({ files, options }) {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    const names = files.map((file) => ({ name: file.path, data: file.data }));
    const all = { ...options, badFiles: "hold", signal };
    const bytes = files.reduce((sum, { data }) => sum + data.size, 0);
    if (bytes > SMALL_BYTES) await answer("first", await summarize(names, { ...all, rowLimit: FIRST_ROWS }));
    const onProgress = (progress) => postMessage({ type: "progress", ...progress });
    await answer("done", await summarize(names, { ...all, onProgress }));
  },

  async encode({ format }) {
    const file = await encode(days, format);
    postMessage({ type: "encoded", format, file }, [file.buffer]);
  },

  cancel() {
    running?.abort();
  },
};

async function answer(type, summary) {
  days = summary.days;
  const overviews = [];
  for (const { day, arrow } of days) overviews.push({ day, ...(await overview(arrow)) });
  postMessage({ type, days: overviews, report: summary.report });
}

addEventListener("message", async ({ data }) => {
  try {
    await jobs[data.job](data);
  } catch (error) {
    const told = error.toJSON?.() ?? { code: error.name, message: error.message };
    postMessage({ type: error.name === "AbortError" ? "cancelled" : "error", ...told });
  }
});
