// A slider over training steps that come one after another; it follows the newest unless moved.
import { grouped } from "../format.js";

/** @typedef {number | null} Step null: the finished run */

export class StepSlider {
  /** @type {Step[]} */
  #steps = [];
  #follows = true;
  #chosen = 0;

  /**
   * @param {HTMLElement} element with the parts of _partials/step_slider.html
   * @param {() => void} onMove called when a person has moved it
   */
  constructor(element, onMove) {
    this.step = /** @type {HTMLElement} */ (element.querySelector("[data-part=step]"));
    this.range = /** @type {HTMLInputElement} */ (element.querySelector("[data-part=range]"));
    this.newest = /** @type {HTMLButtonElement} */ (element.querySelector("[data-part=newest]"));
    this.range.addEventListener("input", () => {
      this.#move(Number(this.range.value));
      onMove();
    });
    this.newest.addEventListener("click", () => {
      this.#move(this.#steps.length - 1);
      this.range.focus(); // the button goes away
      onMove();
    });
  }

  /** Where it stands among the steps. */
  get index() {
    return this.#follows ? this.#steps.length - 1 : this.#chosen;
  }

  /** @param {Step[]} steps rising, the finished run last */
  show(steps) {
    const before = this.#steps[this.index];
    this.#steps = steps;
    if (!this.#follows) {
      const again = steps.indexOf(before);
      this.#follows = again < 0;
      this.#chosen = again;
    }
    this.#draw();
  }

  /** Follow the newest from now on. */
  follow() {
    this.#follows = true;
    this.#draw();
  }

  /** @param {number} index */
  #move(index) {
    this.#chosen = index;
    this.#follows = index === this.#steps.length - 1;
    this.#draw();
  }

  #draw() {
    const step = this.#steps[this.index];
    const words = step === null ? "Finished" : `Step ${grouped(step ?? 0)}`;
    this.step.textContent = words;
    this.range.max = String(Math.max(0, this.#steps.length - 1));
    this.range.value = String(this.index);
    this.range.disabled = this.#steps.length < 2;
    this.range.setAttribute("aria-valuetext", words);
    this.newest.hidden = this.#follows;
  }
}
