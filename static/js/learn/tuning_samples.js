// Two texts, written side by side from one prompt and one seed.
import { ApiError, isAbort, streamCompletion } from "../api.js";
import { part } from "../parts.js";

/**
 * @typedef {object} Wish
 * @property {string} run
 * @property {number | null} step
 * @property {string} prompt
 * @property {number} seed
 * @property {number} temperature
 * @property {number} length in tokens
 */

export class SamplePane {
  #element;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
  }

  /** @param {string} name */
  set title(name) {
    part(this.#element, "title").textContent = name;
  }

  /**
   * Show the text while it is written.
   * @param {Wish} wish
   * @param {AbortSignal} signal
   * @returns {Promise<string | null>} what was written; null where it was refused, which is told here
   */
  async write({ run, step, prompt, seed, temperature, length }, signal) {
    const [alert, written] = [part(this.#element, "alert"), part(this.#element, "written")];
    alert.hidden = true;
    written.textContent = "";
    part(this.#element, "prompt").textContent = prompt;
    this.#element.setAttribute("aria-busy", "true");
    const request = { model: run, step, prompt, seed, temperature, max_tokens: length };
    let text = "";
    try {
      for await (const { choices } of streamCompletion(request, signal)) {
        text += choices[0]?.text ?? "";
        written.textContent = text;
      }
      return text;
    } catch (error) {
      if (isAbort(error)) throw error;
      alert.hidden = false;
      alert.textContent = error instanceof ApiError ? error.message : String(error);
      return null;
    } finally {
      if (!signal.aborted) this.#element.setAttribute("aria-busy", "false");
    }
  }
}

/**
 * @param {string | null} a
 * @param {string | null} b
 * @returns {string} how far the two texts go together
 */
export function togetherWords(a, b) {
  if (a === null || b === null) return "";
  const [mine, theirs] = [[...a], [...b]];
  if (a === b) return "Both have written the same text, character by character.";
  const different = mine.findIndex((character, index) => character !== theirs[index]);
  const same = different < 0 ? mine.length : different;
  if (same === 0) return "The two texts part with the first character.";
  const characters = same === 1 ? "character is" : `${same} characters are`;
  return `The first ${characters} the same; then one draw falls elsewhere, and the texts part.`;
}
