// The page: hands files to the worker, draws what comes back.

import { drawDays, drawNamespaces, drawUnallocated } from "./charts.js";
import { chosen, dropped, sorted } from "./files.js";
import { count, counted, drawReport } from "./report.js";
import { Table } from "./table.js";

const $ = (id) => document.getElementById(id);
const table = new Table($("table"), $("more"), $("filter"), $("day"));
const UNITS = { cpu: "core-hours", memory: "GiB-hours" };
const LARGEST = 12;

let worker;
let days = [];
/** Choices of files so far, and which of them was the last to be read: answers to earlier ones may still come. */
let [asked, job] = [0, 0];
/** What the last to be read was chosen with. */
let choice;
/** The quarter of the rows that was last announced. */
let quarter = 0;

function post(message) {
  worker ??= startWorker();
  worker.postMessage({ id: job, ...message });
}

/** With an address of its own, a worker would have a policy of its own. By way of a blob it has the page's. */
function startWorker() {
  const module = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
  const started = new Worker(URL.createObjectURL(new Blob([module], { type: "text/javascript" })), { type: "module" });
  started.addEventListener("message", ({ data }) => {
    if (data.id === job || data.type === "encoded") answers[data.type](data);
  });
  started.addEventListener("error", (event) => {
    // The next files start another one; the days are gone with this.
    started.terminate();
    worker = undefined;
    hide($("downloads"), $("drop-title"));
    fail({ message: event.message || "The worker could not be started: reload the page." });
  });
  return started;
}

async function start(files) {
  const number = ++asked;
  $("error").hidden = true;
  try {
    const { parquet, lookups, hidden } = await sorted(await files);
    const seen = hidden.length > 0 ? " whose name does not begin with a dot" : "";
    if (parquet.length === 0) throw new Error(`There is no .parquet file among these${seen}.`);
    if (number < job) return; // a folder that took its time, and was overtaken
    const keys = $("keys").value.split(",").map((key) => key.trim()).filter(Boolean);
    const options = { lookups: lookups?.text, start: $("start").value || undefined, end: $("end").value || undefined };
    if (keys.length > 0) options.enabledKeys = keys;
    options.sourceUuid = $("source").value.trim() || undefined;
    [job, quarter] = [number, 0];
    choice = { lookups, hidden, source: options.sourceUuid };
    $("status").hidden = false;
    hide($("result"), $("cancel"));
    say(`Reading ${counted(parquet.length, "file")}.`);
    progress({ rows: 0, totalRows: 0, bytesRead: 0, file: parquet[0].path });
    post({ job: "summarize", files: parquet, options });
  } catch (error) {
    tell(error);
  }
}

const answers = {
  progress,
  first: (message) => show(message, true),
  done(message) {
    show(message, false);
    end(`Done: ${counted(days.length, "day")}, ${counted(message.report.rowsOut, "summary row")}.`);
  },
  cancelled: stop,
  error: fail,
  encoded: save,
};

function progress({ rows, totalRows, bytesRead, file }) {
  const bar = $("progress");
  if (totalRows > 0) bar.value = rows / totalRows;
  else bar.removeAttribute("value");
  const told = totalRows > 0 ? `${count(rows)} of ${count(totalRows)} rows` : "Looking at the files";
  $("progress-text").textContent = `${told}, ${(bytesRead / 1e6).toFixed(1)} MB read${file ? `, ${file.split("/").at(-1)}` : ""}`;
  const now = Math.floor((4 * rows) / Math.max(totalRows, 1));
  if (now <= quarter || now === 4) return;
  quarter = now; // never back: where a file is given up, the run begins again without it
  say(`${25 * now} % of the rows are read.`);
}

/** For those who do not see the page: now and then, not with every row. */
function say(text) {
  $("said").textContent = text;
}

/** The run is over, whichever way. */
function end(text) {
  say(text);
  const title = $($("result").hidden ? "drop-title" : "report-title");
  if (document.activeElement === document.body) title.focus({ preventScroll: true });
  hide($("status"), title);
}

/** The focus must not go with what is hidden. */
function hide(element, instead) {
  if (element.contains(document.activeElement)) instead.focus({ preventScroll: true });
  element.hidden = true;
}

function stop() {
  $("first-look").textContent = "Stopped: only the first rows.";
  end("Stopped.");
}

function fail(error) {
  if (!$("status").hidden) stop();
  tell(error);
}

function tell({ message }) {
  $("error").textContent = message;
  $("error").hidden = false;
}

function show(message, first) {
  days = message.days;
  drawReport(message.report, choice, first);
  $("first-look").textContent = "A first look at the first rows; the rest is being read.";
  $("first-look").hidden = !first;
  $("downloads").hidden = first;
  $("result").hidden = false;
  for (const id of ["charts", "namespaces"]) $(id).hidden = days.length === 0;
  table.show(days);
  draw();
}

function draw() {
  if (days.length === 0 || $("result").hidden) return;
  const of = document.querySelector("input[name=resource]:checked").value;
  const unit = UNITS[of];
  const sum = (list, field) => list.reduce((total, one) => total + one[field], 0);
  const byDay = days.map(({ day, namespaces, [`${of}Capacity`]: capacity }) => {
    const used = namespaces.filter(({ unallocated }) => !unallocated);
    const left = (name) => sum(namespaces.filter((one) => one.unallocated && one.namespace === name), `${of}Effective`);
    return {
      day,
      capacity,
      usage: sum(used, `${of}Usage`),
      request: sum(used, `${of}Request`),
      worker: left("Worker unallocated"),
      platform: left("Platform unallocated"),
      unknown: left(null),
    };
  });
  const byName = new Map();
  for (const one of days.flatMap(({ namespaces }) => namespaces)) {
    if (one.unallocated || one.namespace === null) continue;
    const total = byName.get(one.namespace) ?? { namespace: one.namespace, usage: 0, request: 0 };
    total.usage += one[`${of}Usage`];
    total.request += one[`${of}Request`];
    byName.set(one.namespace, total);
  }
  const size = ({ usage, request }) => Math.max(usage, request);
  const largest = [...byName.values()].sort((a, b) => size(b) - size(a)).slice(0, LARGEST);
  for (const caption of document.querySelectorAll("figcaption")) {
    const told = document.createElement("span");
    told.className = "unit";
    told.textContent = `, ${unit}`;
    caption.replaceChildren(caption.firstChild.textContent, told);
  }
  drawDays($("chart-days"), byDay, unit);
  drawUnallocated($("chart-unallocated"), byDay, unit);
  drawNamespaces($("chart-namespaces"), largest, unit);
}

function save({ name, file }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([file]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

for (const input of [$("files"), $("folder")]) {
  input.addEventListener("change", () => {
    const files = chosen(input.files);
    input.value = ""; // the same files may be chosen again
    if (files.length > 0) start(files);
  });
}
const drop = $("drop");
addEventListener("dragover", (event) => (event.preventDefault(), drop.classList.add("over")));
addEventListener("dragleave", (event) => event.relatedTarget ?? drop.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  start(dropped(event.dataTransfer));
});
$("cancel").addEventListener("click", () => post({ job: "cancel" }));
$("resource").addEventListener("change", draw);
$("downloads").addEventListener("click", ({ target }) => {
  if (target.dataset.format) post({ job: "encode", format: target.dataset.format });
});
let width = innerWidth;
addEventListener("resize", () => innerWidth !== width && ((width = innerWidth), draw()));

// The engine is fetched and compiled before there are files.
worker = startWorker();
// Where a browser offers it, the page opens again without a network.
navigator.serviceWorker?.register("offline.js", { type: "module" }).catch(() => {});
