// Numbers as coloured cells: a grid of position by channel, or one such grid for each head.
import { Colouring, SignedColouring } from "../colour_scale.js";
import { glyphs } from "../glyphs.js";
import { valueWords } from "./block_words.js";

/**
 * @typedef {import("./block_api.js").Activations} Activations
 * @typedef {import("./block_api.js").Axis} Axis
 * @typedef {import("./block_api.js").Grid} Grid
 * @typedef {{ head: number, row: number, column: number }} Cell
 */

const KEYS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
});

/** So many row names are written out; more are too many to read. */
const MOST_NAMES = 40;

export class BlockHeatmap {
  /** @type {Activations | null} */
  #shown = null;
  /** @type {Grid[]} one, or one for each head */
  #grids = [];
  /** @type {{ canvas: HTMLCanvasElement, mark: HTMLElement, frame: HTMLElement }[]} */
  #pictures = [];
  #element;
  #onPoint;

  /**
   * @param {HTMLElement} element
   * @param {(cell: Cell, words: string) => void} onPoint
   */
  constructor(element, onPoint) {
    this.#element = element;
    this.#onPoint = onPoint;
    document.addEventListener("themechange", () => this.#paint());
  }

  /** @param {Activations} shown */
  show(shown) {
    const hasHeads = shown.axes.length === 3;
    this.#shown = shown;
    this.#grids = /** @type {Grid[]} */ (hasHeads ? shown.values : [shown.values]);
    this.#pictures = this.#grids.map((_, head) => this.#picture(head, hasHeads));
    this.#element.replaceChildren(...this.#pictures.map(({ frame }) => frame));
    this.#element.classList.toggle("has-heads", hasHeads);
    this.#element.style.setProperty("--across", this.#grids.length > 4 ? "4" : "2");
    this.#paint();
  }

  /** @param {Cell} cell */
  point({ head, row, column }) {
    const [rows, columns] = this.#sides;
    const cell = {
      head,
      row: Math.min(rows.shown.length - 1, Math.max(0, row)),
      column: Math.min(columns.shown.length - 1, Math.max(0, column)),
    };
    this.#pictures.forEach(({ mark }, i) => {
      mark.hidden = i !== head;
      mark.style.setProperty("--row", String(cell.row));
      mark.style.setProperty("--column", String(cell.column));
    });
    this.#onPoint(cell, this.#words(cell));
  }

  /** @returns {[Axis, Axis]} */
  get #sides() {
    const axes = /** @type {Activations} */ (this.#shown).axes;
    return [axes[axes.length - 2], axes[axes.length - 1]];
  }

  /** @param {number} head @param {boolean} named */
  #picture(head, named) {
    const [rows, columns] = this.#sides;
    const frame = document.createElement("div");
    frame.className = "heat";
    frame.style.setProperty("--rows", String(rows.shown.length));
    frame.style.setProperty("--columns", String(columns.shown.length));
    frame.classList.toggle("is-square", rows.symbol === columns.symbol);
    if (named) frame.append(caption(`Head ${head}`));
    if (!named && rows.labels && rows.shown.length <= MOST_NAMES) frame.append(names(rows.labels));
    const canvas = document.createElement("canvas");
    canvas.width = columns.shown.length;
    canvas.height = rows.shown.length;
    const mark = document.createElement("span");
    mark.className = "heat-mark";
    mark.hidden = true;
    const area = document.createElement("div");
    area.className = "heat-area";
    area.tabIndex = 0;
    area.setAttribute("role", "img");
    const of = named ? `head ${head}, ` : "";
    area.setAttribute(
      "aria-label",
      `Numbers, ${of}${rows.shown.length} by ${columns.shown.length}; arrow keys read them one by one`,
    );
    area.append(canvas, mark);
    this.#listen(area, head);
    frame.append(area);
    return { canvas, mark, frame };
  }

  /** @param {HTMLElement} area @param {number} head */
  #listen(area, head) {
    const at = { row: -1, column: -1 };
    const go = (/** @type {number} */ row, /** @type {number} */ column) => {
      const [rows, columns] = this.#sides;
      at.row = Math.min(rows.shown.length - 1, Math.max(0, row));
      at.column = Math.min(columns.shown.length - 1, Math.max(0, column));
      this.point({ head, ...at });
    };
    area.addEventListener("pointermove", ({ clientX, clientY }) => {
      const box = area.getBoundingClientRect();
      const [rows, columns] = this.#sides;
      const row = Math.floor(((clientY - box.top) / box.height) * rows.shown.length);
      const column = Math.floor(((clientX - box.left) / box.width) * columns.shown.length);
      if (row !== at.row || column !== at.column) go(row, column);
    });
    area.addEventListener("keydown", (event) => {
      const step = KEYS[event.key];
      if (!step) return;
      event.preventDefault();
      go(at.row + step[0], at.column + step[1]);
    });
  }

  #paint() {
    if (!this.#shown) return;
    const colouring = colouringOf(this.#shown);
    this.#pictures.forEach(({ canvas }, head) => {
      paint(canvas, this.#grids[head], colouring);
    });
  }

  /** @param {Cell} cell */
  #words({ head, row, column }) {
    const [rows, columns] = this.#sides;
    const value = this.#grids[head][row][column];
    const of = this.#grids.length > 1 ? `Head ${head}, ` : "";
    const where = `${of}${placeWords(rows, row)}, ${placeWords(columns, column)}`;
    return `${where}: ${value === null ? "masked" : valueWords(value)}`;
  }
}

/** @param {Activations} activations @returns {boolean} whether there are numbers below zero */
export function isSigned({ statistics }) {
  return statistics.min < 0;
}

/** @param {Activations} activations */
function colouringOf({ statistics }) {
  const largest = Math.max(Math.abs(statistics.min), Math.abs(statistics.max), 1e-30);
  return statistics.min < 0 ? new SignedColouring(largest) : new Colouring(largest);
}

/**
 * @param {HTMLCanvasElement} canvas a pixel for each number
 * @param {Grid} grid null is left out
 * @param {import("../colour_scale.js").Scale} colouring
 */
function paint(canvas, grid, colouring) {
  const { width, height } = canvas;
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const { colours } = colouring;
  grid.forEach((row, i) => {
    row.forEach((value, j) => {
      if (value !== null) {
        pixels[i * width + j] = colours[Math.round(255 * colouring.share(value))];
      }
    });
  });
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/** @param {Axis} axis @param {number} at */
function placeWords({ symbol, shown, labels }, at) {
  const token = labels ? `‘${glyphs(labels[at])}’` : "";
  if (symbol === "T") return `${token} (${shown[at]})`;
  return symbol === "V" ? `token ${token}` : `channel ${shown[at]}`;
}

/** @param {string[]} labels */
function names(labels) {
  const list = document.createElement("div");
  list.className = "heat-names";
  list.setAttribute("aria-hidden", "true");
  list.append(
    ...labels.map((label) => {
      const name = document.createElement("span");
      name.textContent = glyphs(label);
      return name;
    }),
  );
  return list;
}

/** @param {string} words */
function caption(words) {
  const element = document.createElement("span");
  element.className = "heat-caption";
  element.textContent = words;
  return element;
}
