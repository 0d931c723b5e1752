// Parallel coordinates: an axis for each setting and one for the loss, a line for each run.
//
// Plotly's own trace for them compiles its WebGL code from strings, which the pages' security
// policy refuses; lines in a common figure show the same, and are sharp in print.

import { asWritten, colour, draw } from "../plotly.js";
import { fieldAxis, roundTicks } from "./field_axis.js";
import { fieldName } from "./sweep_table.js";

/**
 * @typedef {import("./field_axis.js").FieldAxis} FieldAxis
 * @typedef {import("../jobs_api.js").SweepJob & { val_loss: number }} Scored
 * @typedef {{ name: string, axis: FieldAxis, value: (entry: Scored) => unknown }} Column
 * @typedef {{ x: [number, number], y: [number, number] }} Box x: positions of axes, y: shares of them
 */

const MARGIN = { l: 64, r: 36, t: 34, b: 16 };
const FAINT = 0.12;

export class ParallelCoordinates {
  /** @type {Scored[]} */
  #entries = [];
  /** @type {Column[]} */
  #columns = [];
  /** @type {Box | null} */
  #box = null;
  /** @type {string | null} */
  #pointed = null;
  #cleared = 1;
  #listens = false;

  /**
   * @param {HTMLElement} element
   * @param {(ids: Set<string> | null) => void} onSingle called with the jobs that a person singles
   *   out; null: all of them again
   */
  constructor(element, onSingle) {
    this.element = element;
    this.onSingle = onSingle;
  }

  /**
   * @param {import("../jobs_api.js").Sweep} sweep
   * @param {Scored[]} entries those of its runs that have a loss, best first
   */
  async show(sweep, entries) {
    this.#entries = entries;
    this.#columns = columnsOf(sweep, entries);
    this.element.style.setProperty("--axes", String(this.#columns.length));
    await this.#draw();
    this.onSingle(this.#single());
  }

  /** Bring one line forward for a moment. @param {string | null} id of a job */
  point(id) {
    if (id === this.#pointed) return;
    this.#pointed = id;
    if (this.#columns.length) void this.#draw();
  }

  /** Single out none. */
  clear() {
    // The box that a person drew is kept until this is another number.
    this.#cleared++;
    this.#choose(null);
  }

  /** @param {Box | null} box */
  #choose(box) {
    this.#box = box;
    void this.#draw();
    this.onSingle(this.#single());
  }

  /** @returns {Set<string> | null} the jobs whose lines go through the box at every axis in it */
  #single() {
    const box = this.#box;
    if (!box) return null;
    const inside = this.#columns
      .map((column, i) => ({ column, i }))
      .filter(({ i }) => i >= box.x[0] && i <= box.x[1]);
    if (!inside.length) return null;
    const through = this.#entries.filter((entry) =>
      inside.every(({ column }) => {
        const at = share(column, entry);
        return at >= box.y[0] && at <= box.y[1];
      }),
    );
    return new Set(through.map(({ job }) => job.id));
  }

  async #draw() {
    const single = this.#single();
    const worstFirst = this.#entries.toReversed();
    const traces = worstFirst.map((entry) => {
      const id = entry.job.id;
      const strong = this.#pointed ? id === this.#pointed : (single?.has(id) ?? true);
      return line(entry, this.#columns, { strong, best: entry === this.#entries[0] });
    });
    const figure = await draw(this.element, traces, this.#layout());
    if (this.#listens) return;
    this.#listens = true;
    figure.on("plotly_selected", (event) => this.#choose(event?.range ? boxOf(event.range) : null));
    figure.on("plotly_deselect", () => this.#choose(null));
  }

  #layout() {
    const last = this.#columns.length - 1;
    const hidden = { visible: false, fixedrange: true };
    const coarse = matchMedia("(pointer: coarse)").matches; // a finger that drags wants to scroll
    return {
      margin: MARGIN,
      uirevision: "kept",
      xaxis: { ...hidden, range: [-0.06, last + 0.06] },
      yaxis: { ...hidden, range: [-0.04, 1.04] },
      showlegend: false,
      dragmode: coarse ? false : "select",
      newselection: { line: { color: colour("--focus"), width: 1.5, dash: "solid" } },
      activeselection: { fillcolor: colour("--accent-glow"), opacity: 0.2 },
      selections: this.#box ? undefined : [],
      selectionrevision: this.#cleared,
      hovermode: "closest",
      hoverlabel: { bgcolor: colour("--paper-raised"), font: { color: colour("--ink") } },
      shapes: this.#columns.map((_, i) => axisLine(i)),
      annotations: this.#columns.flatMap(labels),
    };
  }
}

/**
 * @param {import("../jobs_api.js").Sweep} sweep its runs without a loss have their places, too
 * @param {Scored[]} entries
 * @returns {Column[]}
 */
function columnsOf({ fields, jobs }, entries) {
  const settings = fields.map((field) => ({
    name: fieldName(field),
    value: (/** @type {Scored} */ entry) => entry.values[field],
    axis: fieldAxis(jobs.map(({ values }) => values[field])),
  }));
  const losses = entries.map(({ val_loss }) => val_loss);
  const range = /** @type {[number, number]} */ ([Math.min(...losses), Math.max(...losses)]);
  const axis = { log: false, place: Number, range, ticks: roundTicks(range) };
  return [...settings, { name: "validation loss", value: ({ val_loss }) => val_loss, axis }];
}

/** @param {Column} column @param {Scored} entry @returns {number} 0 at the foot of the axis, 1 at its head */
function share({ axis, value }, entry) {
  return onAxis(axis, axis.place(value(entry)));
}

/** @param {FieldAxis} axis @param {number} at */
function onAxis({ range: [low, high] }, at) {
  return high > low ? (at - low) / (high - low) : 0.5;
}

/**
 * @param {Scored} entry
 * @param {Column[]} columns
 * @param {{ strong: boolean, best: boolean }} look
 */
function line(entry, columns, { strong, best }) {
  const paint = lossColour(share(columns[columns.length - 1], entry));
  return {
    type: "scatter",
    mode: "lines+markers",
    uid: entry.job.id,
    name: asWritten(entry.job.title || entry.job.run_id).replace(": ", ":<br>"),
    x: columns.map((_, i) => i),
    y: columns.map((column) => share(column, entry)),
    opacity: strong ? 1 : FAINT,
    line: { color: paint, width: best ? 4 : 2 },
    marker: { color: paint, size: best ? 8 : 5 },
    // Whether a line is singled out is said by its opacity, not point by point.
    selected: { marker: { opacity: 1 } },
    unselected: { marker: { opacity: 1 } },
    hovertemplate: `%{fullData.name}<br>validation loss ${entry.val_loss.toFixed(4)}<extra></extra>`,
  };
}

/** @param {number} i */
function axisLine(i) {
  const line = { color: colour("--line-strong"), width: 1 };
  return { type: "line", layer: "below", x0: i, x1: i, y0: 0, y1: 1, line };
}

/** @param {Column} column @param {number} i */
function labels({ name, axis }, i) {
  const common = { x: i, showarrow: false, font: { size: 12, color: colour("--ink-soft") } };
  const ticks = axis.ticks.map(({ at, text }) => ({
    ...common,
    y: onAxis(axis, at),
    text,
    xanchor: "right",
    xshift: -6,
    bgcolor: colour("--paper"),
    borderpad: 1,
    opacity: 0.9,
  }));
  const title = {
    ...common,
    y: 1,
    text: name,
    yanchor: "bottom",
    yshift: 12,
    font: { size: 13, color: colour("--ink") },
  };
  return [title, ...ticks];
}

/** @param {{ x: number[], y: number[] }} range @returns {Box} */
function boxOf({ x, y }) {
  const sorted = (/** @type {number[]} */ pair) =>
    /** @type {[number, number]} */ ([Math.min(...pair), Math.max(...pair)]);
  return { x: sorted(x), y: sorted(y) };
}

/** @param {number} place 0: the best, warm; 1: the worst, cool @returns {string} */
function lossColour(place) {
  const [best, worst] = [colour("--run-1"), colour("--run-2")].map((hex) =>
    [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)),
  );
  const mixed = best.map((value, i) => Math.round(value + (worst[i] - value) * place));
  return `rgb(${mixed.join(",")})`;
}
