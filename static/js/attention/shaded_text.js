// A text, token by token, each shaded by a number; one is chosen, by a click or with the arrow keys.
import { glyphs, spoken } from "../glyphs.js";
import { tint } from "./signed.js";

let made = 0;

export class ShadedText {
  /** @type {HTMLElement[]} */
  #options = [];
  /** @type {string[]} */
  #tokens = [];
  #chosen = -1;
  #onPick;
  #id = `shaded-${made++}`;

  /**
   * @param {HTMLElement} element with a label of its own
   * @param {(index: number) => void} onPick
   */
  constructor(element, onPick) {
    this.element = element;
    this.#onPick = onPick;
    element.classList.add("shaded-text");
    element.setAttribute("role", "listbox");
    element.setAttribute("aria-orientation", "horizontal");
    element.tabIndex = 0;
    element.addEventListener("click", ({ target }) => {
      const index = this.indexOf(target);
      if (index >= 0) onPick(index);
    });
    element.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /**
   * @param {string[]} tokens
   * @param {number} chosen
   * @param {(index: number) => { share: number, title: string, faint?: boolean }} look share: -1 to 1
   */
  show(tokens, chosen, look) {
    if (tokens.length !== this.#tokens.length || tokens.some((t, i) => t !== this.#tokens[i])) {
      this.#build(tokens);
      this.#chosen = -1;
    }
    const moved = chosen !== this.#chosen;
    this.#chosen = chosen;
    this.#options.forEach((option, index) => {
      const { share, title, faint = false } = look(index);
      tint(option, share);
      option.title = `${spoken(tokens[index])} (${index}): ${title}`;
      option.setAttribute("aria-label", option.title);
      option.setAttribute("aria-selected", String(index === chosen));
      option.classList.toggle("is-faint", faint);
    });
    const option = this.#options[chosen];
    if (!option) {
      this.element.removeAttribute("aria-activedescendant");
      return;
    }
    this.element.setAttribute("aria-activedescendant", option.id);
    if (moved) keepInSight(this.element, option);
  }

  /** @param {EventTarget | null} target @returns {number} the token that it is; -1 for none */
  indexOf(target) {
    return this.#options.indexOf(/** @type {HTMLElement} */ (target));
  }

  /** @param {string[]} tokens */
  #build(tokens) {
    this.#tokens = [...tokens];
    this.#options = tokens.map((token, index) => {
      const span = document.createElement("span");
      span.className = "shaded-token is-tinted";
      span.id = `${this.#id}-${index}`;
      span.setAttribute("role", "option");
      span.textContent = glyphs(token);
      return span;
    });
    const lines = this.#options.flatMap((span, index) =>
      tokens[index].endsWith("\n") ? [span, document.createElement("br")] : [span],
    );
    this.element.replaceChildren(...lines);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const last = this.#options.length - 1;
    const to = {
      ArrowLeft: this.#chosen - 1,
      ArrowRight: this.#chosen + 1,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined || last < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#onPick(Math.min(last, Math.max(0, to)));
  }
}

/**
 * Scrolls the element alone, never the page.
 * @param {HTMLElement} element that scrolls, and is positioned
 * @param {HTMLElement} child
 */
function keepInSight(element, child) {
  const { scrollTop, clientHeight } = element;
  const [top, bottom] = [child.offsetTop, child.offsetTop + child.offsetHeight];
  if (top < scrollTop) element.scrollTop = top;
  else if (bottom > scrollTop + clientHeight) element.scrollTop = bottom - clientHeight;
}
