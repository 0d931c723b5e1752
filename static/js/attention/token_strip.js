// A text, token by token, shaded by a number of each.
import { glyphs, spoken } from "../glyphs.js";

export class TokenStrip {
  /** @type {HTMLElement[]} */
  #spans = [];
  /** what each is shaded by: to style all of them anew takes as long as to paint a map @type {string[]} */
  #shares = [];
  #shown = "";

  /**
   * @param {HTMLElement} element
   * @param {(index: number) => void} onPick
   */
  constructor(element, onPick) {
    this.element = element;
    element.addEventListener("pointerover", ({ target }) => {
      const index = this.#spans.indexOf(/** @type {HTMLElement} */ (target));
      if (index >= 0) onPick(index);
    });
  }

  /** @param {string[]} tokens */
  show(tokens) {
    const text = JSON.stringify(tokens);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#spans = tokens.map((token) => {
      const span = document.createElement("span");
      span.className = "strip-token";
      span.textContent = glyphs(token);
      span.title = spoken(token);
      return span;
    });
    this.#shares = [];
    const lines = this.#spans.flatMap((span, i) =>
      tokens[i] === "\n" ? [span, document.createElement("br")] : [span],
    );
    this.element.replaceChildren(...lines);
  }

  /**
   * @param {(index: number) => number} share how much of the strongest colour each gets, 0 to 1
   * @param {number | null} query the one that looks: those after it are not seen yet
   */
  shade(share, query) {
    this.#spans.forEach((span, key) => {
      const future = query !== null && key > query;
      const shaded = future ? "0%" : `${Math.min(100, 100 * share(key)).toFixed(1)}%`;
      if (shaded !== this.#shares[key]) span.style.setProperty("--share", shaded);
      this.#shares[key] = shaded;
      span.classList.toggle("is-query", key === query);
      span.classList.toggle("is-future", future);
    });
  }
}
