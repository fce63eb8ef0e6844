// The page: hands files to the worker, draws what comes back.

import { drawDays, drawNamespaces, drawUnallocated } from "./charts.js";
import { chosen, dropped, sorted } from "./files.js";
import { drawReport } from "./report.js";
import { Table } from "./table.js";

const $ = (id) => document.getElementById(id);
const worker = new Worker("worker.js", { type: "module" });
const table = new Table($("table"), $("more"), $("filter"), $("day"));
const UNITS = { cpu: "core-hours", memory: "GiB-hours" };
const LARGEST = 12;

let days = [];

async function start(files) {
  $("error").hidden = true;
  $("result").hidden = true;
  try {
    const { parquet, lookups } = await sorted(await files);
    if (parquet.length === 0) throw new Error("There is no .parquet file among these.");
    const keys = $("keys").value.split(",").map((key) => key.trim()).filter(Boolean);
    const options = { lookups, start: $("start").value || undefined, end: $("end").value || undefined };
    if (keys.length > 0) options.enabledKeys = keys;
    progress({ rows: 0, totalRows: 0, bytesRead: 0, file: parquet[0].path });
    worker.postMessage({ job: "summarize", files: parquet, options });
  } catch (error) {
    fail(error);
  }
}

const answers = {
  progress,
  first: (message) => show(message, true),
  done: (message) => (show(message, false), ($("status").hidden = true)),
  cancelled: () => ($("status").hidden = true),
  error: fail,
  encoded: save,
};
worker.addEventListener("message", ({ data }) => answers[data.type](data));
worker.addEventListener("error", (event) => fail({ message: event.message || "The worker could not be started." }));

function progress({ rows, totalRows, bytesRead, file }) {
  $("status").hidden = false;
  const bar = $("progress");
  if (totalRows > 0) bar.value = rows / totalRows;
  else bar.removeAttribute("value");
  const count = (value) => value.toLocaleString("en");
  const told = totalRows > 0 ? `${count(rows)} of ${count(totalRows)} rows` : "Looking at the files";
  $("progress-text").textContent = `${told}, ${(bytesRead / 1e6).toFixed(1)} MB read${file ? `, ${file.split("/").at(-1)}` : ""}`;
}

function fail({ message }) {
  $("status").hidden = true;
  $("error").textContent = message;
  $("error").hidden = false;
}

function show(message, first) {
  days = message.days;
  drawReport(message.report);
  $("first-look").hidden = !first;
  $("downloads").hidden = first || days.length === 0;
  $("result").hidden = false;
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

function save({ format, file }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([file]));
  link.download = `daysum-${days[0].day}-${days.at(-1).day}.${format}`;
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
$("cancel").addEventListener("click", () => worker.postMessage({ job: "cancel" }));
$("resource").addEventListener("change", draw);
$("downloads").addEventListener("click", ({ target }) => {
  if (target.dataset.format) worker.postMessage({ job: "encode", format: target.dataset.format });
});
let width = innerWidth;
addEventListener("resize", () => innerWidth !== width && ((width = innerWidth), draw()));

// Where a browser offers it, the page opens again without a network.
navigator.serviceWorker?.register("offline.js", { type: "module" }).catch(() => {});
