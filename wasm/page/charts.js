// Small charts in SVG. What they show is also in the table below them, so each is one labelled picture.

const NS = "http://www.w3.org/2000/svg";
const HEIGHT = 240;

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
/** Steps have up to three digits, however small they are. */
const tick = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

function make(name, attributes = {}, ...children) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Steps that read well, and how many of them there are below and above zero. What is as good as nothing gets one. */
function scale(smallest, largest) {
  const rough = (largest - smallest) / 4;
  if (rough < 1e-6) return { step: 1, below: 0, above: 1 };
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
  return { step, below: Math.ceil(-smallest / step), above: Math.ceil(largest / step) };
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

function frame(width, days, { step, below, above }) {
  const left = 48;
  const bottom = HEIGHT - 22;
  const y = (value) => bottom - ((bottom - 10) * (value / step + below)) / (below + above);
  const slot = (width - left) / days.length;
  const parts = [];
  for (let index = -below; index <= above; index++) {
    const value = step * index;
    parts.push(make("line", { class: "grid", x1: left, x2: width, y1: y(value), y2: y(value) }));
    parts.push(make("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, tick.format(value)));
  }
  const every = Math.ceil(days.length / Math.max(1, Math.floor((width - left) / 54)));
  days.forEach(({ day }, index) => {
    if (index % every !== 0) return;
    const label = day.slice(5);
    parts.push(make("text", { x: left + slot * (index + 0.5), y: HEIGHT - 6, "text-anchor": "middle" }, label));
  });
  /** A bar from one value to another, which may be below it. */
  const bar = (kind, x, width, from, to, told) => {
    const [top, end] = [Math.min(y(from), y(to)), Math.max(y(from), y(to))];
    parts.push(make("rect", { class: kind, x, y: top, width, height: end - top }, make("title", {}, told)));
  };
  return { left, slot, y, bar, parts };
}

function draw(into, width, height, label, entries, parts) {
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...parts);
  into.replaceChildren(...(entries ? [legend(entries)] : []), svg);
}

/** Usage and requests as bars, capacity as a line above them. */
export function drawDays(into, days, unit) {
  const width = Math.max(into.clientWidth, 260);
  const all = days.flatMap(({ usage, request, capacity }) => [usage, request, capacity]);
  const { left, slot, y, bar, parts } = frame(width, days, scale(Math.min(0, ...all), Math.max(0, ...all)));
  const wide = Math.max(1, Math.min(slot * 0.36, 28));
  days.forEach((day, index) => {
    const middle = left + slot * (index + 0.5);
    for (const [kind, x] of [["usage", middle - wide], ["request", middle]]) {
      bar(kind, x, wide, 0, day[kind], `${day.day}: ${kind} ${short.format(day[kind])} ${unit}`);
    }
  });
  const steps = days.map(({ capacity }, index) => `${index ? "L" : "M"}${left + slot * index} ${y(capacity)}h${slot}`);
  parts.push(make("path", { class: "capacity", d: steps.join("") }));
  const entries = [["usage", "usage"], ["request", "requests"], ["capacity", "capacity"]];
  const last = days.at(-1);
  const label = `${unit} by day, ${days[0].day} to ${last.day}; on the last day usage ${short.format(last.usage)}, requests ${short.format(last.request)}, capacity ${short.format(last.capacity)}`;
  draw(into, width, HEIGHT, label, entries, parts);
}

/** What was left of capacity, by who could have used it; below zero what was used or asked for beyond it. */
export function drawUnallocated(into, days, unit) {
  const width = Math.max(into.clientWidth, 260);
  const kinds = [["worker", "worker"], ["platform", "platform"], ["unknown", "node without a role"]];
  const sum = (day, part) => kinds.reduce((sum, [kind]) => sum + part(day[kind], 0), 0);
  const lowest = Math.min(...days.map((day) => sum(day, Math.min)));
  const { left, slot, bar, parts } = frame(width, days, scale(lowest, Math.max(...days.map((day) => sum(day, Math.max)))));
  const wide = Math.max(1, Math.min(slot * 0.7, 40));
  days.forEach((day, index) => {
    const x = left + slot * (index + 0.5) - wide / 2;
    const ends = { below: 0, above: 0 };
    for (const [kind, name] of kinds) {
      const side = day[kind] < 0 ? "below" : "above";
      const from = ends[side];
      ends[side] += day[kind];
      bar(kind, x, wide, from, ends[side], `${day.day}: ${name} ${short.format(day[kind])} ${unit}`);
    }
  });
  const there = kinds.filter(([kind]) => days.some((day) => day[kind] !== 0));
  const over = lowest < 0 ? `; below zero, down to ${short.format(lowest)}, where more was used or asked for than there was` : "";
  draw(into, width, HEIGHT, `unallocated ${unit} by day, ${days[0].day} to ${days.at(-1).day}${over}`, there, parts);
}

/** The namespaces with the largest requests or usage, whichever is more. */
export function drawNamespaces(into, namespaces, unit) {
  const width = Math.max(into.clientWidth, 260);
  const narrow = width < 520;
  const left = narrow ? 0 : Math.min(260, width * 0.3);
  const row = narrow ? 46 : 30;
  const room = width - left - 64;
  const all = namespaces.flatMap(({ usage, request }) => [usage, request]);
  const lowest = Math.min(0, ...all);
  const span = Math.max(0, ...all) - lowest || 1;
  const x = (value) => left + (room * (value - lowest)) / span;
  const bar = (kind, value, y) =>
    make("rect", { class: kind, x: Math.min(x(0), x(value)), y, width: Math.abs(x(value) - x(0)), height: 10 });
  const parts = namespaces.flatMap(({ namespace, usage, request }, index) => {
    const top = index * row + (narrow ? 20 : 4);
    const fits = Math.floor((narrow ? width : left - 10) / 7.2);
    const name = namespace.length > fits ? `${namespace.slice(0, fits - 1)}…` : namespace;
    const place = narrow ? { x: 0, y: top - 6 } : { x: left - 10, y: top + 15, "text-anchor": "end" };
    return [
      make("text", { class: "name", ...place }, name, make("title", {}, namespace)),
      bar("usage", usage, top),
      bar("request", request, top + 11),
      make("text", { x: x(Math.max(usage, request, 0)) + 6, y: top + 15 }, short.format(Math.max(usage, request))),
    ];
  });
  const label = `largest namespaces by ${unit}: ${namespaces.slice(0, 3).map(({ namespace }) => namespace).join(", ")}`;
  draw(into, width, namespaces.length * row + 8, label, [["usage", "usage"], ["request", "requests"]], parts);
}
