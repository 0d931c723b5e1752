// The tokens along a map's two axes, as many as have room. A figure's own labels take ten times as
// long as the map that they are on.
import { glyphs } from "../glyphs.js";
import { colour } from "../plotly.js";

/** @typedef {[low: number, high: number]} Range of positions that are seen */

const SHORTEST = 9; // pixels from one label to the next

export class AxisLabels {
  #canvas;
  #margin;
  #drawn = "";
  /** in pixels; asking for it anew would lay out the page in the middle of painting it */
  #size = { width: 0, height: 0 };

  /**
   * @param {HTMLCanvasElement} canvas over the map and its margins
   * @param {{ l: number, r: number, t: number, b: number }} margin in pixels
   * @param {() => void} onSize the labels are to be drawn anew
   */
  constructor(canvas, margin, onSize) {
    this.#canvas = canvas;
    this.#margin = margin;
    new ResizeObserver(([{ contentRect }]) => {
      this.#size = contentRect;
      onSize();
    }).observe(canvas);
  }

  /**
   * @param {readonly string[]} tokens
   * @param {Range} across the keys
   * @param {Range} down the queries
   */
  draw(tokens, across, down) {
    const { width, height } = this.#size;
    if (width === 0) return;
    const { theme } = document.documentElement.dataset;
    const drawn = JSON.stringify([tokens, across, down, width, height, theme]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const { l, r, t, b } = this.#margin;
    this.#canvas.width = Math.round(width * devicePixelRatio);
    this.#canvas.height = Math.round(height * devicePixelRatio);
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    context.scale(devicePixelRatio, devicePixelRatio);
    context.fillStyle = colour("--ink-soft");
    const cell = (width - l - r) / (across[1] - across[0]);
    context.font = `${cell < 12 ? 9 : 12}px ${colour("--mono")}`;
    context.textBaseline = "bottom";
    context.textAlign = "center";
    for (const [token, at] of placed(tokens, across, width - l - r))
      context.fillText(token, l + at, t - 4, 4 * cell);
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const [token, at] of placed(tokens, down, height - t - b))
      context.fillText(token, l - 4, t + at, l - 4);
  }
}

/**
 * @param {readonly string[]} tokens
 * @param {Range} range
 * @param {number} size of the axis, in pixels
 * @returns {[token: string, at: number][]} the labels that have room, and where each is
 */
function placed(tokens, [low, high], size) {
  const pixels = size / (high - low);
  const every = Math.max(1, Math.ceil(SHORTEST / pixels));
  const first = Math.max(0, Math.ceil(low));
  const last = Math.min(tokens.length - 1, Math.floor(high));
  /** @type {[string, number][]} */
  const labels = [];
  for (let i = Math.ceil(first / every) * every; i <= last; i += every)
    labels.push([glyphs(tokens[i]), (i - low) * pixels]);
  return labels;
}
