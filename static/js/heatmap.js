// One head's attention as a Plotly heatmap, with a cursor that keys and the pointer move.
import { plotlyScale } from "./colour_scale.js";
import { glyphs } from "./glyphs.js";
import { colour, draw, png } from "./plotly.js";

/** @typedef {{ query: number, key: number }} Cell */

const IMAGE_SIZE = 900;
const MARGIN = { l: 30, r: 6, t: 30, b: 6 };
const SHORTEST_LABEL = 9; // pixels from one to the next

export class Heatmap {
  /**
   * @param {HTMLElement} frame gets the figure and the cursor's two bars; takes the keys
   * @param {(cell: Cell | null) => void} onMove
   */
  constructor(frame, onMove) {
    this.frame = frame;
    this.onMove = onMove;
    this.figure = add(frame, "heatmap-figure");
    const area = add(frame, "heatmap-area");
    this.row = add(area, "heatmap-row");
    this.column = add(area, "heatmap-column");
    /** @type {string[]} */
    this.tokens = [];
    /** @type {Float32Array} */
    this.weights = new Float32Array();
    /** @type {Cell | null} */
    this.cell = null;
    this.listening = false;
    frame.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /**
   * @param {Float32Array} weights (T, T), query by query
   * @param {string[]} tokens T of them
   * @param {number} brightest the weight that gets the strongest colour
   */
  async show(weights, tokens, brightest) {
    const T = tokens.length;
    const rows = Array.from({ length: T }, (_, query) =>
      weights.subarray(query * T, (query + 1) * T),
    );
    const trace = {
      type: "heatmap",
      z: rows,
      zmin: 0,
      zmax: brightest,
      colorscale: plotlyScale(),
      showscale: false,
      hoverinfo: "none",
    };
    const figure = await draw(this.figure, [trace], this.#layout(tokens, this.frame.clientHeight));
    if (!this.listening) {
      figure.on("plotly_hover", ({ points: [point] }) =>
        this.move({ query: point.y, key: point.x }),
      );
      figure.on("plotly_relayout", () => this.mark(this.cell));
      this.listening = true;
    }
    Object.assign(this, { weights, tokens });
    this.mark(this.cell);
  }

  /** @param {Cell} cell where the cursor goes; whoever listens is told */
  move(cell) {
    this.mark(cell);
    this.onMove(this.cell);
  }

  /** @param {Cell | null} cell where the cursor is shown, without telling anybody */
  mark(cell) {
    const inside =
      cell &&
      cell.query >= 0 &&
      cell.query < this.length &&
      cell.key >= 0 &&
      cell.key < this.length;
    this.cell = inside ? cell : null;
    this.row.hidden = this.column.hidden = !this.cell;
    if (!this.cell) return;
    const { layout } = /** @type {import("./plotly.js").Figure} */ (
      /** @type {HTMLElement} */ (this.figure)
    );
    place(this.row, "top", "height", this.cell.query, [...layout.yaxis.range].reverse());
    place(this.column, "left", "width", this.cell.key, layout.xaxis.range);
  }

  /** How many characters there are. */
  get length() {
    return this.tokens.length;
  }

  /** @param {Cell} cell @returns {number} */
  weight({ query, key }) {
    return this.weights[query * this.length + key];
  }

  /**
   * @param {string} title written above the map, so that the picture says what it shows
   * @returns {Promise<string>} a PNG as a data address
   */
  async image(title) {
    const { xaxis, yaxis } = this.#layout(this.tokens, IMAGE_SIZE);
    const layout = {
      margin: { l: 70, r: 20, t: 120, b: 20 },
      xaxis: { ...xaxis, title: { text: "key: the character looked at" } },
      yaxis: { ...yaxis, title: { text: "query: the character that looks" } },
      title: {
        text: title,
        x: 0.5,
        y: 0.97,
        yanchor: "top",
        font: { size: 18, color: colour("--ink") },
      },
      paper_bgcolor: colour("--map-0"),
    };
    return png(this.figure, layout, { width: IMAGE_SIZE, height: IMAGE_SIZE });
  }

  /**
   * @param {string[]} tokens
   * @param {number} size of the figure, in pixels
   */
  #layout(tokens, size) {
    const every = Math.ceil((tokens.length * SHORTEST_LABEL) / (size - MARGIN.t));
    const places = tokens.map((_, i) => i).filter((i) => i % every === 0);
    const axis = {
      tickvals: places,
      ticktext: places.map((i) => glyphs(tokens[i])),
      tickfont: { family: colour("--mono"), size: size / tokens.length < 12 ? 9 : 12 },
      tickangle: 0,
      showgrid: false,
      zeroline: false,
      ticks: "",
    };
    const end = tokens.length - 0.5;
    return {
      margin: MARGIN,
      xaxis: { ...axis, side: "top", range: [-0.5, end] },
      yaxis: { ...axis, range: [end, -0.5] },
      dragmode: "zoom",
    };
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[
      event.key
    ];
    if (!step || !this.length) return;
    event.preventDefault();
    const last = this.length - 1;
    const from = this.cell ?? { query: last, key: last + (step[1] === 0 ? 0 : 1) };
    const query = Math.min(last, Math.max(0, from.query + step[0]));
    this.move({ query, key: Math.min(query, Math.max(0, from.key + step[1])) });
  }
}

/**
 * @param {HTMLElement} bar
 * @param {"top" | "left"} side
 * @param {"height" | "width"} extent
 * @param {number} index
 * @param {number[]} range of the axis, low to high
 */
function place(bar, side, extent, index, [low, high]) {
  const from = Math.max(low, index - 0.5);
  const to = Math.min(high, index + 0.5);
  bar.hidden = to <= from;
  bar.style[side] = `${(100 * (from - low)) / (high - low)}%`;
  bar.style[extent] = `${(100 * (to - from)) / (high - low)}%`;
}

/**
 * @param {HTMLElement} parent
 * @param {string} name its class
 */
function add(parent, name) {
  const element = document.createElement("div");
  element.className = name;
  parent.append(element);
  return element;
}
