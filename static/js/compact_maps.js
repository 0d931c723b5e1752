// What the bytes of compact maps stand for, and how they become pixels.

/** @typedef {import("./attention_api.js").AttentionMaps} AttentionMaps */
/** @typedef {import("./attention_api.js").AttentionHeader} AttentionHeader */
/** @typedef {import("./colour_scale.js").Colouring} Colouring */

/** @type {WeakMap<AttentionMaps, number>} */
const withoutFirst = new WeakMap();

/** One buffer of pixels for all canvases: they are as large as one another. */
let image = new ImageData(1, 1);

/**
 * @param {AttentionMaps} maps
 * @param {number} index of a map, counting by layer, then by head
 * @returns {Uint8Array} its lower triangle, row by row
 */
export function triangleOf({ header, triangles }, index) {
  const size = (header.length * (header.length + 1)) / 2;
  return triangles.subarray(index * size, (index + 1) * size);
}

/** @param {AttentionHeader} header @returns {Float32Array} what each of the 256 bytes stands for */
export function byteValues({ encoding, largest, scale }) {
  return Float32Array.from({ length: 256 }, (_, byte) =>
    encoding === "sqrt8" ? largest * (byte / 255) ** 2 : byte / scale,
  );
}

/**
 * @param {AttentionMaps} maps
 * @param {number} index
 * @returns {Float32Array} T x T, query by query; 0 for keys that come later
 */
export function weightsOf(maps, index) {
  const T = maps.header.length;
  const triangle = triangleOf(maps, index);
  const values = byteValues(maps.header);
  const weights = new Float32Array(T * T);
  for (let query = 0, at = 0; query < T; query++) {
    for (let key = 0; key <= query; key++) weights[query * T + key] = values[triangle[at++]];
  }
  return weights;
}

/** @param {AttentionMaps} maps @returns {number} the largest number that is not on the first token */
export function largestWithoutFirst(maps) {
  const known = withoutFirst.get(maps);
  if (known !== undefined) return known;
  const { triangles, header } = maps;
  let largest = 0;
  for (let at = 0; at < triangles.length; ) {
    for (let query = 0; query < header.length; query++) {
      at++; // the first token
      for (let key = 1; key <= query; key++, at++)
        if (triangles[at] > largest) largest = triangles[at];
    }
  }
  const value = byteValues(header)[largest];
  withoutFirst.set(maps, value);
  return value;
}

/**
 * @param {AttentionHeader} header
 * @param {Colouring} colouring
 * @returns {Uint32Array} a pixel for each of the 256 bytes
 */
export function bytePixels(header, colouring) {
  return Uint32Array.from(byteValues(header), (value) => colouring.pixel(value));
}

/**
 * A picture of at most `most` pixels a side: where several numbers share one, it shows the largest,
 * so that no line is lost.
 * @param {HTMLCanvasElement} canvas takes that size
 * @param {Uint8Array} triangle
 * @param {number} T
 * @param {Uint32Array} pixels one for each byte, the larger the stronger
 * @param {number} most
 */
export function paintTriangle(canvas, triangle, T, pixels, most) {
  const together = Math.ceil(T / most);
  const size = Math.ceil(T / together);
  const largest = new Uint8Array(size * size);
  for (let query = 0, at = 0; query < T; query++) {
    const row = Math.trunc(query / together) * size;
    for (let start = 0, to = row; start <= query; start += together, to++) {
      const end = Math.min(query + 1, start + together);
      for (let key = start; key < end; key++, at++)
        if (triangle[at] > largest[to]) largest[to] = triangle[at];
    }
  }
  const target = bufferOf(size);
  for (let to = 0; to < largest.length; to++) target[to] = pixels[largest[to]];
  put(canvas, size);
}

/**
 * @param {HTMLCanvasElement} canvas becomes as many pixels wide and high as there are tokens
 * @param {Float32Array} weights (T, T)
 * @param {number} T
 * @param {import("./colour_scale.js").Scale} colouring
 */
export function paintWeights(canvas, weights, T, colouring) {
  const target = bufferOf(T);
  const { colours } = colouring;
  for (let at = 0; at < T * T; at++)
    target[at] = colours[Math.round(255 * colouring.share(weights[at]))];
  put(canvas, T);
}

/** @param {number} T */
function bufferOf(T) {
  if (image.width !== T) image = new ImageData(T, T);
  return new Uint32Array(image.data.buffer);
}

/** @param {HTMLCanvasElement} canvas @param {number} T */
function put(canvas, T) {
  if (canvas.width !== T || canvas.height !== T) canvas.width = canvas.height = T;
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}
