// The chosen map as a picture to keep: with its title, its axes named, and the scale beside it.

import { asWritten, colour, picture } from "../plotly.js";
import { labels } from "./map_files.js";

const SIZE = 900;
const MARGIN = { l: 70, r: 90, t: 120, b: 20 };
const SHORTEST_LABEL = 9; // pixels from one to the next
const TICKS = 5;

/**
 * @typedef {object} Drawn
 * @property {string} title
 * @property {string[]} tokens T of them
 * @property {Float32Array} weights T x T, query by query
 * @property {import("../colour_scale.js").Colouring} colouring
 */

/**
 * @param {Drawn} drawn
 * @param {"png" | "svg"} format
 * @returns {Promise<Blob>}
 */
export async function mapPicture({ title, tokens, weights, colouring }, format) {
  const T = tokens.length;
  const { values, ...scale } = colouring.trace(weights);
  const all = /** @type {Float32Array} */ (values);
  const rows = Array.from({ length: T }, (_, query) => all.subarray(query * T, (query + 1) * T));
  const bar = { thickness: 14, outlinewidth: 0, ...ticks(colouring) };
  const trace = { type: "heatmap", z: rows, ...scale, colorbar: bar };
  return picture([trace], layout(title, tokens), { format, width: SIZE, height: SIZE });
}

/** @param {string} title @param {string[]} tokens */
function layout(title, tokens) {
  const shown = labels(tokens, SIZE - MARGIN.t, SHORTEST_LABEL);
  const axis = {
    tickvals: shown.map(({ place }) => place),
    ticktext: shown.map(({ text }) => asWritten(text)),
    tickfont: { family: colour("--mono"), size: shown.length > 60 ? 9 : 12 },
    tickangle: 0,
    showgrid: false,
    zeroline: false,
    ticks: "",
  };
  const end = tokens.length - 0.5;
  return {
    margin: MARGIN,
    xaxis: { ...axis, side: "top", range: [-0.5, end], title: { text: "key: looked at" } },
    yaxis: { ...axis, range: [end, -0.5], title: { text: "query: looks" } },
    title: { text: asWritten(title), x: 0.5, y: 0.97, yanchor: "top", font: { size: 18 } },
    font: { color: colour("--ink") },
    paper_bgcolor: colour("--map-0"),
  };
}

/** @param {import("../colour_scale.js").Colouring} colouring */
function ticks(colouring) {
  const { largest, log } = colouring;
  const values = Array.from({ length: TICKS }, (_, i) =>
    log ? largest / 10 ** i : (largest * i) / (TICKS - 1),
  ).filter((value) => value >= colouring.faintest);
  return {
    tickvals: values.map((value) => (log ? colouring.share(value) : value)),
    ticktext: values.map((value) => value.toPrecision(2)),
  };
}
