// The matrices of a head, each a table that its rows and cells can be chosen in.
import { matrixTable } from "./matrix.js";

/** @typedef {import("./attention_answer.js").Grid} Grid */

/**
 * @typedef {object} HeadMatrix
 * @property {string} id by which it is found again once it is drawn anew
 * @property {string} name
 * @property {Grid} values
 * @property {readonly string[]} rows a token each
 * @property {readonly string[]} [columns]
 * @property {boolean} [numbers] else it is drawn fine, in colours alone
 * @property {number} [digits]
 * @property {number} [largest]
 * @property {(row: number, column: number) => boolean} [blank]
 * @property {number | null} [row] the chosen one
 * @property {number | null} [column] of the chosen cell
 * @property {(row: number, column: number | null) => void} [onChoose] column: null by the row's name
 */

const MANY_COLUMNS = 13;

/**
 * @param {HeadMatrix} matrix
 * @returns {HTMLElement}
 */
export function headMatrix(matrix) {
  const { id, values, numbers = true, row = null, column = null, onChoose } = matrix;
  const width = values[0]?.length ?? 0;
  const frame = matrixTable(values, {
    ...matrix,
    // A fine column is narrower than its name.
    columns: numbers ? matrix.columns : undefined,
    numbers,
    chosen: row,
    onRow: onChoose && ((index) => onChoose(index, null)),
  });
  frame.dataset.matrix = id;
  frame.classList.toggle("is-pressed", onChoose !== undefined);
  frame.classList.toggle("is-fine", !numbers);
  frame.classList.toggle("is-wide", numbers && width > MANY_COLUMNS);
  frame.style.setProperty("--columns", String(width));
  const body = frame.querySelector("tbody");
  if (body && onChoose) bindCells(body, width, onChoose);
  else scrolledByKeys(frame, matrix.name);
  if (row !== null && column !== null) {
    body?.rows[row]?.cells[column + 1]?.classList.add("is-chosen");
  }
  return frame;
}

/**
 * What may be wider than the page, and has nothing in it to press, is itself reached by Tab.
 * @param {HTMLElement} frame
 * @param {string} name
 */
export function scrolledByKeys(frame, name) {
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", name);
}

/**
 * @param {readonly HTMLElement[]} matrices
 * @returns {HTMLElement} beside one another where there is room
 */
export function besideEachOther(...matrices) {
  const group = document.createElement("div");
  group.className = "matrices";
  group.append(...matrices);
  return group;
}

/**
 * @param {HTMLElement} matrix
 * @param {...HTMLElement} lines beside it, or below where there is no room
 */
export function withSums(matrix, ...lines) {
  const sums = document.createElement("div");
  sums.className = "sums";
  sums.append(...lines);
  return besideEachOther(matrix, sums);
}

/**
 * Draw anew without losing what has the focus, or how far each matrix is scrolled.
 * @param {ParentNode} root
 * @param {() => void} draw
 */
export function keepingPlace(root, draw) {
  const scrolled = new Map(frames(root).map((frame) => [frame.dataset.matrix, frame.scrollLeft]));
  const row = document.activeElement?.closest("[data-matrix] tr");
  const focused = row?.closest("[data-matrix]");
  const id = focused instanceof HTMLElement ? focused.dataset.matrix : undefined;
  const index = row instanceof HTMLTableRowElement ? row.sectionRowIndex : -1;
  draw();
  for (const frame of frames(root)) {
    frame.scrollLeft = scrolled.get(frame.dataset.matrix) ?? 0;
    if (id === undefined || frame.dataset.matrix !== id) continue;
    const button = frame.querySelectorAll("tbody button")[index];
    if (button instanceof HTMLElement) button.focus({ preventScroll: true });
  }
}

/** @param {ParentNode} root @returns {HTMLElement[]} */
function frames(root) {
  return [...root.querySelectorAll("[data-matrix]")].filter((it) => it instanceof HTMLElement);
}

/**
 * The pointer's way to a cell; the keyboard has the rows' names and the pickers.
 * @param {HTMLTableSectionElement} body
 * @param {number} width
 * @param {(row: number, column: number | null) => void} onChoose
 */
function bindCells(body, width, onChoose) {
  body.addEventListener("click", ({ target }) => {
    const cell = target instanceof Element ? target.closest("td") : null;
    const row = cell?.parentElement;
    if (!cell || !(row instanceof HTMLTableRowElement)) return;
    const column = cell.cellIndex - 1;
    if (column < width) onChoose(row.sectionRowIndex, column);
  });
}
