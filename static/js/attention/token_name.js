// How a token of a window is called.
import { glyphs, spoken } from "../glyphs.js";

/**
 * @param {string} token
 * @returns {string} "'e'", or "space", "newline" for what cannot be seen
 */
export function tokenName(token) {
  const word = spoken(token);
  return word === glyphs(token) ? `'${word}'` : word;
}

/**
 * @param {string[]} tokens
 * @param {number} index
 * @returns {string} "'e' (4)", "space (9)"
 */
export function tokenAt(tokens, index) {
  return `${tokenName(tokens[index])} (${index})`;
}
