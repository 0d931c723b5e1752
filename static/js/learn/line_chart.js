// A small line chart along named places: an image with a label, and a table that says the same.
import { evenScale, logScale, svg, threeDigits } from "./axes.js";

/**
 * @typedef {import("./axes.js").Scale} Scale
 * @typedef {number | null} Value null where there is none, or none that a number can hold
 *
 * @typedef {object} Line
 * @property {string} name
 * @property {Value[]} values one for each place
 * @property {boolean} [dots] without a line between them
 *
 * @typedef {object} Chart
 * @property {string} title what stands above it
 * @property {string} places what the places are called together: "place", "pass"
 * @property {{ name: string, short: string }[]} along the places; `short` stands below the axis
 * @property {Line[]} lines three at most, the first one the most important
 * @property {boolean} [log] equal factors are equal heights; what is not above 0 is left out
 */

/** In pixels; below the plot is a row of names. */
const HEIGHT = 220;
const TOP = 8;
const BOTTOM = 24;
const LEFT = 48;
const RIGHT = 12;
const NARROWEST = 240;
const NAME_WIDTH = 44;
const TICK_HEIGHT = 32;

export class LineChart {
  #element;
  /** @type {Chart | null} */
  #chart = null;
  #width = 0;

  /** @param {HTMLElement} element gets the chart, and a new one when its width changes */
  constructor(element) {
    this.#element = element;
    element.classList.add("line-chart");
    new ResizeObserver(() => {
      if (this.#chart && this.#measured() !== this.#width) this.#draw(this.#chart);
    }).observe(element);
  }

  /** @param {Chart} chart */
  show(chart) {
    const table = this.#element.querySelector("details");
    this.#chart = chart;
    this.#element.replaceChildren(title(chart), legend(chart), document.createElement("div"));
    this.#element.append(tableOf(chart, table?.open ?? false));
    this.#draw(chart);
  }

  #measured() {
    return Math.max(NARROWEST, Math.floor(this.#element.clientWidth));
  }

  /** @param {Chart} chart */
  #draw(chart) {
    this.#width = this.#measured();
    this.#element.children[2].replaceChildren(picture(chart, this.#width));
  }
}

/** @param {Chart} chart */
function title(chart) {
  const words = document.createElement("p");
  words.className = "line-chart-title";
  words.textContent = chart.title;
  return words;
}

/** @param {Chart} chart */
function legend({ lines }) {
  const list = document.createElement("ul");
  list.className = "line-chart-legend";
  list.append(
    ...lines.map(({ name, dots }, index) => {
      const item = document.createElement("li");
      const key = svg("svg", { viewBox: "0 0 28 12", "aria-hidden": "true" });
      const look = svg("g", { class: `line-${index}` });
      if (!dots) look.append(svg("path", { class: "line", d: "M0 6H28" }));
      look.append(mark(14, 6, index));
      key.append(look);
      item.append(key, name);
      return item;
    }),
  );
  return list;
}

/**
 * @param {Chart} chart
 * @param {number} width
 */
function picture(chart, width) {
  const { along, lines, log = false } = chart;
  const drawn = lines.map(({ values }) => values.map((value) => drawable(value, log)));
  const scale = scaleOf(
    drawn.flat().filter((value) => value !== null),
    log,
  );
  const plot = { width: width - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM };
  const x = (/** @type {number} */ place) =>
    LEFT + (plot.width * (place + 0.5)) / Math.max(1, along.length);
  const y = (/** @type {number} */ value) => TOP + plot.height * (1 - scale.share(value));
  const image = svg("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    role: "img",
    "aria-label": spoken(chart),
  });
  image.append(...ticks(scale, plot, y), ...placeNames(along, plot.width, x));
  const groups = drawn.map((values, index) => {
    const group = svg("g", { class: `line-${index}` });
    if (!lines[index].dots) group.append(svg("path", { class: "line", d: path(values, x, y) }));
    values.forEach((value, place) => {
      if (value === null) return;
      const point = mark(x(place), y(value), index);
      const words = svg("title", {});
      words.textContent = `${along[place].name}, ${lines[index].name}: ${threeDigits(value)}`;
      point.append(words);
      group.append(point);
    });
    return group;
  });
  image.append(...groups.reverse()); // the first line lies on top
  return image;
}

/** @param {Value} value @param {boolean} log @returns {Value} */
function drawable(value, log) {
  return value === null || (log && value <= 0) ? null : value;
}

/**
 * @param {number[]} values
 * @param {boolean} log
 * @returns {Scale} of an even axis, 0 is a part
 */
function scaleOf(values, log) {
  if (values.length === 0) return { ticks: [], share: () => 0, text: String };
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = Math.floor((HEIGHT - TOP - BOTTOM) / TICK_HEIGHT);
  return log ? logScale(least, most, room) : evenScale(Math.min(0, least), Math.max(0, most) || 1);
}

/**
 * @param {Scale} scale
 * @param {{ width: number }} plot
 * @param {(value: number) => number} y
 */
function ticks(scale, plot, y) {
  return scale.ticks.flatMap((tick) => {
    const height = y(tick).toFixed(1);
    const text = svg("text", { class: "tick", x: LEFT - 6, y: height, "text-anchor": "end" });
    text.textContent = scale.text(tick);
    return [svg("path", { class: "grid", d: `M${LEFT} ${height}h${plot.width}` }), text];
  });
}

/**
 * As many as there is room for, evenly.
 * @param {Chart["along"]} along
 * @param {number} width
 * @param {(place: number) => number} x
 */
function placeNames(along, width, x) {
  const stride = Math.max(1, Math.ceil((along.length * NAME_WIDTH) / width));
  return along.flatMap(({ short }, place) => {
    if (place % stride) return [];
    const at = { x: x(place).toFixed(1), y: HEIGHT - 6 };
    const text = svg("text", { class: "tick", "text-anchor": "middle", ...at });
    text.textContent = short;
    return [text];
  });
}

/**
 * @param {Value[]} values
 * @param {(place: number) => number} x
 * @param {(value: number) => number} y
 * @returns {string} with a gap where there is none
 */
function path(values, x, y) {
  return values
    .map((value, place) => {
      if (value === null) return "";
      const letter = place > 0 && values[place - 1] !== null ? "L" : "M";
      return `${letter}${x(place).toFixed(1)} ${y(value).toFixed(1)}`;
    })
    .join("");
}

/**
 * A disc, a square, a diamond: told apart without colour, too.
 * @param {number} x
 * @param {number} y
 * @param {number} index of the line
 */
function mark(x, y, index) {
  if (index === 0) return svg("circle", { class: "mark", cx: x, cy: y, r: 3.5 });
  const turned = index === 1 ? "" : ` rotate(45 ${x} ${y})`;
  const size = { x: x - 3, y: y - 3, width: 6, height: 6 };
  return svg("rect", { class: "mark", ...size, ...(turned && { transform: turned.trim() }) });
}

/** @param {Chart} chart */
function spoken({ title, lines }) {
  const each = lines.map(({ name, values }) => {
    const there = values.filter((value) => value !== null);
    if (!there.length) return `${name}: nothing that can be drawn`;
    const [first, last] = [threeDigits(there[0]), threeDigits(there[there.length - 1])];
    return `${name}: from ${first} to ${last}, at most ${threeDigits(Math.max(...there))}`;
  });
  return `${title}. ${each.join("; ")}.`;
}

/**
 * @param {Chart} chart
 * @param {boolean} open
 */
function tableOf({ title, places, along, lines }, open) {
  const details = document.createElement("details");
  details.open = open;
  const summary = document.createElement("summary");
  summary.textContent = "The numbers";
  const scroller = document.createElement("div");
  scroller.className = "lesson-scroll";
  const table = document.createElement("table");
  table.className = "lesson-table";
  table.createCaption().textContent = title;
  table.createTHead().append(line("col", [places, ...lines.map(({ name }) => name)]));
  const body = table.createTBody();
  along.forEach(({ name }, place) => {
    const values = lines.map(({ values }) => values[place]);
    body.append(line("row", [name, ...values.map((it) => (it === null ? "–" : threeDigits(it)))]));
  });
  scroller.append(table);
  details.append(summary, scroller);
  return details;
}

/**
 * @param {"col" | "row"} scope of its headings: all of them, or the first
 * @param {string[]} texts
 */
function line(scope, texts) {
  const row = document.createElement("tr");
  texts.forEach((text, index) => {
    const isHeading = scope === "col" || index === 0;
    const cell = document.createElement(isHeading ? "th" : "td");
    if (isHeading) cell.setAttribute("scope", scope);
    if (index > 0) cell.className = "number";
    cell.textContent = text;
    row.append(cell);
  });
  return row;
}
