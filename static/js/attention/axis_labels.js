// The tokens along a map's two axes, as many as have room. A figure's own labels take ten times as
// long as the map that they are on.
import { glyphs } from "../glyphs.js";
import { colour } from "../plotly.js";

/** @typedef {[low: number, high: number]} Range of positions that are seen */

const SHORTEST = 9; // pixels from one label to the next
const LETTER = 7.3; // pixels
const GAP = 4;
const USUAL_ROOM = 30; // for as much as four letters
const MOST_ROOM = 84;

/**
 * @param {readonly string[]} tokens
 * @returns {number} how many pixels before each axis its labels need; a token of more letters than have
 *   room there is cut
 */
export function roomFor(tokens) {
  const words = tokens.filter((token) => [...token].length > 1);
  const longest = words.reduce((most, word) => Math.max(most, glyphs(word).length), 0);
  return Math.min(MOST_ROOM, Math.max(USUAL_ROOM, Math.ceil(LETTER * longest + 2 * GAP)));
}

export class AxisLabels {
  #canvas;
  #drawn = "";
  /** in pixels; asking for it anew would lay out the page in the middle of painting it */
  #size = { width: 0, height: 0 };

  /**
   * @param {HTMLCanvasElement} canvas over the map and its margins
   * @param {() => void} onSize the labels are to be drawn anew
   */
  constructor(canvas, onSize) {
    this.#canvas = canvas;
    new ResizeObserver(([{ contentRect }]) => {
      this.#size = contentRect;
      onSize();
    }).observe(canvas);
  }

  /**
   * @param {readonly string[]} tokens
   * @param {Range} across the keys
   * @param {Range} down the queries
   * @param {{ room: number, rest: number }} margins in pixels: room above and to the left of the map
   */
  draw(tokens, across, down, { room, rest }) {
    const { width, height } = this.#size;
    if (width === 0) return;
    const { theme } = document.documentElement.dataset;
    const drawn = JSON.stringify([tokens, across, down, width, height, theme]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#canvas.width = Math.round(width * devicePixelRatio);
    this.#canvas.height = Math.round(height * devicePixelRatio);
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    context.scale(devicePixelRatio, devicePixelRatio);
    context.fillStyle = colour("--ink-soft");
    const cell = (width - room - rest) / (across[1] - across[0]);
    context.font = `${cell < 12 ? 9 : 12}px ${colour("--mono")}`;
    const most = Math.floor((room - GAP) / context.measureText("0").width);
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const [token, at] of placed(tokens, down, height - room - rest))
      context.fillText(cut(token, most), room - GAP, room + at, room - GAP);
    const above = placed(tokens, across, width - room - rest);
    if (room > USUAL_ROOM) return upright(context, above, room, most);
    context.textBaseline = "bottom";
    context.textAlign = "center";
    for (const [token, at] of above) context.fillText(token, room + at, room - GAP, 4 * cell);
  }
}

/**
 * Words above narrow columns: read from below.
 * @param {CanvasRenderingContext2D} context
 * @param {[token: string, at: number][]} labels
 * @param {number} room
 * @param {number} most letters
 */
function upright(context, labels, room, most) {
  context.textAlign = "left";
  for (const [token, at] of labels) {
    context.save();
    context.translate(room + at, room - GAP);
    context.rotate(-Math.PI / 2);
    context.fillText(cut(token, most), 0, 0);
    context.restore();
  }
}

/** @param {string} token @param {number} most letters */
function cut(token, most) {
  return token.length > most ? `${token.slice(0, most - 1)}…` : token;
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
