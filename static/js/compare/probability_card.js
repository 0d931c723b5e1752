// A card beside a character: how likely it was, and what else could have stood there.
import { percent } from "../format.js";
import { glyphs, spoken } from "../glyphs.js";
import { bits } from "../surprise.js";
import { TokenText } from "../tokens.js";

/**
 * @typedef {import("../tokens.js").Token} Token
 * @typedef {(text: TokenText, index: number) => string | null} AddressOf where to see what a
 *   character's heads looked at; null for those that have none
 */

const GAP_PX = 8;

/**
 * Show the card for the characters of every TokenText inside `root`, by pointer and by keyboard.
 * A click on a character, or Enter, leads to its address; a finger first gets the card, with a link.
 * @param {HTMLElement} root
 * @param {HTMLElement} card a popover with .card-character, .card-summary, .card-alternatives,
 *   .card-spoken, .card-replay and .card-link in it
 * @param {AddressOf} addressOf
 */
export function attachProbabilityCard(root, card, addressOf) {
  const cursor = new Cursor(card, addressOf);
  attachPointer(root, card, cursor);
  root.addEventListener("focusin", ({ target }) => {
    const text = TokenText.of(target);
    if (text && target instanceof Element && target.matches(":focus-visible")) cursor.enter(text);
  });
  for (const element of [root, card]) {
    element.addEventListener("focusout", ({ relatedTarget }) => {
      // A finger on the card's link takes the focus there; it must not go before it is followed.
      if (!card.contains(/** @type {Node | null} */ (relatedTarget))) cursor.hide();
    });
  }
  root.addEventListener("restart", () => cursor.hide());
  document.addEventListener("scroll", () => cursor.follow(), { capture: true, passive: true });
  root.addEventListener("keydown", (event) => {
    const text = TokenText.of(event.target);
    if (!text) return;
    const plain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey);
    if (event.key === "Enter" && plain) cursor.open(false);
    else if (cursor.move(text, event.key)) event.preventDefault();
  });
  document.addEventListener("keydown", ({ key }) => key === "Escape" && cursor.hide());
}

/**
 * @param {HTMLElement} root
 * @param {HTMLElement} card
 * @param {Cursor} cursor
 */
function attachPointer(root, card, cursor) {
  // Moves, not "over" and "out": those also come when a text scrolls under a pointer at rest.
  root.addEventListener("pointermove", ({ target }) => cursor.point(TokenText.at(target)));
  root.addEventListener("pointerleave", () => cursor.point(null));
  root.addEventListener("pointerdown", ({ pointerType }) => {
    card.classList.toggle("is-touched", pointerType === "touch");
  });
  root.addEventListener("click", (event) => {
    const place = TokenText.at(event.target);
    cursor.point(place);
    const selecting = getSelection()?.isCollapsed === false;
    if (!place || selecting || card.classList.contains("is-touched")) return;
    cursor.open(event.ctrlKey || event.metaKey);
  });
  root.addEventListener("auxclick", (event) => {
    const place = TokenText.at(event.target);
    if (!place || event.button !== 1) return;
    cursor.point(place);
    cursor.open(true);
  });
}

class Cursor {
  /** @type {TokenText | null} */
  #text = null;
  #index = 0;
  /** the character that the card stands beside @type {HTMLElement | null} */
  #element = null;
  #card;
  #link;
  #addressOf;
  /** whether the keyboard brought it where it is */
  #walked = false;

  /**
   * @param {HTMLElement} card
   * @param {AddressOf} addressOf
   */
  constructor(card, addressOf) {
    this.#card = card;
    this.#link = /** @type {HTMLAnchorElement} */ (card.querySelector(".card-link"));
    this.#addressOf = addressOf;
  }

  /** @param {TokenText} text */
  enter(text) {
    if (text.tokens.length > 0) this.#go(text, text === this.#text ? this.#index : 0);
  }

  /**
   * @param {TokenText} text
   * @param {string} key
   * @returns {boolean} whether the key moves the cursor
   */
  move(text, key) {
    const last = text.tokens.length - 1;
    const from = text === this.#text ? this.#index : 0;
    const to = destination(text, key, from);
    if (to === null || last < 0) return false;
    this.#go(text, Math.min(last, Math.max(0, to)));
    return true;
  }

  /** @param {{ text: TokenText, index: number } | null} place what the pointer is on */
  point(place) {
    if (!place) {
      if (!this.#walked) this.hide();
    } else if (!this.#element || place.text !== this.#text || place.index !== this.#index) {
      this.#walked = false;
      this.#show(place.text, place.index);
    }
  }

  /** @param {boolean} apart go where the card's link leads, in a tab of its own */
  open(apart) {
    const address = this.#element && this.#text && this.#addressOf(this.#text, this.#index);
    if (!address) return;
    if (apart) open(address, "_blank", "noopener");
    else location.assign(address);
  }

  /** Stay beside a character that has been scrolled, as long as it can be seen. */
  follow() {
    if (!this.#element) return;
    if (isInSight(this.#element)) placeBeside(this.#card, this.#element);
    else this.hide();
  }

  hide() {
    this.#element = null;
    this.#walked = false;
    this.#text?.mark(null);
    this.#card.hidePopover();
  }

  /**
   * @param {TokenText} text
   * @param {number} index
   * @param {{ scroll?: boolean }} [options]
   */
  #show(text, index, { scroll = false } = {}) {
    const token = text.tokens[index];
    if (text !== this.#text) this.#text?.mark(null);
    this.#text = text;
    this.#index = index;
    this.#element = text.mark(index, { scroll });
    if (!token || !this.#element) return;
    fill(this.#card, token);
    const address = this.#addressOf(text, index);
    /** @type {HTMLElement} */ (this.#link.parentElement).hidden = address === null;
    this.#link.href = address ?? "";
    this.#card.showPopover();
    placeBeside(this.#card, this.#element);
  }

  /**
   * @param {TokenText} text
   * @param {number} index
   */
  #go(text, index) {
    this.#walked = true;
    this.#show(text, index, { scroll: true });
    const token = text.tokens[index];
    const aloud = this.#card.querySelector(".card-spoken");
    if (token && aloud) aloud.textContent = sentence(token);
  }
}

/**
 * @param {TokenText} text
 * @param {string} key
 * @param {number} from
 * @returns {number | null} where a key leads, null if nowhere
 */
function destination(text, key, from) {
  switch (key) {
    case "ArrowLeft":
      return from - 1;
    case "ArrowRight":
      return from + 1;
    case "ArrowUp":
      return from - column(text, from) - 1;
    case "ArrowDown":
      return nextLine(text, from);
    case "Home":
      return 0;
    case "End":
      return text.tokens.length - 1;
    default:
      return null;
  }
}

/**
 * @param {TokenText} text
 * @param {number} index
 * @returns {number} characters before it in its line
 */
function column(text, index) {
  let start = index;
  while (start > 0 && text.tokens[start - 1]?.text !== "\n") start -= 1;
  return index - start;
}

/**
 * @param {TokenText} text
 * @param {number} from
 */
function nextLine(text, from) {
  const newline = text.tokens.findIndex((token, index) => index >= from && token.text === "\n");
  return newline < 0 ? text.tokens.length - 1 : newline + 1;
}

/**
 * @param {HTMLElement} card
 * @param {Token} token
 */
function fill(card, token) {
  const put = (/** @type {string} */ selector, /** @type {string} */ text) => {
    const element = card.querySelector(selector);
    if (element) element.textContent = text;
  };
  put(".card-character", glyphs(token.text));
  put(".card-probability", percent(Math.exp(token.logprob)));
  put(".card-summary", `${bits(token.logprob).toFixed(2)} bits of surprise`);
  card
    .querySelector(".card-alternatives")
    ?.replaceChildren(...ranked(token).map((entry) => row(token, entry)));
}

/**
 * @param {Token} token
 * @param {[string, number]} entry
 */
function row(token, [character, logprob]) {
  const item = document.createElement("li");
  item.className = character === token.text ? "alternative is-drawn" : "alternative";
  const label = document.createElement("span");
  label.className = "alternative-character";
  label.textContent = glyphs(character);
  const track = document.createElement("span");
  track.className = "alternative-track";
  const bar = document.createElement("span");
  bar.className = "alternative-bar";
  bar.style.width = `${Math.exp(logprob) * 100}%`;
  track.append(bar);
  const value = document.createElement("span");
  value.className = "alternative-value";
  value.textContent = percent(Math.exp(logprob));
  item.append(label, track, value);
  return item;
}

/** @param {Token} token */
function ranked(token) {
  return [...token.top].sort((a, b) => b[1] - a[1]);
}

/** @param {Token} token */
function sentence(token) {
  const others = ranked(token).filter(([character]) => character !== token.text);
  const list = others.map(([character, lp]) => `${spoken(character)} ${percent(Math.exp(lp))}`);
  return `${spoken(token.text)}, ${percent(Math.exp(token.logprob))}; else ${list.join(", ")}`;
}

/** @param {HTMLElement} element */
function isInSight(element) {
  const at = element.getBoundingClientRect();
  const box = element.closest(".token-text")?.getBoundingClientRect();
  const top = Math.max(0, box?.top ?? 0);
  const bottom = Math.min(innerHeight, box?.bottom ?? innerHeight);
  return at.bottom > top && at.top < bottom;
}

/**
 * Below the character where there is room, else above; always inside the window.
 * @param {HTMLElement} card
 * @param {HTMLElement} element
 */
function placeBeside(card, element) {
  const at = element.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = card;
  const below = at.bottom + GAP_PX;
  const top = below + height < innerHeight ? below : Math.max(GAP_PX, at.top - GAP_PX - height);
  const left = Math.min(at.left - GAP_PX, document.documentElement.clientWidth - width - GAP_PX);
  card.style.top = `${top}px`;
  card.style.left = `${Math.max(GAP_PX, left)}px`;
}
