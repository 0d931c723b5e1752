// What became of a hypothesis, in a word.

/** @typedef {import("../api.js").Verdict} Verdict */

/** @type {Record<string, string>} */
const WORDS = { confirmed: "Confirmed", partly: "Partly confirmed", refuted: "Refuted" };

/** @param {Verdict | undefined} verdict @returns {string} "Confirmed"; empty without one */
export function verdictWords(verdict) {
  return verdict ? WORDS[verdict] : "";
}
