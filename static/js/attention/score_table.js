// How one query comes to its weights: a row of numbers and bars for each key.
import { barCell, headCell, rowOf, textCell } from "./bar_cell.js";
import { reach } from "./signed.js";
import { tokenAt } from "./token_name.js";

/** @typedef {import("../attention_api.js").HeadRow} HeadRow */

/**
 * @param {HeadRow} row
 * @param {boolean} inOrder as in the text, rather than the strongest first
 * @returns {number[]} keys; those that are masked come last
 */
export function keysOf({ weight, masked, scaled }, inOrder) {
  const keys = weight.map((_, key) => key);
  if (inOrder) return keys;
  return keys.sort((a, b) => {
    const first = Number(masked[a]) - Number(masked[b]) || weight[b] - weight[a];
    return first || scaled[b] - scaled[a] || a - b;
  });
}

/**
 * @param {HeadRow} row
 * @param {string[]} tokens
 * @param {number[]} keys which of them, in what order
 * @returns {HTMLTableRowElement[]}
 */
export function scoreRows({ score, scaled, masked, weight, value, weighted }, tokens, keys) {
  const most = { score: reach(score), scaled: reach(scaled), value: reach(value) };
  const mostWeighted = reach(weighted);
  return keys.map((key) => {
    const line = rowOf(
      headCell(tokenAt(tokens, key)),
      number(score[key], most.score, true),
      number(scaled[key], most.scaled, true),
      textCell(masked[key] ? "masked" : ""),
      number(weight[key], 1),
      number(value[key], most.value),
      number(weighted[key], mostWeighted),
    );
    line.classList.toggle("is-masked", masked[key]);
    return line;
  });
}

/**
 * @param {number} value
 * @param {number} most
 * @param {boolean} [signed]
 */
function number(value, most, signed = false) {
  return barCell(value.toFixed(3).replace("-", "−"), value / most, { signed });
}
