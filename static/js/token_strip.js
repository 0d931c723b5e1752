// A text, character by character, shaded by what one of them attends to.
import { glyphs, spoken } from "./glyphs.js";

export class TokenStrip {
  /**
   * @param {HTMLElement} element
   * @param {(query: number) => void} onPick
   */
  constructor(element, onPick) {
    this.element = element;
    /** @type {HTMLElement[]} */
    this.tokens = [];
    element.addEventListener("pointerover", (event) => {
      const index = this.tokens.indexOf(/** @type {HTMLElement} */ (event.target));
      if (index >= 0) onPick(index);
    });
  }

  /** @param {string[]} tokens */
  show(tokens) {
    this.tokens = tokens.map((token) => {
      const span = document.createElement("span");
      span.className = "strip-token";
      span.textContent = glyphs(token);
      span.title = spoken(token);
      return span;
    });
    const lines = this.tokens.flatMap((span, i) =>
      tokens[i] === "\n" ? [span, document.createElement("br")] : [span],
    );
    this.element.replaceChildren(...lines);
  }

  /**
   * @param {number | null} query the character that looks
   * @param {(key: number) => number} share how much of the strongest colour each gets, 0 to 1
   */
  shade(query, share) {
    this.tokens.forEach((span, key) => {
      const looked = query !== null && key <= query;
      span.style.setProperty("--share", looked ? `${Math.min(100, 100 * share(key))}%` : "0%");
      span.classList.toggle("is-query", key === query);
      span.classList.toggle("is-future", query !== null && key > query);
    });
  }
}
