// How a run is drawn wherever it appears on a page: its number decides.
import { colour } from "./plotly.js";

const COLOURS = 7;
const DASHES = ["solid", "dash", "9px,3px", "dashdot"];

/** @param {number} number @returns {string} the name of its custom property */
export function runColourName(number) {
  return `--run-${(number % COLOURS) + 1}`;
}

/** @param {number} number @returns {string} its colour in the theme of the moment */
export function runColour(number) {
  return colour(runColourName(number));
}

/** @param {number} number @returns {string} as Plotly names it: tells apart what colour cannot */
export function runDash(number) {
  return DASHES[Math.floor(number / 2) % DASHES.length];
}
