// A slider through a run's training, that also plays.
import { grouped } from "../format.js";
import { part } from "../parts.js";

/** @typedef {import("./side_request.js").Step} Step */

const SHORTEST_MS = 400; // that each step is seen while it plays

export class Scrubber {
  /** @type {Step[]} */
  #steps = [];
  #index = 0;
  #training = false;
  #playing = false;

  /**
   * @param {HTMLElement} element with the parts "play", "range" and "step"
   * @param {object} side
   * @param {(step: Step) => Promise<void>} side.onMove resolves when the step is shown
   * @param {(step: Step) => void} side.onNear a step that may be wanted soon
   */
  constructor(element, { onMove, onNear }) {
    this.element = element;
    this.onMove = onMove;
    this.onNear = onNear;
    this.range = /** @type {HTMLInputElement} */ (part(element, "range"));
    this.button = part(element, "play");
    this.range.addEventListener("input", () => {
      const index = Number(this.range.value); // before pausing draws where it was
      this.pause();
      void this.#go(index);
    });
    this.button.addEventListener("click", () => (this.#playing ? this.pause() : this.#play()));
    for (const name of ["pointerenter", "focusin"])
      element.addEventListener(name, () => this.#near());
  }

  /**
   * @param {Step[]} steps rising
   * @param {Step} step the one that is shown; null is the last
   * @param {boolean} training whether there will be more
   */
  show(steps, step, training) {
    this.#steps = steps;
    this.#training = training;
    const at = step === null ? -1 : steps.indexOf(step);
    this.#index = at < 0 ? steps.length - 1 : at;
    this.#draw(step);
  }

  /** @param {-1 | 1} by a step back, or on */
  move(by) {
    this.pause();
    const to = this.#index + by;
    if (to >= 0 && to < this.#steps.length) void this.#go(to);
  }

  pause() {
    this.#playing = false;
    this.#draw(this.#steps[this.#index]);
  }

  async #play() {
    this.#playing = true;
    if (this.#index === this.#steps.length - 1) await this.#shown(0);
    while (this.#playing && this.#index < this.#steps.length - 1) {
      await this.#shown(this.#index + 1);
    }
    this.pause();
  }

  /** @param {number} index resolves once it has been seen for a moment */
  async #shown(index) {
    const moment = new Promise((resolve) => setTimeout(resolve, SHORTEST_MS));
    await Promise.all([this.#go(index), moment]);
  }

  /** @param {number} index */
  async #go(index) {
    this.#index = index;
    const last = index === this.#steps.length - 1;
    this.#draw(this.#steps[index]);
    const shown = this.onMove(last ? null : this.#steps[index]);
    this.#near();
    await shown;
  }

  /** The neighbours, and while it plays one more. */
  #near() {
    const near = this.#playing ? [1, 2] : [-1, 1];
    for (const by of near) {
      const step = this.#steps[this.#index + by];
      if (step !== undefined) this.onNear(step);
    }
  }

  /** @param {Step} step */
  #draw(step) {
    const words = this.#words(step);
    const last = this.#steps.length - 1;
    part(this.element, "step").textContent = words;
    this.range.max = String(Math.max(0, last));
    this.range.value = String(this.#index);
    this.range.disabled = last < 1;
    this.range.setAttribute("aria-valuetext", words);
    this.button.hidden = last < 1;
    this.button.setAttribute("aria-pressed", String(this.#playing));
    const act = this.#playing ? "Pause" : "Play through training";
    this.button.setAttribute("aria-label", act);
    this.button.title = act;
  }

  /** @param {Step} step */
  #words(step) {
    const newest = this.#training && this.#index === this.#steps.length - 1;
    if (newest) {
      const at = this.#steps.at(-1);
      return at === null || at === undefined
        ? "the newest weights"
        : `step ${grouped(at)}, the newest`;
    }
    return step === null || step === undefined ? "trained to the end" : `step ${grouped(step)}`;
  }
}
