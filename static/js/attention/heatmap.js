// One map as a Plotly heatmap, with a cursor that keys and the pointer move.

import { paintWeights } from "../compact_maps.js";
import { glyphs } from "../glyphs.js";
import { draw } from "../plotly.js";
import { AxisLabels, roomFor } from "./axis_labels.js";

/** @typedef {{ query: number, key: number }} Cell */
/** @typedef {import("../colour_scale.js").Scale} Scale */

/** Whoever goes from head to head does not wait for figures. */
const DRAWN_AFTER_MS = 120;
/** What is free below the map and to its right, in pixels. */
const REST = 6;

export class Heatmap {
  /** @type {string[]} */
  tokens = [];
  /** T x T, query by query @type {Float32Array} */
  weights = new Float32Array();
  /** @type {Cell | null} */
  cell = null;
  #room = roomFor([]);
  /** resolves when the figure shows what was shown last */
  drawn = Promise.resolve();
  /** @type {import("../plotly.js").Figure | null} */
  #figure = null;
  #listens = false;
  #shows = 0;

  /**
   * @param {HTMLElement} frame gets the figure and the cursor's two bars; takes the keys
   * @param {(cell: Cell | null) => void} onMove
   */
  constructor(frame, onMove) {
    this.frame = frame;
    this.onMove = onMove;
    this.figure = add(frame, "div", "heatmap-figure");
    this.area = add(frame, "div", "heatmap-area");
    this.canvas = /** @type {HTMLCanvasElement} */ (add(this.area, "canvas", "heatmap-canvas"));
    this.row = add(this.area, "div", "heatmap-row");
    this.column = add(this.area, "div", "heatmap-column");
    const labels = /** @type {HTMLCanvasElement} */ (add(frame, "canvas", "heatmap-labels"));
    this.labels = new AxisLabels(labels, () => this.#zoomed());
    this.row.hidden = this.column.hidden = true;
    frame.addEventListener("keydown", (event) => this.#onKey(event));
    frame.addEventListener("pointermove", (event) => this.#onPoint(event));
  }

  /**
   * Paint the map at once. The figure that can be zoomed is drawn after it; it takes its time, the
   * first one above all.
   * @param {Float32Array} weights (T, T), query by query
   * @param {string[]} tokens T of them
   * @param {Scale} colouring
   * @param {{ rough?: boolean }} [options] rough: better numbers follow, the figure waits for them
   */
  show(weights, tokens, colouring, { rough = false } = {}) {
    if (glyphs(tokens.join("")) !== glyphs(this.tokens.join(""))) this.#figure = null;
    Object.assign(this, { weights, tokens });
    this.#room = roomFor(tokens);
    this.frame.style.setProperty("--room", `${this.#room}px`);
    this.canvas.hidden = false;
    paintWeights(this.canvas, weights, tokens.length, colouring);
    this.#zoomed();
    const show = ++this.#shows;
    if (!rough) this.drawn = this.#draw(colouring, () => show === this.#shows);
  }

  /** @param {Scale} colouring @param {() => boolean} wanted */
  async #draw(colouring, wanted) {
    await new Promise((resolve) => setTimeout(resolve, DRAWN_AFTER_MS));
    if (!wanted()) return;
    const figure = await draw(this.figure, [this.#trace(colouring)], this.#layout());
    if (!this.#listens) figure.on("plotly_relayout", () => this.#zoomed());
    this.#listens = true;
    this.#figure = figure;
    if (!wanted()) return;
    this.canvas.hidden = true; // it would hide what is dragged over the figure
    this.#zoomed();
  }

  /** @param {Cell} cell where the cursor goes; whoever listens is told */
  move(cell) {
    this.mark(cell);
    this.onMove(this.cell);
  }

  /** @param {Cell | null} cell where the cursor is shown, without telling anybody */
  mark(cell) {
    this.cell = cell && cell.query < this.length && cell.key < this.length ? cell : null;
    this.row.hidden = this.column.hidden = !this.cell;
    if (!this.cell) return;
    const { x, y } = this.#ranges;
    place(this.row, "top", "height", [this.cell.query - 0.5, this.cell.query + 0.5], y);
    place(this.column, "left", "width", [this.cell.key - 0.5, this.cell.key + 0.5], x);
  }

  /** What is seen of it, in positions; both axes from low to high. */
  get #ranges() {
    const whole = /** @type {[number, number]} */ ([-0.5, this.length - 0.5]);
    if (!this.#figure) return { x: whole, y: whole };
    const { xaxis, yaxis } = this.#figure.layout;
    return { x: xaxis.range, y: /** @type {[number, number]} */ ([...yaxis.range].reverse()) };
  }

  #zoomed() {
    const { x, y } = this.#ranges;
    const whole = [-0.5, this.length - 0.5];
    place(this.canvas, "top", "height", whole, y);
    place(this.canvas, "left", "width", whole, x);
    this.labels.draw(this.tokens, x, y, { room: this.#room, rest: REST });
    this.mark(this.cell);
  }

  /** How many tokens there are. */
  get length() {
    return this.tokens.length;
  }

  /** @param {Cell} cell @returns {number} */
  weight({ query, key }) {
    return this.weights[query * this.length + key];
  }

  /** @param {Scale} colouring */
  #trace(colouring) {
    const T = this.length;
    const { values, ...colours } = colouring.trace(this.weights);
    const all = /** @type {Float32Array} */ (values);
    const z = Array.from({ length: T }, (_, query) => all.subarray(query * T, (query + 1) * T));
    return { type: "heatmap", z, ...colours, showscale: false, hoverinfo: "skip" };
  }

  /** Its own labels are those of axis_labels.js. */
  #layout() {
    const axis = { showticklabels: false, showgrid: false, zeroline: false, ticks: "" };
    const end = this.length - 0.5;
    return {
      margin: { l: this.#room, t: this.#room, r: REST, b: REST },
      xaxis: { ...axis, side: "top", range: [-0.5, end] },
      yaxis: { ...axis, range: [end, -0.5] },
      dragmode: "zoom",
      hovermode: false,
      uirevision: glyphs(this.tokens.join("")), // another map of the same text keeps the zoom
    };
  }

  /** @param {PointerEvent} event */
  #onPoint({ clientX, clientY, buttons }) {
    const { left, top, width, height } = this.area.getBoundingClientRect();
    const across = (clientX - left) / width;
    const down = (clientY - top) / height;
    if (buttons || across < 0 || across >= 1 || down < 0 || down >= 1) return;
    const { x, y } = this.#ranges;
    const query = Math.round(y[0] + down * (y[1] - y[0]));
    const key = Math.round(x[0] + across * (x[1] - x[0]));
    if (query !== this.cell?.query || key !== this.cell?.key) this.move({ query, key });
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const cell = movedCell(event, this.cell, this.length);
    if (cell) this.move(cell);
  }
}

/**
 * @param {KeyboardEvent} event an arrow key moves by a cell, Home and End to the ends of the row
 * @param {Cell | null} cell
 * @param {number} length T
 * @returns {Cell | null} where the cursor then is; null for any other key
 */
export function movedCell(event, cell, length) {
  const last = length - 1;
  const from = cell ?? { query: last, key: last };
  const to = {
    ArrowLeft: { ...from, key: from.key - (cell ? 1 : 0) },
    ArrowRight: { ...from, key: from.key + 1 },
    ArrowUp: { ...from, query: from.query - 1 },
    ArrowDown: { ...from, query: from.query + 1 },
    Home: { ...from, key: 0 },
    End: { ...from, key: from.query },
  }[event.key];
  if (!to || length === 0 || event.ctrlKey || event.metaKey || event.altKey) return null;
  event.preventDefault();
  const query = Math.min(last, Math.max(0, to.query));
  return { query, key: Math.min(query, Math.max(0, to.key)) };
}

/**
 * @param {HTMLElement} element
 * @param {"top" | "left"} side
 * @param {"height" | "width"} extent
 * @param {number[]} own from where to where it reaches, in positions
 * @param {number[]} range that is seen
 */
function place(element, side, extent, [from, to], [low, high]) {
  element.style[side] = `${(100 * (from - low)) / (high - low)}%`;
  element.style[extent] = `${(100 * (to - from)) / (high - low)}%`;
}

/**
 * @param {HTMLElement} parent
 * @param {string} tag
 * @param {string} name its class
 */
function add(parent, tag, name) {
  const element = document.createElement(tag);
  element.className = name;
  parent.append(element);
  return element;
}
