// Days and namespaces: sorted, filtered, and shown some at a time.

const SHOWN = 30;
const number = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const COLUMNS = [
  ["day", "Day"],
  ["namespace", "Namespace"],
  ["cpuUsage", "CPU used (core‑h)"],
  ["cpuRequest", "CPU requested"],
  ["memoryUsage", "Memory used (GiB‑h)"],
  ["memoryRequest", "Memory requested"],
  ["storageUsage", "Storage used (GiB‑mo)"],
  ["storageRequest", "Storage requested"],
  ["rows", "Rows"],
];
const TEXT = ["day", "namespace"];

export class Table {
  #rows = [];
  #sort = { by: "day", descending: false };
  #limit = SHOWN;
  #table;
  #more;

  constructor(table, more, filter, day) {
    Object.assign(this, { filter, day });
    this.#table = table;
    this.#more = more;
    filter.addEventListener("input", () => this.#again());
    day.addEventListener("change", () => this.#again());
    more.addEventListener("click", () => ((this.#limit *= 10), this.#draw()));
  }

  show(days) {
    this.#rows = days.flatMap(({ day, namespaces }) =>
      namespaces.map((one) => ({ ...one, day, namespace: one.namespace ?? "(none)" })),
    );
    const chosen = this.day.value;
    this.day.replaceChildren(new Option("all", ""), ...days.map(({ day }) => new Option(day, day)));
    this.day.value = days.some(({ day }) => day === chosen) ? chosen : "";
    this.#again();
  }

  #again() {
    this.#limit = SHOWN;
    this.#draw();
  }

  #draw() {
    const part = this.filter.value.trim().toLowerCase();
    const rows = this.#rows.filter(
      (row) => row.namespace.toLowerCase().includes(part) && (!this.day.value || row.day === this.day.value),
    );
    const { by, descending } = this.#sort;
    const order = (a, b) => (a[by] < b[by] ? -1 : a[by] > b[by] ? 1 : 0);
    rows.sort((a, b) => (descending ? order(b, a) : order(a, b)));
    const body = document.createElement("tbody");
    body.append(...rows.slice(0, this.#limit).map(line));
    const heads = () => [...this.#table.querySelectorAll("th button")];
    const focused = heads().indexOf(document.activeElement);
    this.#table.replaceChildren(this.#head(), body);
    heads()[focused]?.focus();
    const all = rows.length <= this.#limit;
    // The focus must not go with the button.
    if (all && document.activeElement === this.#more) this.#table.parentElement.focus({ preventScroll: true });
    this.#more.hidden = all;
    this.#more.textContent = `Show more of ${rows.length} rows`;
  }

  #head() {
    const row = document.createElement("tr");
    for (const [name, label] of COLUMNS) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.className = TEXT.includes(name) ? "text" : "";
      if (name === this.#sort.by) cell.ariaSort = this.#sort.descending ? "descending" : "ascending";
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.addEventListener("click", () => this.#sortBy(name));
      cell.append(button);
      row.append(cell);
    }
    const head = document.createElement("thead");
    head.append(row);
    return head;
  }

  #sortBy(name) {
    // Numbers are asked for largest first.
    const descending = this.#sort.by === name ? !this.#sort.descending : !TEXT.includes(name);
    this.#sort = { by: name, descending };
    this.#draw();
  }
}

function line(values) {
  const row = document.createElement("tr");
  row.className = values.unallocated ? "unallocated" : "";
  for (const [name] of COLUMNS) {
    const cell = row.insertCell();
    const value = values[name];
    cell.className = TEXT.includes(name) ? "text" : "";
    cell.textContent = TEXT.includes(name) ? value : name === "rows" ? value.toLocaleString("en") : number.format(value);
  }
  return row;
}
