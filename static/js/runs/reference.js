// Which run the others are measured against where nobody says so.

/** @typedef {import("../api.js").Run} Run */

/**
 * @param {readonly Run[]} runs at least one
 * @returns {Run} the baseline; without one, the first that was trained here
 */
export function usualReference(runs) {
  const [first] = runs;
  const named = runs.find(({ id }) => id === "baseline");
  return named ?? runs.find(({ imported }) => !imported) ?? first;
}
