// The chosen map of a side: as a picture, as lines or as numbers, with a cursor, and in a few words.
import { glyphs, spoken } from "../glyphs.js";
import { part } from "../parts.js";
import { Heatmap } from "./heatmap.js";
import { mapFacts, strongestKey } from "./map_facts.js";
import { MapTable } from "./map_table.js";
import { TokenLines } from "./token_lines.js";
import { TokenStrip } from "./token_strip.js";

/** @typedef {import("./heatmap.js").Cell} Cell */
/** @typedef {import("../colour_scale.js").Colouring} Colouring */
/** @typedef {"map" | "lines" | "table"} View */

export class HeadView {
  /** @type {Cell | null} */
  cell = null;
  /** @type {string[]} */
  tokens = [];
  /** @type {Float32Array} */
  weights = new Float32Array();
  /** @type {Colouring | null} */
  #colouring = null;
  /** @type {View} */
  #view = "map";
  /** @type {import("./map_facts.js").MapFacts | null} */
  #facts = null;
  #withoutFirst = false;
  /** the cursor is moved by keys, so its place is read aloud */
  #keyed = false;

  /**
   * @param {HTMLElement} root
   * @param {(cell: Cell | null) => void} onMove
   */
  constructor(root, onMove) {
    this.root = root;
    this.onMove = onMove;
    const moved = (/** @type {Cell | null} */ cell) => this.#moved(cell);
    this.heatmap = new Heatmap(part(root, "heatmap"), moved);
    this.lines = new TokenLines(part(root, "lines"), moved);
    this.table = new MapTable(part(root, "table"), moved);
    this.strip = new TokenStrip(part(root, "strip"), (query) =>
      this.#moved({ query, key: strongestKey(this.weights, this.tokens.length, query) }),
    );
    root.addEventListener("keydown", () => (this.#keyed = true), { capture: true });
    root.addEventListener("pointermove", () => (this.#keyed = false));
  }

  /**
   * @param {Float32Array} weights (T, T), query by query
   * @param {string[]} tokens
   * @param {Colouring} colouring
   * @param {{ withoutFirst?: boolean, rough?: boolean, seen?: number }} [options] withoutFirst: the
   *   first token is left out of the colours; rough: better numbers follow; seen: how many tokens a
   *   query sees at most
   */
  show(weights, tokens, colouring, { withoutFirst = false, rough = false, seen } = {}) {
    Object.assign(this, { weights, tokens });
    this.#colouring = colouring;
    this.#withoutFirst = withoutFirst;
    this.#facts = mapFacts(weights, tokens.length, seen);
    this.strip.show(tokens);
    this.#draw(rough);
    this.#describe();
  }

  /** @param {View} view */
  choose(view) {
    this.#view = view;
    for (const name of ["heatmap", "lines", "table"])
      part(this.root, name).hidden = name !== (view === "map" ? "heatmap" : view);
    this.#draw();
  }

  /** @param {Cell | null} cell where the cursor is shown, without telling anybody */
  mark(cell) {
    const T = this.tokens.length;
    this.cell = cell && cell.query >= 0 && cell.query < T && cell.key < T ? cell : null;
    this.#shown.mark(this.cell);
    this.#describe();
  }

  get #shown() {
    return { map: this.heatmap, lines: this.lines, table: this.table }[this.#view];
  }

  #draw(rough = false) {
    if (!this.#colouring) return;
    this.#shown.show(this.weights, this.tokens, this.#colouring, { rough });
    this.#shown.mark(this.cell);
  }

  /** @param {Cell | null} cell */
  #moved(cell) {
    this.mark(cell);
    this.onMove(cell);
    part(this.root, "spoken").textContent = this.#keyed && cell ? this.#words(cell, spoken) : "";
  }

  #describe() {
    if (!this.#facts || !this.#colouring) return;
    const { cell, tokens } = this;
    const { mean, largest, at, received } = this.#facts;
    const name = (/** @type {number} */ i) => named(tokens[i], i, glyphs);
    part(this.root, "readout").textContent = cell
      ? this.#words(cell, glyphs)
      : "Point at a cell, or move with the arrow keys.";
    part(this.root, "facts").textContent =
      `Mean ${mean.toFixed(4)}, largest ${largest.toFixed(4)} at ${name(at.query)} → ${name(at.key)}`;
    part(this.root, "strip-words").textContent = cell
      ? `Shaded by what ${name(cell.query)} looks at`
      : "Shaded by what each token receives on average";
    const colouring = this.#colouring;
    const most = Math.max(...received.subarray(this.#withoutFirst ? 1 : 0), 1e-9);
    this.strip.shade((key) => {
      if (!cell) return received[key] / most;
      return colouring.share(this.weights[cell.query * tokens.length + key]);
    }, cell?.query ?? null);
  }

  /** @param {Cell} cell @param {(token: string) => string} seen how a token is written */
  #words({ query, key }, seen) {
    const { tokens } = this;
    const weight = this.weights[query * tokens.length + key];
    const value = key > query ? "not seen yet" : weight.toFixed(4);
    return `query ${named(tokens[query], query, seen)} → key ${named(tokens[key], key, seen)}: ${value}`;
  }
}

/**
 * @param {string} token
 * @param {number} position
 * @param {(token: string) => string} seen
 */
function named(token, position, seen) {
  return seen === spoken ? `${seen(token)} at ${position}` : `'${seen(token)}' (${position})`;
}
