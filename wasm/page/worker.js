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
  async summarize({ files, options }, tell) {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    const names = files.map((file) => ({ name: file.path, data: file.data }));
    const all = { ...options, badFiles: "hold", signal };
    const bytes = files.reduce((sum, { data }) => sum + data.size, 0);
    const answer = async (type, summary) => tell({ type, report: summary.report, days: await overviews(summary) });
    if (bytes > SMALL_BYTES) await answer("first", await summarize(names, { ...all, rowLimit: FIRST_ROWS }));
    const onProgress = (progress) => tell({ type: "progress", ...progress });
    await answer("done", await summarize(names, { ...all, onProgress }));
  },

  async encode({ format }, tell) {
    const name = `daysum-${days[0].day}-${days.at(-1).day}.${format}`;
    const file = await encode(days, format);
    tell({ type: "encoded", name, file }, [file.buffer]);
  },

  cancel() {
    running?.abort();
  },
};

async function overviews(summary) {
  days = summary.days;
  const all = [];
  for (const { day, arrow } of days) all.push({ day, ...(await overview(arrow)) });
  return all;
}

addEventListener("message", async ({ data }) => {
  // Answers have their job's number: those of an earlier one may come late.
  const tell = (message, moved) => postMessage({ id: data.id, ...message }, moved);
  try {
    await jobs[data.job](data, tell);
  } catch (error) {
    const told = error.toJSON?.() ?? { code: error.name, message: error.message };
    tell({ type: error.name === "AbortError" ? "cancelled" : "error", ...told });
  }
});
