// The token lines of the chosen map as a drawing to keep: from each query on the left to its keys.

import { colour } from "../plotly.js";
import { labels } from "./map_files.js";

/** @typedef {import("./map_picture.js").Drawn} Drawn */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 640;
const ROW = 20; // pixels from a token to the next
const TOP = 64;
const EDGE = 24;
const COLUMN = 120; // where the lines begin and end, from either side

/**
 * @param {Drawn} drawn
 * @param {[query: number, key: number][]} pairs those that have a line
 * @returns {Blob} an SVG
 */
export function linesPicture({ title, tokens, weights, colouring }, pairs) {
  const T = tokens.length;
  const height = TOP + T * ROW + EDGE;
  const svg = document.createElementNS(SVG, "svg");
  set(svg, { viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, height });
  svg.append(shape("rect", { width: WIDTH, height, fill: colour("--paper") }));
  const words = { "font-family": "sans-serif", fill: colour("--ink") };
  svg.append(
    text(title, { ...words, x: EDGE, y: 28, "font-size": 15, "font-weight": 600 }),
    text("query: looks", { ...words, x: COLUMN, y: 52, "font-size": 12, "text-anchor": "end" }),
    text("key: looked at", { ...words, x: WIDTH - COLUMN, y: 52, "font-size": 12 }),
  );
  const middle = (/** @type {number} */ i) => TOP + (i + 0.5) * ROW;
  const lines = shape("g", { stroke: colour("--accent"), "stroke-width": 2 });
  for (const [query, key] of pairs) {
    const ends = { x1: COLUMN + 8, y1: middle(query), x2: WIDTH - COLUMN - 8, y2: middle(key) };
    const share = colouring.share(weights[query * T + key]);
    lines.append(shape("line", { ...ends, "stroke-opacity": share.toFixed(3) }));
  }
  svg.append(lines);
  const mono = { "font-family": "monospace", "font-size": 13, fill: colour("--ink") };
  for (const { place, text: token } of labels(tokens, T * ROW, ROW)) {
    const y = middle(place) + 4;
    svg.append(
      text(token, { ...mono, x: COLUMN, y, "text-anchor": "end" }),
      text(token, { ...mono, x: WIDTH - COLUMN, y }),
    );
  }
  return new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" });
}

/**
 * @param {Blob} svg
 * @returns {Promise<Blob>} the same as a PNG, at twice the density
 */
export async function pngOf(svg) {
  const address = URL.createObjectURL(svg);
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * image.naturalWidth;
    canvas.height = 2 * image.naturalHeight;
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((/** @type {(blob: Blob | null) => void} */ resolve) =>
      canvas.toBlob(resolve, "image/png"),
    );
    if (!blob) throw new Error("the browser cannot draw a picture so large");
    return blob;
  } finally {
    URL.revokeObjectURL(address);
  }
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 */
function shape(name, attributes) {
  return set(document.createElementNS(SVG, name), attributes);
}

/**
 * @param {string} words
 * @param {Record<string, string | number>} attributes
 */
function text(words, attributes) {
  const element = shape("text", attributes);
  element.textContent = words;
  return element;
}

/**
 * @param {Element} element
 * @param {Record<string, string | number>} attributes
 */
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}
