// A small matrix as a table: read by eye, by keyboard, by screen readers and on paper.
import { glyphs } from "../glyphs.js";

/**
 * @typedef {object} MatrixLook
 * @property {string} name what stands above it: "scores, 8 × 8"
 * @property {readonly string[]} [rows] a token for each row
 * @property {readonly string[]} [columns] a token for each column
 * @property {number} [digits] behind the point; 2 if nothing is said
 * @property {number} [largest] what has the strongest colour; the largest size here if nothing is said
 * @property {number | null} [chosen] the row that is marked
 * @property {(row: number) => void} [onRow] makes each row's name a button
 * @property {(row: number, column: number) => boolean} [blank] a cell with nothing in it: masked
 * @property {boolean} [numbers] whether numbers are written in the cells; else only their colour
 */

/**
 * @param {readonly (readonly number[])[]} values rows of numbers; null where there is none
 * @param {MatrixLook} look
 * @returns {HTMLElement} colours: orange above 0, blue below, the surface at 0
 */
export function matrixTable(values, look) {
  const frame = document.createElement("div");
  frame.className = "matrix lesson-scroll";
  const table = document.createElement("table");
  const caption = table.createCaption();
  caption.textContent = look.name;
  if (look.columns) table.append(headOf(look.columns, look.rows !== undefined));
  const body = table.createTBody();
  const largest = look.largest ?? largestOf(values, look.blank);
  values.forEach((row, i) => {
    body.append(rowOf(row, i, look, largest));
  });
  frame.append(table);
  return frame;
}

/** @param {readonly string[]} columns @param {boolean} withCorner */
function headOf(columns, withCorner) {
  const head = document.createElement("thead");
  const row = head.insertRow();
  if (withCorner) row.append(document.createElement("td"));
  row.append(...columns.map((token) => heading(token, "col")));
  return head;
}

/**
 * @param {readonly number[]} values
 * @param {number} index
 * @param {MatrixLook} look
 * @param {number} largest
 */
function rowOf(values, index, look, largest) {
  const row = document.createElement("tr");
  if (look.chosen === index) row.className = "is-chosen";
  if (look.rows) row.append(rowName(look.rows[index], index, look));
  row.append(...values.map((value, j) => cell(value, look, largest, look.blank?.(index, j))));
  return row;
}

/** @param {string} token @param {number} index @param {MatrixLook} look */
function rowName(token, index, { onRow, chosen }) {
  const name = heading(token, "row");
  if (!onRow) return name;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "matrix-row";
  button.textContent = name.textContent;
  button.setAttribute("aria-pressed", String(chosen === index));
  button.addEventListener("click", () => onRow(index));
  name.replaceChildren(button);
  return name;
}

/** @param {string} token @param {"row" | "col"} scope */
function heading(token, scope) {
  const name = document.createElement("th");
  name.scope = scope;
  name.textContent = glyphs(token);
  return name;
}

/**
 * @param {number | null} value
 * @param {MatrixLook} look
 * @param {number} largest
 * @param {boolean} [blank]
 */
function cell(value, { digits = 2, numbers = true }, largest, blank = false) {
  const box = document.createElement("td");
  if (blank || value === null) {
    box.className = "is-blank";
    box.textContent = "·";
    return box;
  }
  const written = numberWord(value, digits);
  box.textContent = numbers ? written : "";
  box.title = numberWord(value, 6);
  if (!numbers) box.setAttribute("aria-label", written);
  const share = largest > 0 ? Math.min(1, Math.abs(value) / largest) : 0;
  box.style.setProperty("--cell-colour", value < 0 ? "var(--change-1)" : "var(--change-3)");
  // Less than all of it, so that ink stays readable on the strongest colour.
  box.style.setProperty("--cell-share", `${(92 * share).toFixed(1)}%`);
  return box;
}

/**
 * @param {number} value
 * @param {number} digits
 * @returns {string} with a minus as wide as a plus, and none before a zero
 */
export function numberWord(value, digits) {
  const word = value.toFixed(digits);
  return Number(word) === 0 ? word.replace("-", "") : word.replace("-", "−");
}

/**
 * @param {readonly (readonly number[])[]} values
 * @param {MatrixLook["blank"]} blank
 */
function largestOf(values, blank) {
  const shown = values.flatMap((row, i) => row.filter((_, j) => !blank?.(i, j)));
  return Math.max(0, ...shown.map((value) => Math.abs(value ?? 0)));
}
