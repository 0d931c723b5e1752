// Two texts beside one another: where they part.
import { glyphs } from "../glyphs.js";

/**
 * @param {string[]} one characters
 * @param {string[]} other
 * @returns {number | null} the first place at which they differ; null where they are the same
 */
export function firstDifference(one, other) {
  const longer = Math.max(one.length, other.length);
  for (let at = 0; at < longer; at++) if (one[at] !== other[at]) return at;
  return null;
}

/**
 * @param {string[]} characters
 * @param {number | null} at which of them is marked
 * @returns {(string | HTMLElement)[]}
 */
export function marked(characters, at) {
  if (at === null || at >= characters.length) return [characters.join("")];
  const mark = document.createElement("mark");
  mark.textContent = glyphs(characters[at]);
  const kept = characters[at] === "\n" ? "\n" : ""; // the sign stands before the line's end
  return [characters.slice(0, at).join(""), mark, kept + characters.slice(at + 1).join("")];
}
