// All that a side shows as one file, which opens without a server: exported_view.js with its data.
import { siteText } from "../api.js";
import { glyphs } from "../glyphs.js";
import { nameOf } from "./heads_picture.js";

const SCRIPT = here("./exported_view.js");
const STYLES = [here("../../css/tokens.css"), here("../../css/exported_view.css")];
/** It may run what it carries within itself, and load nothing. */
const POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";

/**
 * @typedef {object} Exported
 * @property {string} title
 * @property {[name: string, value: string][]} facts
 * @property {import("../attention_api.js").AttentionMaps} maps "sqrt8"
 * @property {number[]} shades for each byte its place among the palette's 256 colours
 * @property {number} chosen which of the maps `weights` is
 * @property {Float32Array} weights T x T, query by query
 */

/**
 * @param {Exported} exported
 * @returns {Promise<Blob>}
 */
export async function exportedPage({ title, facts, maps, shades, chosen, weights }) {
  const { tokens, largest, shape } = maps.header;
  const names = Array.from({ length: shape[0] * shape[1] }, (_, i) => nameOf(maps.header, i));
  const data = {
    title,
    facts,
    tokens: tokens.map(glyphs),
    columns: shape[1],
    names,
    labels: names.map(short),
    largest,
    shades,
    triangles: base64(maps.triangles),
    chosen,
    exact: base64(lowerTriangle(weights, tokens.length)),
  };
  const [script, ...styles] = await Promise.all([SCRIPT, ...STYLES].map((path) => siteText(path)));
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escaped(title)}</title>
<style>${styles.map((style) => style.replaceAll("</", "<\\/")).join("\n")}</style>
</head>
<body>
<main id="view"></main>
<noscript>This page draws its maps with JavaScript.</noscript>
<script type="application/json" id="exported">${JSON.stringify(data).replaceAll("<", "\\u003c")}</script>
<script type="module">${script.replaceAll(/<\/(?=script)/gi, "<\\/")}</script>
</body>
</html>
`;
  return new Blob([html], { type: "text/html" });
}

/**
 * @param {Float32Array} weights
 * @param {number} T
 * @returns {Uint8Array} row by row, little-endian float32
 */
function lowerTriangle(weights, T) {
  const view = new DataView(new ArrayBuffer(2 * T * (T + 1)));
  let at = 0;
  for (let query = 0; query < T; query++) {
    for (let key = 0; key <= query; key++, at += 4)
      view.setFloat32(at, weights[query * T + key], true);
  }
  return new Uint8Array(view.buffer);
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  const PART = 0x8000; // a call takes so many arguments
  let text = "";
  for (let at = 0; at < bytes.length; at += PART)
    text += String.fromCharCode(...bytes.subarray(at, at + PART));
  return btoa(text);
}

/** @param {string} name @returns {string} "L0 H1" */
function short(name) {
  return name.replace(/Layer (\d+)/, "L$1").replace(/, head (\d+)/, " H$1");
}

/** @param {string} text */
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** @param {string} path from this module @returns {string} the address of the same version */
function here(path) {
  return new URL(path, import.meta.url).pathname;
}
