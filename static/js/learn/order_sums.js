// The Witten-Bell sum of one token, order by order, with the numbers that are in it.
import { grouped } from "../format.js";
import { tokenRow } from "./pieces.js";

/** @typedef {import("./text_api.js").NextToken} NextToken */
/** @typedef {import("./text_api.js").OrderCounts} OrderCounts */

const MATHML = "http://www.w3.org/1998/Math/MathML";

/**
 * @param {OrderCounts[]} sums from order 1 up
 * @param {number} index of the token among the candidates
 * @param {number} vocabularySize
 * @returns {HTMLTableElement}
 */
export function sumTable(sums, index, vocabularySize) {
  const table = document.createElement("table");
  table.className = "lesson-table order-sums";
  const head = table.createTHead().insertRow();
  for (const name of ["Order", "Context", "Probability up to here", "count", "total", "kinds"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
  }
  const body = table.createTBody();
  rowOf(
    body,
    "0",
    none("none"),
    ["", "", ""],
    math(fraction("1", String(vocabularySize)), "=", probability(1 / vocabularySize)),
  );
  let below = 1 / vocabularySize;
  for (const line of sums) {
    const count = line.counts[index];
    const numbers = [count, line.total, line.kinds].map(grouped);
    const context = line.context.length ? tokenRow(line.context) : none("none");
    const row = rowOf(body, String(line.order), context, numbers, sumOf(line, index, below));
    row.classList.toggle("is-unseen", line.total === 0);
    below = line.probabilities[index];
  }
  return table;
}

/**
 * @param {number} value a probability
 * @returns {string} five digits that mean something: "0.54678", "2.0972 · 10⁻⁶"
 */
export function probability(value) {
  if (value >= 1e-4 || value === 0) return String(Number(value.toPrecision(5)));
  const [digits, exponent] = value.toExponential(4).split("e-");
  const raised = [...exponent].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]).join("");
  return `${digits} · 10⁻${raised}`;
}

/**
 * @param {OrderCounts} line
 * @param {number} index
 * @param {number} below the probability up to the order below
 */
function sumOf({ total, kinds, counts, probabilities }, index, below) {
  const value = probability(probabilities[index]);
  if (total === 0) return math(value);
  return math(
    fraction(`${counts[index]} + ${kinds} × ${probability(below)}`, `${total} + ${kinds}`),
    "=",
    value,
  );
}

/**
 * @param {HTMLTableSectionElement} body
 * @param {string} order
 * @param {Element} context
 * @param {string[]} numbers
 * @param {Element} sum
 */
function rowOf(body, order, context, numbers, sum) {
  const row = body.insertRow();
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = order;
  row.append(name);
  for (const content of [context, sum]) row.insertCell().append(content);
  for (const number of numbers) {
    const cell = row.insertCell();
    cell.className = "number";
    cell.textContent = number;
  }
  return row;
}

/** @param {string} word */
function none(word) {
  const note = document.createElement("span");
  note.className = "note";
  note.textContent = word;
  return note;
}

/** @param {...(string | Element)} parts a word stands for itself */
function math(...parts) {
  const row = mathml("math");
  row.setAttribute("displaystyle", "true"); // or the digits of a fraction are too small to read
  row.append(...parts.map((part) => (typeof part === "string" ? word(part) : part)));
  return row;
}

/** @param {string} above @param {string} below */
function fraction(above, below) {
  const whole = mathml("mfrac");
  whole.append(...[above, below].map((sum) => words(sum)));
  return whole;
}

/** @param {string} sum with a space around each sign */
function words(sum) {
  const row = mathml("mrow");
  row.append(...sum.split(" ").map(word));
  return row;
}

/** @param {string} text a sign, or a number */
function word(text) {
  const element = mathml(/^[+×·=]$/.test(text) ? "mo" : "mn");
  element.textContent = text;
  return element;
}

/** @param {string} name */
function mathml(name) {
  return document.createElementNS(MATHML, name);
}
