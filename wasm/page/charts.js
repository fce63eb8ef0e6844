// Small charts in SVG. What they show is also in the table below them, so each is one labelled picture.

const NS = "http://www.w3.org/2000/svg";
const HEIGHT = 240;

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

function make(name, attributes = {}, ...children) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A round number at or above the largest value, and steps that read well. */
function scale(largest) {
  const rough = Math.max(largest, 1e-9) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
  return { top: step * Math.ceil(largest / step) || step, step };
}

function legend(entries) {
  const list = document.createElement("ul");
  list.className = "legend";
  for (const [kind, label] of entries) {
    const mark = kind === "capacity" ? make("line", { x1: 0, x2: 14, y1: 5, y2: 5 }) : make("rect", { width: 14, height: 10, rx: 2 });
    mark.setAttribute("class", kind);
    const item = document.createElement("li");
    item.append(make("svg", { viewBox: "0 0 14 10", "aria-hidden": "true" }, mark), label);
    list.append(item);
  }
  return list;
}

function frame(width, days, { top, step }) {
  const left = 44;
  const bottom = HEIGHT - 22;
  const y = (value) => bottom - ((bottom - 10) * value) / top;
  const slot = (width - left) / days.length;
  const parts = [];
  for (let value = 0; value <= top + step / 2; value += step) {
    parts.push(make("line", { class: "grid", x1: left, x2: width, y1: y(value), y2: y(value) }));
    parts.push(make("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, short.format(value)));
  }
  const every = Math.ceil(days.length / Math.max(1, Math.floor((width - left) / 54)));
  days.forEach(({ day }, index) => {
    if (index % every !== 0) return;
    const label = day.slice(5);
    parts.push(make("text", { x: left + slot * (index + 0.5), y: HEIGHT - 6, "text-anchor": "middle" }, label));
  });
  return { left, slot, y, bottom, parts };
}

function draw(into, width, height, label, entries, parts) {
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...parts);
  into.replaceChildren(...(entries ? [legend(entries)] : []), svg);
}

/** Usage and requests as bars, capacity as a line above them. */
export function drawDays(into, days, unit) {
  const width = Math.max(into.clientWidth, 260);
  const largest = Math.max(...days.map(({ usage, request, capacity }) => Math.max(usage, request, capacity)));
  const { left, slot, y, bottom, parts } = frame(width, days, scale(largest));
  const bar = Math.max(1, Math.min(slot * 0.36, 28));
  days.forEach((day, index) => {
    const middle = left + slot * (index + 0.5);
    for (const [kind, x] of [["usage", middle - bar], ["request", middle]]) {
      const title = make("title", {}, `${day.day}: ${kind} ${short.format(day[kind])} ${unit}`);
      parts.push(make("rect", { class: kind, x, y: y(day[kind]), width: bar, height: bottom - y(day[kind]) }, title));
    }
  });
  const steps = days.map(({ capacity }, index) => `${index ? "L" : "M"}${left + slot * index} ${y(capacity)}h${slot}`);
  parts.push(make("path", { class: "capacity", d: steps.join("") }));
  const entries = [["usage", "usage"], ["request", "requests"], ["capacity", "capacity"]];
  const last = days.at(-1);
  const label = `${unit} by day, ${days[0].day} to ${last.day}; on the last day usage ${short.format(last.usage)}, requests ${short.format(last.request)}, capacity ${short.format(last.capacity)}`;
  draw(into, width, HEIGHT, label, entries, parts);
}

/** What was left of capacity, by who could have used it. */
export function drawUnallocated(into, days, unit) {
  const width = Math.max(into.clientWidth, 260);
  const kinds = [["worker", "worker"], ["platform", "platform"], ["unknown", "node without a role"]];
  const largest = Math.max(...days.map((day) => kinds.reduce((sum, [kind]) => sum + Math.max(day[kind], 0), 0)));
  const { left, slot, y, parts } = frame(width, days, scale(largest));
  const bar = Math.max(1, Math.min(slot * 0.7, 40));
  days.forEach((day, index) => {
    let base = 0;
    for (const [kind, name] of kinds) {
      const value = Math.max(day[kind], 0);
      const title = make("title", {}, `${day.day}: ${name} ${short.format(value)} ${unit}`);
      const x = left + slot * (index + 0.5) - bar / 2;
      parts.push(make("rect", { class: kind, x, y: y(base + value), width: bar, height: y(base) - y(base + value) }, title));
      base += value;
    }
  });
  const there = kinds.filter(([kind]) => days.some((day) => day[kind] > 0));
  draw(into, width, HEIGHT, `unallocated ${unit} by day, ${days[0].day} to ${days.at(-1).day}`, there, parts);
}

/** The namespaces with the largest requests or usage, whichever is more. */
export function drawNamespaces(into, namespaces, unit) {
  const width = Math.max(into.clientWidth, 260);
  const narrow = width < 520;
  const left = narrow ? 0 : Math.min(260, width * 0.3);
  const row = narrow ? 46 : 30;
  const room = width - left - 64;
  const largest = Math.max(...namespaces.map(({ usage, request }) => Math.max(usage, request)), 1e-9);
  const parts = namespaces.flatMap(({ namespace, usage, request }, index) => {
    const top = index * row + (narrow ? 20 : 4);
    const fits = Math.floor((narrow ? width : left - 10) / 7.2);
    const name = namespace.length > fits ? `${namespace.slice(0, fits - 1)}…` : namespace;
    const place = narrow ? { x: 0, y: top - 6 } : { x: left - 10, y: top + 15, "text-anchor": "end" };
    const end = left + (room * Math.max(usage, request)) / largest + 6;
    return [
      make("text", { class: "name", ...place }, name, make("title", {}, namespace)),
      make("rect", { class: "usage", x: left, y: top, width: (room * usage) / largest, height: 10 }),
      make("rect", { class: "request", x: left, y: top + 11, width: (room * request) / largest, height: 10 }),
      make("text", { x: end, y: top + 15 }, short.format(Math.max(usage, request))),
    ];
  });
  const label = `largest namespaces by ${unit}: ${namespaces.slice(0, 3).map(({ namespace }) => namespace).join(", ")}`;
  draw(into, width, namespaces.length * row + 8, label, [["usage", "usage"], ["request", "requests"]], parts);
}
