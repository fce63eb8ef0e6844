// rows in = aggregated + filtered + quarantined, and whatever else a person should know.

const $ = (id) => document.getElementById(id);
export const count = (value) => value.toLocaleString("en");
export const counted = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
const days = (first, last) => (first === last ? first : `${first} to ${last}`);
const REASONS = {
  outOfRange: "outside the days",
  otherMonth: "of another month than their folder",
  noNode: "without a node",
  anomalous: "with absurd values",
};

/** @param {boolean} first whether there is more to come */
export function drawReport(report, choice, first) {
  const filtered = Object.values(report.rowsFiltered).reduce((sum, rows) => sum + rows, 0);
  const terms = [
    ["rows in", report.rowsIn],
    ["="],
    ["aggregated", report.rowsAggregated],
    ["+"],
    ["filtered", filtered],
    ["+"],
    ["quarantined", report.rowsQuarantined],
    ["→"],
    ["summary rows", report.rowsOut],
  ];
  $("equation").replaceChildren(...terms.map(term));
  $("notes").replaceChildren(...notes(report, choice, first).map(note));
  drawFiles(report.files);
}

function term([label, value]) {
  const box = document.createElement("div");
  if (value === undefined) {
    box.className = "sign";
    box.ariaHidden = "true";
    box.textContent = label;
    return box;
  }
  const [name, number] = [document.createElement("dt"), document.createElement("dd")];
  name.textContent = label;
  number.textContent = count(value);
  box.append(name, number);
  return box;
}

function notes(report, choice, first) {
  const list = Object.entries(REASONS)
    .filter(([reason]) => report.rowsFiltered[reason] > 0)
    .map(([reason, text]) => [`${counted(report.rowsFiltered[reason], "row")} left out: ${text}`]);
  if (choice.lookups) list.push([`the lookups are ${choice.lookups.path}`]);
  if (choice.hidden.length > 0) {
    list.push([`left out, as their names begin with a dot: ${choice.hidden.map(({ path }) => path).join(", ")}`]);
  }
  if (!first && report.rowsOut === 0 && report.quarantined.length === 0) list.push([nothing(report, choice), "bad"]);
  if (report.malformedLabels > 0) {
    list.push([`${counted(report.malformedLabels, "malformed label text")}, read as no labels`]);
  }
  if (report.nodesWithoutRole > 0) {
    list.push([`${counted(report.nodesWithoutRole, "node-day")} without a known role, so without a namespace in unallocated rows`]);
  }
  list.push(...report.unknownLookups.map((name) => [`lookups: ${name} is not known and has no effect`]));
  const missing = new Set(report.files.flatMap(({ missingColumns }) => missingColumns));
  if (missing.size > 0) list.push([`columns are missing and read as empty: ${[...missing].join(", ")}`]);
  const held = report.daysHeld;
  if (held.length > 0) {
    list.push([`${counted(held.length, "day")} held back, ${days(held[0], held.at(-1))}: something in it cannot be read`, "bad"]);
  }
  return [...list, ...report.quarantined.map(({ message }) => [message, "bad"])];
}

/** Nothing failed, and nothing came of it: what was asked for is not what the files hold. */
function nothing({ files, range }, { lookups, source }) {
  const what = files.some(({ kind }) => kind) ? "no row of the files is of" : "no file is of";
  const asked = range ? [`the ${range[0] === range[1] ? "day" : "days"} ${days(...range)}`] : [];
  const named = source ?? (lookups && JSON.parse(lookups.text).source_uuid);
  if (named) asked.unshift(`the source ${named}`);
  return `there are no summary rows: ${what} ${asked.join(" and ") || "any day"}`;
}

function note([text, kind = ""]) {
  const item = document.createElement("li");
  item.className = kind;
  item.textContent = text;
  return item;
}

function drawFiles(files) {
  const read = files.filter(({ kind }) => kind);
  const others = files.length - read.length;
  $("files-summary").textContent = `${counted(read.length, "file")} read${others > 0 ? `, ${count(others)} not` : ""}`;
  const table = $("file-table");
  table.replaceChildren();
  const head = table.createTHead().insertRow();
  for (const label of ["File", "Read as", "Rows", "Row groups"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = label;
    cell.className = label === "File" || label === "Read as" ? "text" : "";
    head.append(cell);
  }
  const body = table.createTBody();
  for (const { name, kind, rows, rowGroups } of files.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const row = body.insertRow();
    const values = [name.split("/").at(-1), kind?.replace("_", " ") ?? "not read", count(rows), count(rowGroups)];
    values.forEach((value, index) => {
      const cell = row.insertCell();
      cell.textContent = value;
      cell.className = index < 2 ? "text" : "";
    });
    row.title = name;
  }
}
