// Text as a model wrote it: one element per character, so that each can be asked for its odds.
import { tint } from "./surprise.js";

/**
 * @typedef {object} Token
 * @property {string} text
 * @property {number} logprob natural logarithm
 * @property {[string, number][]} top what else could have stood there, with the logarithms
 */

/** @type {WeakMap<Element, TokenText>} */
const TEXTS = new WeakMap();

/** Each line is a block of its own: a new character then only makes its own line be laid out. */
export class TokenText {
  /** @type {Token[]} */
  tokens = [];
  #root;
  /** @type {HTMLElement[]} */
  #elements = [];
  /** @type {HTMLElement | null} */
  #line = null;
  #frame = 0;
  /** @type {HTMLElement | null} */
  #current = null;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    TEXTS.set(root, this);
  }

  /**
   * @param {EventTarget | null} target
   * @returns {{ text: TokenText, index: number } | null} the character that an event happened on
   */
  static at(target) {
    const element = target instanceof Element ? target.closest("[data-index]") : null;
    const text = TEXTS.get(element?.closest(".token-text") ?? document.body);
    return element instanceof HTMLElement && text
      ? { text, index: Number(element.dataset.index) }
      : null;
  }

  /**
   * @param {EventTarget | null} target
   * @returns {TokenText | null} the text that `target` is the root of
   */
  static of(target) {
    return target instanceof Element ? (TEXTS.get(target) ?? null) : null;
  }

  /** What was written, without the prompt. */
  get written() {
    return this.tokens.map((token) => token.text).join("");
  }

  /**
   * @param {number} index of a character
   * @returns {[before: string, after: string]} what was written before it, and from it on
   */
  around(index) {
    const text = (/** @type {Token[]} */ some) => some.map((token) => token.text).join("");
    return [text(this.tokens.slice(0, index)), text(this.tokens.slice(index))];
  }

  /**
   * Begin anew, after a prompt. Tells of it with an event "restart".
   * @param {string} prompt
   */
  restart(prompt) {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.tokens = [];
    this.#elements = [];
    this.#line = null;
    this.#current = null;
    this.#root.replaceChildren();
    this.#root.scrollTop = 0;
    this.#root.dispatchEvent(new CustomEvent("restart", { bubbles: true }));
    this.#appendPrompt(prompt, "prompt");
  }

  /**
   * Show which end of the prompt the model saw.
   * @param {string} prompt
   * @param {number} seen characters
   */
  markSeen(prompt, seen) {
    const cut = prompt.length - seen;
    if (cut <= 0 || this.#elements.length > 0) return;
    this.#root.replaceChildren();
    this.#line = null;
    this.#appendPrompt(prompt.slice(0, cut), "prompt is-unseen");
    this.#appendPrompt(prompt.slice(cut), "prompt");
  }

  /**
   * Takes effect with the next frame, together with whatever else arrives until then.
   * @param {Token[]} tokens
   */
  append(tokens) {
    this.tokens.push(...tokens);
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /**
   * Mark one character, and bring it into view.
   * @param {number | null} index
   * @param {{ scroll?: boolean }} [options]
   * @returns {HTMLElement | null} its element
   */
  mark(index, { scroll = false } = {}) {
    this.#current?.classList.remove("is-current");
    this.#current = (index === null ? null : this.#elements[index]) ?? null;
    this.#current?.classList.add("is-current");
    if (scroll) this.#current?.scrollIntoView({ block: "nearest", inline: "nearest" });
    return this.#current;
  }

  /** Draw what has been appended, without waiting for the next frame. */
  flush() {
    cancelAnimationFrame(this.#frame);
    this.#draw();
  }

  #draw() {
    this.#frame = 0;
    const root = this.#root;
    const follows = root.scrollHeight - root.scrollTop - root.clientHeight < 24;
    for (const token of this.tokens.slice(this.#elements.length)) {
      const element = document.createElement("span");
      element.textContent = token.text;
      element.dataset.index = String(this.#elements.length);
      element.className = `token tint-${tint(token.logprob)}`;
      if (token.text === "\n") element.classList.add("is-newline");
      if (token.text.startsWith(" ")) element.classList.add("is-space");
      this.#elements.push(element);
      this.#place(element);
    }
    if (follows) root.scrollTop = root.scrollHeight;
  }

  /** @param {HTMLElement} element */
  #place(element) {
    if (!this.#line) {
      this.#line = document.createElement("div");
      this.#line.className = "line";
      this.#root.append(this.#line);
    }
    this.#line.append(element);
    if (element.textContent?.endsWith("\n")) this.#line = null;
  }

  /**
   * @param {string} text
   * @param {string} className
   */
  #appendPrompt(text, className) {
    for (const line of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
      const element = document.createElement("span");
      element.className = className;
      element.textContent = line;
      this.#place(element);
    }
  }
}
