// A map as lines between two columns of the same text: queries on the left, keys on the right.
import { glyphs } from "../glyphs.js";
import { colour } from "../plotly.js";
import { movedCell } from "./heatmap.js";
import { strongestKey, strongestQuery } from "./map_facts.js";

/** @typedef {import("./heatmap.js").Cell} Cell */
/** @typedef {import("../colour_scale.js").Scale} Scale */

const SHADES = 24;
const FAINTEST = 0.02; // lines of a smaller share of the strongest colour are left out
const MOST_LINES = 1200; // of all tokens at once: more would be a surface; the strongest are shown
const TALLEST_ROW = 24;
const LOWEST_ROW = 13;

export class TokenLines {
  /** @type {string[]} */
  #tokens = [];
  /** @type {Float32Array} */
  #weights = new Float32Array();
  /** @type {Scale | null} */
  #colouring = null;
  /** @type {Cell | null} */
  #cell = null;
  /** whose lines are shown, of the cell's two tokens @type {"query" | "key"} */
  #by = "query";
  #row = TALLEST_ROW;
  /** @type {Record<"query" | "key", HTMLElement[]>} */
  #spans = { query: [], key: [] };
  #waits = false;

  /**
   * @param {HTMLElement} frame scrolls where the text is long; takes the keys
   * @param {(cell: Cell | null) => void} onMove
   */
  constructor(frame, onMove) {
    this.frame = frame;
    this.onMove = onMove;
    const box = add(frame, "div", "lines-box");
    this.columns = {
      query: add(box, "div", "lines-column is-query"),
      canvas: /** @type {HTMLCanvasElement} */ (add(box, "canvas", "lines-canvas")),
      key: add(box, "div", "lines-column is-key"),
    };
    frame.addEventListener("keydown", (event) => this.#onKey(event));
    frame.addEventListener("pointerover", ({ target }) =>
      this.#onPoint(/** @type {Node} */ (target)),
    );
    frame.addEventListener("pointerleave", () => this.onMove(null));
    new ResizeObserver(() => this.#paintSoon()).observe(frame);
  }

  /**
   * @param {Float32Array} weights (T, T), query by query
   * @param {string[]} tokens
   * @param {Scale} colouring
   */
  show(weights, tokens, colouring) {
    this.#weights = weights;
    this.#colouring = colouring;
    if (JSON.stringify(tokens) !== JSON.stringify(this.#tokens)) this.#build(tokens);
    this.#paint();
  }

  /** @returns {[query: number, key: number][]} the pairs that have a line */
  get visible() {
    return this.#shades().flat();
  }

  /** @param {Cell | null} cell */
  mark(cell) {
    const same = cell?.query === this.#cell?.query && cell?.key === this.#cell?.key;
    if (!same) this.#by = "query";
    this.#set(cell);
  }

  /** @param {string[]} tokens */
  #build(tokens) {
    this.#tokens = tokens;
    const height = Math.round(640 / tokens.length);
    this.#row = Math.min(TALLEST_ROW, Math.max(LOWEST_ROW, height));
    this.frame.style.setProperty("--row", `${this.#row}px`);
    for (const by of /** @type {const} */ (["query", "key"])) {
      this.#spans[by] = tokens.map((token, i) => {
        const span = document.createElement("span");
        span.textContent = glyphs(token);
        span.title = String(i);
        return span;
      });
      this.columns[by].replaceChildren(...this.#spans[by]);
    }
  }

  /** @param {Cell | null} cell */
  #set(cell) {
    const before = this.#cell;
    this.#cell = cell;
    for (const by of /** @type {const} */ (["query", "key"])) {
      this.#spans[by][before?.[by] ?? -1]?.classList.remove("is-marked");
      this.#spans[by][cell?.[by] ?? -1]?.classList.add("is-marked");
    }
    this.#paintSoon();
  }

  /** @param {Node} target */
  #onPoint(target) {
    for (const by of /** @type {const} */ (["query", "key"])) {
      const index = this.#spans[by].indexOf(/** @type {HTMLElement} */ (target));
      if (index < 0) continue;
      const T = this.#tokens.length;
      const cell =
        by === "query"
          ? { query: index, key: strongestKey(this.#weights, T, index) }
          : { query: strongestQuery(this.#weights, T, index), key: index };
      this.#by = by;
      this.#set(cell);
      this.onMove(cell);
    }
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key === "Escape" && this.#cell) return this.onMove(null);
    const cell = movedCell(event, this.#cell, this.#tokens.length);
    if (!cell) return;
    this.#by = "query";
    this.#set(cell);
    this.#spans.query[cell.query].scrollIntoView({ block: "nearest" });
    this.onMove(cell);
  }

  #paintSoon() {
    if (this.#waits) return;
    this.#waits = true;
    requestAnimationFrame(() => {
      this.#waits = false;
      this.#paint();
    });
  }

  #paint() {
    const { canvas } = this.columns;
    const width = canvas.clientWidth;
    const height = this.#tokens.length * this.#row;
    if (!this.#colouring || width === 0) return;
    const dense = Math.min(devicePixelRatio, 16_000 / height);
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale(dense, dense);
    context.strokeStyle = colour("--accent");
    context.lineWidth = this.#cell ? 2.5 : 1.25;
    this.#shades().forEach((lines, shade) => {
      if (lines.length === 0) return;
      context.globalAlpha = (shade + 1) / SHADES;
      context.beginPath();
      for (const [query, key] of lines) {
        context.moveTo(0, (query + 0.5) * this.#row);
        context.lineTo(width, (key + 0.5) * this.#row);
      }
      context.stroke();
    });
  }

  /** @returns {[query: number, key: number][][]} the lines of each strength that are shown */
  #shades() {
    const T = this.#tokens.length;
    /** @type {[number, number][][]} */
    const shades = Array.from({ length: SHADES }, () => []);
    const one = this.#cell?.[this.#by] ?? null;
    for (let query = 0; query < T; query++) {
      if (one !== null && this.#by === "query" && query !== one) continue;
      for (let key = 0; key <= query; key++) {
        if (one !== null && this.#by === "key" && key !== one) continue;
        const share = this.#colouring?.share(this.#weights[query * T + key]) ?? 0;
        if (share < FAINTEST) continue;
        shades[Math.min(SHADES - 1, Math.floor(share * SHADES))].push([query, key]);
      }
    }
    return strongest(shades);
  }
}

/**
 * @template T
 * @param {T[][]} shades the strongest last
 * @returns {T[][]} without the faintest of them, where they are too many
 */
function strongest(shades) {
  let left = MOST_LINES;
  return shades
    .toReversed()
    .map((lines) => {
      const some = lines.slice(0, left);
      left -= some.length;
      return some;
    })
    .toReversed();
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
