// All heads as a grid of buttons, layers by heads, each with a number around zero.
import { reach, signed, tint } from "./signed.js";

/**
 * @typedef {{ layer: number, head: number }} Place
 *
 * @typedef {object} Heads
 * @property {number} nLayer
 * @property {number} nHead
 * @property {(layer: number, head: number) => boolean} pressed
 * @property {(number | null)[][] | null} values [layer][head]; null: none are known
 * @property {(place: Place) => string} name what a button is called
 */

export class HeadGrid {
  /** @type {HTMLButtonElement[]} */
  #buttons = [];
  #nHead = 0;

  /**
   * @param {HTMLElement} element
   * @param {(place: Place) => void} onPick
   * @param {{ idle?: string }} [options] idle: what a button says without a number
   */
  constructor(element, onPick, { idle = "" } = {}) {
    this.element = element;
    this.idle = idle;
    element.addEventListener("click", ({ target }) => {
      const index = this.#indexOf(target);
      if (index < 0) return;
      this.#focus(index);
      onPick(this.#place(index));
    });
    element.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** @param {Heads} heads */
  show({ nLayer, nHead, pressed, values, name }) {
    if (this.#buttons.length !== nLayer * nHead || this.#nHead !== nHead) {
      this.#build(nLayer, nHead);
    }
    const most = values ? reach(values.flat().map((value) => value ?? 0)) : 1;
    this.#buttons.forEach((button, index) => {
      const place = this.#place(index);
      const value = values?.[place.layer]?.[place.head] ?? null;
      const words = value === null ? "" : `: ${signed(value)}`;
      button.setAttribute("aria-pressed", String(pressed(place.layer, place.head)));
      button.setAttribute("aria-label", `${name(place)}${words}`);
      button.textContent = value === null ? this.idle : signed(value, 2);
      tint(button, (value ?? 0) / most);
    });
  }

  /**
   * @param {number} nLayer
   * @param {number} nHead
   */
  #build(nLayer, nHead) {
    this.#nHead = nHead;
    this.element.style.setProperty("--n-head", String(nHead));
    this.#buttons = Array.from({ length: nLayer * nHead }, (_, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "head-cell is-tinted number";
      button.tabIndex = index ? -1 : 0;
      return button;
    });
    const columns = Array.from({ length: nHead }, (_, head) => label(`H${head}`));
    const rows = Array.from({ length: nLayer }, (_, layer) => [
      label(`L${layer}`),
      ...this.#buttons.slice(layer * nHead, (layer + 1) * nHead),
    ]);
    this.element.replaceChildren(label(""), ...columns, ...rows.flat());
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const from = this.#indexOf(event.target);
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.#nHead, ArrowDown: this.#nHead }[
      event.key
    ];
    if (from < 0 || by === undefined) return;
    event.preventDefault();
    if (Math.abs(by) === 1 && this.#place(from).layer !== this.#place(from + by).layer) return;
    if (this.#buttons[from + by]) this.#focus(from + by);
  }

  /** @param {number} index the one that Tab leads to from now on */
  #focus(index) {
    this.#buttons.forEach((button, i) => (button.tabIndex = i === index ? 0 : -1));
    this.#buttons[index].focus();
  }

  /** @param {EventTarget | null} target */
  #indexOf(target) {
    const button = target instanceof Element ? target.closest("button") : null;
    return button ? this.#buttons.indexOf(button) : -1;
  }

  /** @param {number} index @returns {Place} */
  #place(index) {
    return { layer: Math.floor(index / this.#nHead), head: index % this.#nHead };
  }
}

/** @param {string} words */
function label(words) {
  const span = document.createElement("span");
  span.className = "head-label";
  span.textContent = words;
  span.setAttribute("aria-hidden", "true");
  return span;
}
