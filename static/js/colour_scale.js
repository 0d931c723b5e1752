// From a number to a colour: one scale for all the maps of a page, and one for signed differences.
import { colour } from "./plotly.js";

/**
 * @typedef {object} Scale
 * @property {Uint32Array} colours 256 of them, each a canvas's pixel
 * @property {(value: number) => number} share where among them a value's is, 0 to 1
 * @property {(values: Float32Array) => Record<string, unknown>} trace what a Plotly trace shows
 */

/** Logarithmic colours reach this many powers of ten below the largest number. */
const DECADES = 3;

/** @type {Map<string, Uint32Array>} palettes of the theme of the moment */
const palettes = new Map();

/** How numbers from 0 up are coloured: the surface at 0, ever stronger light above. */
export class Colouring {
  /**
   * @param {number} largest the number that gets the strongest colour
   * @param {{ log?: boolean }} [options]
   */
  constructor(largest, { log = false } = {}) {
    this.largest = largest;
    this.log = log;
  }

  /** The number that has the weakest colour, like all below it. */
  get faintest() {
    return this.log ? this.largest / 10 ** DECADES : 0;
  }

  /** The same for two that colour alike. */
  get name() {
    return `${this.largest} ${this.log} ${document.documentElement.dataset.theme}`;
  }

  /** @param {number} value @returns {number} of the way from the weakest colour to the strongest */
  share(value) {
    const ratio = value / this.largest;
    const share = this.log ? 1 + Math.log10(ratio) / DECADES : ratio;
    return Math.min(1, Math.max(0, share));
  }

  get colours() {
    return palette();
  }

  /** @param {number} value @returns {number} a canvas's pixel */
  pixel(value) {
    return this.colours[Math.round(255 * this.share(value))];
  }

  /**
   * @param {Float32Array} values
   * @returns {Record<string, unknown>} what a Plotly trace shows of them, but for their shape
   */
  trace(values) {
    const shown = this.log ? values.map((value) => this.share(value)) : values;
    const zmax = this.log ? 1 : this.largest;
    return { values: shown, zmin: 0, zmax, colorscale: plotlyScale("--map", 5) };
  }
}

/** How signed differences are coloured: blue below 0, the surface at 0, orange above. */
export class SignedColouring {
  /** @param {number} largest the difference, up or down, that gets the strongest colour */
  constructor(largest) {
    this.largest = largest;
  }

  get colours() {
    return diverging();
  }

  get name() {
    return `signed ${this.largest} ${document.documentElement.dataset.theme}`;
  }

  /** @param {number} value @returns {number} 0 for the strongest blue, 1 for the strongest orange */
  share(value) {
    return Math.min(1, Math.max(0, (1 + value / this.largest) / 2));
  }

  /** @param {Float32Array} values */
  trace(values) {
    const [zmin, zmax] = [-this.largest, this.largest];
    return { values, zmin, zmax, colorscale: plotlyScale("--change", 5) };
  }
}

/** @returns {Uint32Array} 256 colours from nothing to all, each the four bytes of a canvas's pixel */
export function palette() {
  return paletteOf("--map", 5);
}

/** @returns {Uint32Array} 256 colours from the strongest blue by the surface to the strongest orange */
export function diverging() {
  return paletteOf("--change", 5);
}

/** @param {string} name @param {number} count */
function paletteOf(name, count) {
  const key = `${name} ${document.documentElement.dataset.theme}`;
  const known = palettes.get(key) ?? mixed(stops(name, count).map(rgb));
  palettes.set(key, known);
  return known;
}

/** @param {number[][]} points colours, at even distances */
function mixed(points) {
  const last = points.length - 1;
  const pixels = new Uint8ClampedArray(4 * 256);
  for (let value = 0; value < 256; value++) {
    const place = (value / 255) * last;
    const below = Math.min(Math.floor(place), last - 1);
    for (let channel = 0; channel < 3; channel++) {
      const [from, to] = [points[below][channel], points[below + 1][channel]];
      pixels[4 * value + channel] = from + (to - from) * (place - below);
    }
    pixels[4 * value + 3] = 255;
  }
  return new Uint32Array(pixels.buffer);
}

/**
 * @param {string} name
 * @param {number} count
 * @returns {[number, string][]} the scale as Plotly takes it
 */
function plotlyScale(name, count) {
  return stops(name, count).map((stop, i) => [i / (count - 1), stop]);
}

/** @param {string} name of the custom properties @param {number} count @returns {string[]} "#rrggbb" */
function stops(name, count) {
  return Array.from({ length: count }, (_, i) => colour(`${name}-${i}`));
}

/** @param {string} hex */
function rgb(hex) {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}
