// Every head's row as a strip of colours on one canvas: heads downwards, keys to the right.
import { glyphs } from "../glyphs.js";
import { colour } from "../plotly.js";

/**
 * @typedef {import("./head_rows.js").HeadRows} HeadRows
 * @typedef {{ row: number, key: number }} Cell
 *
 * @typedef {object} Strips
 * @property {HeadRows} rows
 * @property {string[]} tokens
 * @property {(value: number) => number} pixel a number's colour
 * @property {number} chosen the row of the selected head
 */

const LABELS = 64;
const HEADER = 20;
const FEW_ROWS = 48;
const LAYER_GAP = 4;
const WIDEST = 40;
const NARROWEST = 3;
const SHOWS_TOKENS_FROM = 8;

export class HeadStrips {
  /** @type {Strips | null} */
  #strips = null;
  /** @type {Cell | null} */
  cell = null;
  #columnWidth = WIDEST;
  #rowHeight = 18;
  #onMove;
  #onChoose;

  /**
   * @param {HTMLElement} element focusable, scrolls
   * @param {{ onMove: (cell: Cell) => void, onChoose: (row: number) => void }} listeners
   */
  constructor(element, { onMove, onChoose }) {
    this.element = element;
    this.#onMove = onMove;
    this.#onChoose = onChoose;
    this.frame = add(element, "div", "strips-frame");
    this.canvas = /** @type {HTMLCanvasElement} */ (add(this.frame, "canvas", "strips-canvas"));
    this.mark = add(this.frame, "div", "strips-mark");
    this.canvas.addEventListener("pointermove", (event) => this.#onPointer(event));
    this.canvas.addEventListener("click", (event) => {
      this.#onPointer(event);
      if (this.cell) this.#onChoose(this.cell.row);
    });
    element.addEventListener("keydown", (event) => this.#onKey(event));
    new ResizeObserver(() => this.#draw()).observe(element);
  }

  /** @param {Strips} strips */
  show(strips) {
    this.#strips = strips;
    this.#draw();
  }

  /** @param {Cell | null} cell where the cursor is shown, without telling anybody */
  point(cell) {
    const strips = this.#strips;
    const inside = cell && strips && cell.row < strips.rows.count && cell.key <= strips.rows.query;
    this.cell = inside ? cell : null;
    this.mark.hidden = !this.cell;
    if (!this.cell) return;
    Object.assign(this.mark.style, {
      left: `${LABELS + this.cell.key * this.#columnWidth}px`,
      top: `${this.#top(this.cell.row)}px`,
      width: `${this.#columnWidth}px`,
      height: `${this.#rowHeight}px`,
    });
  }

  /** @param {PointerEvent | MouseEvent} event */
  #onPointer(event) {
    if (!this.#strips) return;
    const { rows } = this.#strips;
    const box = this.canvas.getBoundingClientRect();
    const y = event.clientY - box.top - HEADER;
    const layerHeight = rows.nHead * this.#rowHeight + LAYER_GAP;
    const layer = Math.floor(y / layerHeight);
    const head = Math.floor((y - layer * layerHeight) / this.#rowHeight);
    const row = layer * rows.nHead + Math.min(rows.nHead - 1, head);
    if (y < 0 || row >= rows.count) return;
    const key = Math.floor((event.clientX - box.left - LABELS) / this.#columnWidth);
    this.#go({ row, key: Math.min(rows.query, Math.max(0, key)) });
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (!this.#strips || event.ctrlKey || event.metaKey || event.altKey) return;
    const { rows, chosen } = this.#strips;
    const from = this.cell ?? { row: chosen, key: rows.query };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#onChoose(from.row);
      return;
    }
    const to = {
      ArrowLeft: { row: from.row, key: from.key - 1 },
      ArrowRight: { row: from.row, key: from.key + 1 },
      ArrowUp: { row: from.row - 1, key: from.key },
      ArrowDown: { row: from.row + 1, key: from.key },
      Home: { row: from.row, key: 0 },
      End: { row: from.row, key: rows.query },
    }[event.key];
    if (!to) return;
    event.preventDefault();
    this.#go({
      row: Math.min(rows.count - 1, Math.max(0, to.row)),
      key: Math.min(rows.query, Math.max(0, to.key)),
    });
    this.mark.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** @param {Cell} cell */
  #go(cell) {
    if (cell.row === this.cell?.row && cell.key === this.cell.key) return;
    this.point(cell);
    this.#onMove(cell);
  }

  #draw() {
    if (!this.#strips || this.element.clientWidth === 0) return;
    const { rows, tokens, chosen } = this.#strips;
    const fits = (this.element.clientWidth - LABELS - 4) / tokens.length;
    this.#columnWidth = Math.min(WIDEST, Math.max(NARROWEST, fits));
    this.#rowHeight = rows.count > FEW_ROWS ? 12 : 18;
    const width = LABELS + tokens.length * this.#columnWidth;
    const height = this.#top(rows.count - 1) + this.#rowHeight + 2;
    const context = sized(this.canvas, width, height);
    context.textBaseline = "middle";
    this.#drawNames(context);
    this.#drawTokens(context);
    this.#drawCells(context);
    context.strokeStyle = colour("--accent");
    context.lineWidth = 2;
    context.strokeRect(LABELS - 1, this.#top(chosen) - 1, width - LABELS, this.#rowHeight + 2);
    this.point(this.cell);
  }

  /** @param {CanvasRenderingContext2D} context */
  #drawNames(context) {
    const { rows, chosen } = /** @type {Strips} */ (this.#strips);
    const [font, strong, faint] = [colour("--sans"), colour("--accent"), colour("--ink-faint")];
    context.textAlign = "right";
    for (let row = 0; row < rows.count; row++) {
      const { layer, head } = rows.place(row);
      const size = Math.min(12, this.#rowHeight - 1);
      context.font = `${row === chosen ? 700 : 400} ${size}px ${font}`;
      context.fillStyle = row === chosen ? strong : faint;
      context.fillText(`L${layer} H${head}`, LABELS - 8, this.#top(row) + this.#rowHeight / 2);
    }
  }

  /** @param {CanvasRenderingContext2D} context */
  #drawTokens(context) {
    const { rows, tokens } = /** @type {Strips} */ (this.#strips);
    const columnWidth = this.#columnWidth;
    const [chosen, others] = [colour("--accent"), colour("--ink-soft")];
    const longest = Math.max(...tokens.map((token) => glyphs(token).length));
    if (columnWidth < SHOWS_TOKENS_FROM * longest) return;
    context.textAlign = "center";
    context.font = `${Math.min(13, columnWidth * 1.3)}px ${colour("--mono")}`;
    tokens.forEach((token, key) => {
      context.fillStyle = key === rows.query ? chosen : others;
      context.fillText(glyphs(token), LABELS + (key + 0.5) * columnWidth, HEADER / 2);
    });
  }

  /**
   * One pixel for each cell, then layer by layer made as large as it must be.
   * @param {CanvasRenderingContext2D} context
   */
  #drawCells(context) {
    const { rows, tokens, pixel } = /** @type {Strips} */ (this.#strips);
    const T = tokens.length;
    const look = Uint32Array.from(rows.values, pixel);
    const image = new ImageData(T, rows.count);
    const pixels = new Uint32Array(image.data.buffer);
    rows.bytes.forEach((bytes, row) => {
      for (let key = 0; key < bytes.length; key++) pixels[row * T + key] = look[bytes[key]];
    });
    const small = document.createElement("canvas");
    small.width = T;
    small.height = rows.count;
    small.getContext("2d")?.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.fillStyle = colour("--paper-sunk");
    const [width, height] = [T * this.#columnWidth, rows.nHead * this.#rowHeight];
    for (let row = 0; row < rows.count; row += rows.nHead) {
      context.fillRect(LABELS, this.#top(row), width, height);
      context.drawImage(small, 0, row, T, rows.nHead, LABELS, this.#top(row), width, height);
    }
  }

  /** @param {number} row @returns {number} where it begins, in pixels */
  #top(row) {
    const { rows } = /** @type {Strips} */ (this.#strips);
    return HEADER + row * this.#rowHeight + Math.floor(row / rows.nHead) * LAYER_GAP;
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} width in pixels of the page
 * @param {number} height
 * @returns {CanvasRenderingContext2D} that counts in pixels of the page
 */
function sized(canvas, width, height) {
  const density = devicePixelRatio;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(density, density);
  return context;
}

/**
 * @param {HTMLElement} parent
 * @param {string} name of its tag
 * @param {string} className
 */
function add(parent, name, className) {
  const element = document.createElement(name);
  element.className = className;
  parent.append(element);
  return element;
}
