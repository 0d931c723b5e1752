// Every head of a run in one picture to keep.
import { bytePixels, paintTriangle, triangleOf } from "../compact_maps.js";
import { colour } from "../plotly.js";

/** @typedef {import("../attention_api.js").AttentionMaps} AttentionMaps */

const SMALLEST = 240; // pixels of a map's side
const GAP = 28;
const CAPTION = 40;
const EDGE = 56;
const HEAD = 128;

/**
 * @param {string} title
 * @param {AttentionMaps} maps
 * @param {import("../colour_scale.js").Colouring} colouring
 * @returns {Promise<Blob>} a PNG
 */
export async function headsPicture(title, maps, colouring) {
  const [rows, columns, T] = maps.header.shape;
  const scale = Math.max(1, Math.ceil(SMALLEST / T));
  const side = T * scale;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(960, 2 * EDGE + columns * (side + GAP) - GAP);
  canvas.height = HEAD + EDGE + rows * (side + CAPTION + GAP) - GAP;
  const context = contextOf(canvas);
  context.fillStyle = colour("--paper");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = colour("--ink");
  context.font = `600 34px ${getComputedStyle(document.body).fontFamily}`;
  context.fillText(title, EDGE, EDGE + 24, canvas.width - 2 * EDGE);
  context.font = `22px ${getComputedStyle(document.body).fontFamily}`;
  context.imageSmoothingEnabled = false;
  const pixels = bytePixels(maps.header, colouring);
  const map = document.createElement("canvas");
  for (let i = 0; i < rows * columns; i++) {
    const x = EDGE + (i % columns) * (side + GAP);
    const y = HEAD + Math.floor(i / columns) * (side + CAPTION + GAP);
    paintTriangle(map, triangleOf(maps, i), T, pixels, T);
    context.drawImage(map, x, y, side, side);
    context.strokeStyle = colour("--line");
    context.strokeRect(x - 0.5, y - 0.5, side + 1, side + 1);
    context.fillText(nameOf(maps.header, i), x, y + side + 28, side);
  }
  return new Promise((resolve, reject) => {
    const done = (/** @type {Blob | null} */ blob) =>
      blob ? resolve(blob) : reject(new Error("The browser could not draw a picture so large."));
    canvas.toBlob(done, "image/png");
  });
}

/**
 * @param {import("../attention_api.js").AttentionHeader} header
 * @param {number} index of a map, by layer, then by head
 * @returns {string} what the map is of
 */
export function nameOf({ merge, layers, heads, shape }, index) {
  if (merge === "all") return "All layers and heads";
  const layer = layers[Math.floor(index / shape[1])];
  return merge === "heads" ? `Layer ${layer}` : `Layer ${layer}, head ${heads[index % shape[1]]}`;
}

/** @param {HTMLCanvasElement} canvas */
function contextOf(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}
