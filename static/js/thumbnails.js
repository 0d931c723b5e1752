// Every head of every layer as a small picture. One is chosen; arrow keys move the choice.
import { palette } from "./colour_scale.js";

/** @typedef {import("./attention_api.js").AttentionMaps} AttentionMaps */
/** @typedef {{ layer: number, head: number }} Place */

export class Thumbnails {
  /**
   * @param {HTMLElement} element the grid to fill
   * @param {(place: Place) => void} onChoose
   */
  constructor(element, onChoose) {
    this.element = element;
    this.onChoose = onChoose;
    /** @type {AttentionMaps | null} */
    this.maps = null;
    /** @type {Place} */
    this.chosen = { layer: 0, head: 0 };
    element.addEventListener("click", (event) => this.#onClick(event));
    element.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /**
   * @param {AttentionMaps} maps of all layers and heads
   * @param {number} brightest the weight that gets the strongest colour
   */
  show(maps, brightest) {
    const { n_layer, n_head, length } = maps.header;
    if (this.element.childElementCount !== n_layer * n_head) this.#build(n_layer, n_head);
    this.element.style.setProperty("--n-head", String(n_head));
    this.maps = maps;
    const colours = palette();
    this.#canvases().forEach((canvas, i) => {
      const size = (length * (length + 1)) / 2;
      const triangle = maps.triangles.subarray(i * size, (i + 1) * size);
      paint(canvas, triangle, length, colours, 1 / brightest);
    });
  }

  /** @param {Place} place the one that is marked as chosen */
  choose(place) {
    this.chosen = place;
    for (const button of this.#buttons()) {
      const is = placeOf(button).layer === place.layer && placeOf(button).head === place.head;
      button.setAttribute("aria-pressed", String(is));
      button.tabIndex = is ? 0 : -1;
    }
  }

  /**
   * @param {number} nLayer
   * @param {number} nHead
   */
  #build(nLayer, nHead) {
    this.element.replaceChildren();
    for (let layer = 0; layer < nLayer; layer++) {
      for (let head = 0; head < nHead; head++) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "thumbnail";
        button.dataset.layer = String(layer);
        button.dataset.head = String(head);
        button.setAttribute("aria-label", `Layer ${layer}, head ${head}`);
        const label = document.createElement("span");
        label.textContent = `L${layer} H${head}`;
        label.setAttribute("aria-hidden", "true");
        button.append(document.createElement("canvas"), label);
        this.element.append(button);
      }
    }
    this.choose(this.chosen);
  }

  /** @param {MouseEvent} event */
  #onClick(event) {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button) this.#pick(placeOf(button));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[
      event.key
    ];
    if (!step || !this.maps) return;
    event.preventDefault();
    const { n_layer, n_head } = this.maps.header;
    const layer = Math.min(n_layer - 1, Math.max(0, this.chosen.layer + step[0]));
    const head = Math.min(n_head - 1, Math.max(0, this.chosen.head + step[1]));
    this.#pick({ layer, head });
    this.#buttons()[layer * n_head + head].focus();
  }

  /** @param {Place} place */
  #pick(place) {
    this.choose(place);
    this.onChoose(place);
  }

  /** @returns {HTMLButtonElement[]} */
  #buttons() {
    return [...this.element.querySelectorAll("button")];
  }

  /** @returns {HTMLCanvasElement[]} */
  #canvases() {
    return [...this.element.querySelectorAll("canvas")];
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} triangle the lower triangle, row by row
 * @param {number} length T
 * @param {Uint32Array} colours for 0 to 255
 * @param {number} gain
 */
function paint(canvas, triangle, length, colours, gain) {
  canvas.width = canvas.height = length;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(length, length);
  const pixels = new Uint32Array(image.data.buffer).fill(colours[0]);
  let at = 0;
  for (let query = 0; query < length; query++) {
    for (let key = 0; key <= query; key++) {
      pixels[query * length + key] = colours[Math.min(255, Math.round(triangle[at++] * gain))];
    }
  }
  context.putImageData(image, 0, 0);
}

/** @param {HTMLElement} button @returns {Place} */
function placeOf(button) {
  return { layer: Number(button.dataset.layer), head: Number(button.dataset.head) };
}
