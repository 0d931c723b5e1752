// The same place of a text in two windows that may begin elsewhere, or have other tokens.
import { byteCount } from "./token_starts.js";

/** @typedef {import("./heatmap.js").Cell} Cell */

/** @type {WeakMap<readonly string[], number[]>} */
const known = new WeakMap();
const encoder = new TextEncoder();

/**
 * Both windows end where the text does, so places are counted in bytes from there.
 * @param {Cell | null} cell in the one window
 * @param {readonly string[]} from its tokens
 * @param {readonly string[]} to those of the other
 * @returns {Cell | null} in the other window; null where it does not reach
 */
export function linkedCell(cell, from, to) {
  if (!cell || from === to) return cell;
  const [query, key] = [cell.query, cell.key].map((i) => linked(i, from, to));
  return query === null || key === null ? null : { query, key };
}

/**
 * @param {number} index
 * @param {readonly string[]} from
 * @param {readonly string[]} to
 */
function linked(index, from, to) {
  const place = fromEnd(from)[index];
  const at = fromEnd(to).findLastIndex((start) => start >= place);
  return place === undefined || at < 0 ? null : at;
}

/** @param {readonly string[]} tokens @returns {number[]} bytes from the start of each to the end */
function fromEnd(tokens) {
  const before = known.get(tokens);
  if (before) return before;
  let left = 0;
  const places = tokens
    .toReversed()
    .map((token) => (left += byteCount(token, encoder)))
    .toReversed();
  known.set(tokens, places);
  return places;
}
