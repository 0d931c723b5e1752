// The state of a job, as a sign and a word.

/** @typedef {import("../jobs_api.js").JobState} JobState */

/** @type {Record<JobState, { word: string, path: string }>} */
const LOOKS = {
  queued: { word: "Queued", path: "M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 0 0 0-17zM12 7.5V12l3 2" },
  running: { word: "Running", path: "M3 15l4.5-6 4 4.5L15 8l3 3 3-6" },
  done: { word: "Done", path: "M4.5 12.5l5 5 10-11" },
  failed: { word: "Failed", path: "M12 3.5L22 20.5H2zM12 10v4.5M12 17.5v.2" },
  cancelled: { word: "Cancelled", path: "M6.5 6.5h11v11h-11z" },
  interrupted: { word: "Interrupted", path: "M3 12h5l2-4M21 12h-5l-2 4" },
};

/**
 * @param {JobState} state
 * @returns {string} "Running"
 */
export function stateWord(state) {
  return LOOKS[state].word;
}

/**
 * @param {JobState} state
 * @param {string} [words] in place of the state's own, such as "Queued, 2nd"
 * @returns {HTMLElement}
 */
export function stateBadge(state, words = stateWord(state)) {
  const badge = document.createElement("span");
  badge.className = "state-badge";
  badge.dataset.state = state;
  badge.append(sign(LOOKS[state].path), words);
  return badge;
}

/** @param {string} path */
function sign(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}
