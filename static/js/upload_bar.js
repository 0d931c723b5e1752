// How much of a file has gone to the server, and the button that stops it.
import { percent } from "./format.js";
import { part } from "./parts.js";

export class UploadBar {
  #element;

  /**
   * @param {HTMLElement} element with the parts upload-name, progress and stop
   * @param {() => void} onStop
   */
  constructor(element, onStop) {
    this.#element = element;
    part(element, "stop").addEventListener("click", onStop);
  }

  /**
   * @param {string} name of what is on its way
   * @param {number | null} share of it that has gone; null while nobody can say
   * @param {string} words what happens while nobody can
   */
  show(name, share, words = "the server reads it") {
    this.#element.hidden = false;
    const unsure = share === null || share >= 1;
    part(this.#element, "upload-name").textContent = `${name}: ${unsure ? words : percent(share)}`;
    const bar = /** @type {HTMLProgressElement} */ (part(this.#element, "progress"));
    if (unsure) bar.removeAttribute("value");
    else bar.value = share;
  }

  hide() {
    this.#element.hidden = true;
  }
}
