// From a weight between 0 and 1 to a colour: the surface at 0, ever stronger light above.
import { colour } from "./plotly.js";

const STOPS = 5;

/** @returns {[number, string][]} the scale as Plotly takes it */
export function plotlyScale() {
  return stops().map((stop, i) => [i / (STOPS - 1), stop]);
}

/** @returns {Uint32Array} 256 colours, each the four bytes of a canvas's pixel */
export function palette() {
  const points = stops().map(rgb);
  const pixels = new Uint8ClampedArray(4 * 256);
  for (let value = 0; value < 256; value++) {
    const place = (value / 255) * (STOPS - 1);
    const below = Math.min(Math.floor(place), STOPS - 2);
    for (let channel = 0; channel < 3; channel++) {
      const [from, to] = [points[below][channel], points[below + 1][channel]];
      pixels[4 * value + channel] = from + (to - from) * (place - below);
    }
    pixels[4 * value + 3] = 255;
  }
  return new Uint32Array(pixels.buffer);
}

/** @returns {string[]} "#rrggbb", from nothing to all */
function stops() {
  return Array.from({ length: STOPS }, (_, i) => colour(`--map-${i}`));
}

/** @param {string} hex */
function rgb(hex) {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}
