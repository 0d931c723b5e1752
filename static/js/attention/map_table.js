// A map as a table of numbers: a row for each query, a column for each key.
import { glyphs } from "../glyphs.js";
import { movedCell } from "./heatmap.js";

/** @typedef {import("./heatmap.js").Cell} Cell */
/** @typedef {import("../colour_scale.js").Scale} Scale */

const ROWS = 32; // queries that are shown at once

export class MapTable {
  /** @type {string[]} */
  #tokens = [];
  /** @type {Float32Array} */
  #weights = new Float32Array();
  /** @type {Scale | null} */
  #colouring = null;
  #page = 0;
  #built = "";
  /** @type {HTMLTableCellElement[][]} */
  #cells = [];
  /** @type {Cell | null} */
  #cell = null;

  /**
   * @param {HTMLElement} frame takes the keys
   * @param {(cell: Cell | null) => void} onMove
   */
  constructor(frame, onMove) {
    this.frame = frame;
    this.onMove = onMove;
    this.back = button(frame, "Earlier queries", () => this.#turn(this.#page - 1));
    this.words = frame.appendChild(document.createElement("span"));
    this.words.className = "number";
    this.forth = button(frame, "Later queries", () => this.#turn(this.#page + 1));
    this.scroll = frame.appendChild(document.createElement("div"));
    this.scroll.className = "map-table-scroll";
    this.scroll.tabIndex = 0;
    this.scroll.setAttribute("role", "group");
    this.scroll.setAttribute("aria-label", "Weights; arrow keys move from cell to cell");
    this.scroll.addEventListener("keydown", (event) => this.#onKey(event));
    this.scroll.addEventListener("pointerover", ({ target }) => this.#onPoint(target));
  }

  /**
   * @param {Float32Array} weights (T, T), query by query
   * @param {string[]} tokens
   * @param {Scale} colouring
   */
  show(weights, tokens, colouring) {
    this.#weights = weights;
    this.#tokens = tokens;
    this.#colouring = colouring;
    this.#page = Math.min(this.#page, this.#pages - 1);
    this.#draw();
  }

  /** @param {Cell | null} cell */
  mark(cell) {
    if (cell && Math.floor(cell.query / ROWS) !== this.#page) {
      this.#page = Math.floor(cell.query / ROWS);
      this.#draw();
    }
    this.#at(this.#cell)?.classList.remove("is-marked");
    this.#cell = cell;
    this.#at(cell)?.classList.add("is-marked");
  }

  get #pages() {
    return Math.max(1, Math.ceil(this.#tokens.length / ROWS));
  }

  get #first() {
    return this.#page * ROWS;
  }

  /** @param {Cell | null} cell */
  #at(cell) {
    return cell ? this.#cells[cell.query - this.#first]?.[cell.key] : undefined;
  }

  /** @param {number} page */
  #turn(page) {
    this.#page = page;
    this.#draw();
    this.mark(this.#cell && Math.floor(this.#cell.query / ROWS) === page ? this.#cell : null);
  }

  #draw() {
    const T = this.#tokens.length;
    const last = Math.min(T, this.#first + ROWS) - 1;
    const built = JSON.stringify([this.#first, this.#tokens]);
    if (built !== this.#built) this.#build(last);
    this.#built = built;
    this.#cells.forEach((row, i) => {
      const query = this.#first + i;
      row.forEach((cell, key) => {
        const weight = this.#weights[query * T + key];
        cell.textContent = key > query ? "" : weight.toFixed(3);
        const share = key > query ? 0 : (this.#colouring?.share(weight) ?? 0);
        cell.style.setProperty("--share", `${Math.round(100 * share)}%`);
      });
    });
    this.words.textContent = `Queries ${this.#first} to ${last} of ${T}`;
    this.back.hidden = this.forth.hidden = this.#pages === 1;
    this.back.disabled = this.#page === 0;
    this.forth.disabled = this.#page === this.#pages - 1;
  }

  /** @param {number} last query */
  #build(last) {
    const table = document.createElement("table");
    table.className = "map-table";
    table.createCaption().textContent =
      "Each row is a query, each column a key; keys that come later are not seen.";
    const head = table.createTHead().insertRow();
    head.append(header("query", "col"));
    this.#tokens.forEach((token, key) => head.append(header(`${glyphs(token)} ${key}`, "col")));
    const body = table.createTBody();
    this.#cells = [];
    for (let query = this.#first; query <= last; query++) {
      const row = body.insertRow();
      row.append(header(`${glyphs(this.#tokens[query])} ${query}`, "row"));
      this.#cells.push(this.#tokens.map(() => row.insertCell()));
    }
    this.scroll.replaceChildren(table);
  }

  /** @param {EventTarget | null} target */
  #onPoint(target) {
    if (!(target instanceof HTMLTableCellElement) || target.tagName !== "TD") return;
    const row = /** @type {HTMLTableRowElement} */ (target.parentElement);
    const query = this.#first + row.sectionRowIndex;
    const key = target.cellIndex - 1;
    if (key > query) return;
    this.mark({ query, key });
    this.onMove({ query, key });
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const cell = movedCell(event, this.#cell, this.#tokens.length);
    if (!cell) return;
    this.mark(cell);
    this.#at(cell)?.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.onMove(cell);
  }
}

/** @param {string} words @param {"col" | "row"} scope */
function header(words, scope) {
  const cell = document.createElement("th");
  cell.scope = scope;
  cell.textContent = words;
  return cell;
}

/** @param {HTMLElement} parent @param {string} words @param {() => void} act */
function button(parent, words, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "button is-quiet";
  element.textContent = words;
  element.addEventListener("click", act);
  parent.append(element);
  return element;
}
