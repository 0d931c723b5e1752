// Which part of a text that is longer than the context is seen: a slider over its end.
import { part } from "../parts.js";

export class WindowBar {
  #element;
  #range;
  #waits = false;

  /**
   * @param {HTMLElement} element with the parts "words", "range" and "all"
   * @param {(end: number | null) => void} onMove to a number of characters; null is all of them
   */
  constructor(element, onMove) {
    this.#element = element;
    this.#range = /** @type {HTMLInputElement} */ (part(element, "range"));
    this.#range.addEventListener("input", () => {
      if (this.#waits) return;
      this.#waits = true; // one frame shows one place, however fast it is drawn along
      requestAnimationFrame(() => {
        this.#waits = false;
        const end = Number(this.#range.value);
        onMove(end === Number(this.#range.max) ? null : end);
      });
    });
    part(element, "all").addEventListener("click", () => {
      this.#range.focus(); // the button goes away
      onMove(null);
    });
  }

  /**
   * @param {object} seen
   * @param {string} seen.text all of it
   * @param {number | null} seen.end how many of its characters are read
   * @param {number | null} seen.offset how many come before the window; null while that is not known
   * @param {string} seen.size of the run's context: "32 characters"
   */
  show({ text, end, offset, size }) {
    const all = [...text].length;
    const last = Math.min(end ?? all, all);
    this.#element.hidden = all === 0 || (last === all && !offset);
    if (offset === null) return;
    const words = `characters ${offset} to ${last} of ${all}`;
    part(this.#element, "words").textContent = `Seen are ${words}. The run sees ${size} at once.`;
    this.#range.max = String(all);
    this.#range.value = String(last);
    this.#range.setAttribute("aria-valuetext", words);
    part(this.#element, "all").hidden = last === all;
  }
}
