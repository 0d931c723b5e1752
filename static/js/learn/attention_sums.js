// A step's arithmetic, written out in the numbers of one cell.
import { numberWord } from "./matrix.js";

/** @typedef {import("./attention_answer.js").Steps} Steps */
/** @typedef {string | Node} Piece */

const DIGITS = 3;

/**
 * @param {Piece[]} left what is worked out
 * @param {Piece[]} terms the sum's, or the one expression
 * @param {number} result
 * @returns {HTMLElement} "left = term + term = result", broken between terms only
 */
export function sumLine(left, terms, result) {
  const line = document.createElement("p");
  line.className = "sum";
  line.append(together(...left, " ="), " ");
  terms.forEach((term, index) => {
    line.append(together(...(index ? ["+ ", term] : [term])), " ");
  });
  line.append(together("= ", strong(inDigits(result))));
  return line;
}

/**
 * q·k of a pair, product by product.
 * @param {Steps} steps
 * @param {number} query
 * @param {number} key
 * @param {number} [first] what the first query, key and channel is called, here and below
 */
export function scoreSum({ q, k, scores, size }, query, key, first = 0) {
  const shown = q[query].length;
  const terms = q[query].map((factor, d) => product(factor, k[key][d]));
  if (shown < size) {
    const rest = q[query].reduce((sum, factor, d) => sum - factor * k[key][d], scores[query][key]);
    terms.push(`${bracketed(rest)} of the other ${size - shown} channels`);
  }
  const left = [symbol("q", first + query), " · ", symbol("k", first + key)];
  return sumLine(left, terms, scores[query][key]);
}

/** @param {Steps} steps @param {number} query @param {number} key @param {number} [first] */
export function scaledSum({ scores, scaled, size }, query, key, first = 0) {
  const division = `${inDigits(scores[query][key])} / √${size}`;
  return sumLine([symbol("z", first + query, first + key)], [division], scaled[query][key]);
}

/**
 * The softmax of a row, for one key.
 * @param {Steps} steps
 * @param {number} query
 * @param {number} key
 * @param {number} [first]
 * @returns {HTMLElement[]} the key's power, the sum of the row's, their quotient
 */
export function softmaxSums(steps, query, key, first = 0) {
  const { scaled, masked, exponentials, row_largest, row_sums, weights } = steps;
  const [most, sum] = [row_largest[query], row_sums[query]];
  const exponent = masked[query][key]
    ? "−∞"
    : `${inDigits(scaled[query][key])} − ${bracketed(most)}`;
  const seen = exponentials[query].filter((_, j) => !masked[query][j]);
  const own = exponentials[query][key];
  const [i, j] = [first + query, first + key];
  return [
    sumLine([power(symbol("z", i, j), " − ", symbol("m", i))], [power(exponent)], own),
    sumLine(["powers of ", symbol("q", i)], seen.map(inDigits), sum),
    sumLine([symbol("w", i, j)], [`${inDigits(own)} / ${inDigits(sum)}`], weights[query][key]),
  ];
}

/**
 * One channel of a query's output, value by value.
 * @param {Steps} steps
 * @param {number} query
 * @param {number} channel
 * @param {number} [first]
 */
export function outputSum({ weights, masked, v, output }, query, channel, first = 0) {
  const seen = weights[query].map((_, j) => j).filter((j) => !masked[query][j]);
  const terms = seen.map((j) => product(weights[query][j], v[j][channel]));
  return sumLine([symbol("o", first + query, first + channel)], terms, output[query][channel]);
}

/**
 * @param {string} letter
 * @param {...number} indices
 * @returns {HTMLElement} the letter with the indices below it
 */
export function symbol(letter, ...indices) {
  const name = document.createElement("i");
  const below = document.createElement("sub");
  below.textContent = indices.join(",");
  name.append(letter, below);
  return name;
}

/**
 * @param {number} value
 * @returns {string} rounded, or without the zeros behind it where nothing is rounded
 */
export function inDigits(value) {
  const rounded = Number(value.toFixed(DIGITS));
  return rounded === value ? String(value).replace("-", "−") : numberWord(value, DIGITS);
}

/** @param {number} value */
function bracketed(value) {
  const word = inDigits(value);
  return word.startsWith("−") ? `(${word})` : word;
}

/** @param {number} factor @param {number} other */
function product(factor, other) {
  return `${bracketed(factor)} × ${bracketed(other)}`;
}

/** @param {...Piece} exponent */
function power(...exponent) {
  const piece = document.createElement("span");
  const raised = document.createElement("sup");
  raised.append(...exponent);
  piece.append("e", raised);
  return piece;
}

/** @param {string} word */
function strong(word) {
  const result = document.createElement("strong");
  result.textContent = word;
  return result;
}

/** @param {...Piece} pieces */
function together(...pieces) {
  const whole = document.createElement("span");
  whole.append(...pieces);
  return whole;
}
