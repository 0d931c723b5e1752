// What there is to know of a text: its size, its beginning, its characters.
import { entryOf } from "../elements.js";
import { bytes, grouped, percent } from "../format.js";
import { glyphs, spoken } from "../glyphs.js";
import { getCorpus } from "../jobs_api.js";
import { part } from "../parts.js";

/** @typedef {import("../jobs_api.js").Corpus} Corpus */

export class CorpusFacts {
  #element;
  /** @type {Corpus | null} */
  #corpus = null;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
    part(element, "more").addEventListener("click", () => this.#showAll());
  }

  /** @param {Corpus | null} corpus */
  show(corpus) {
    this.#corpus = corpus;
    this.#element.hidden = corpus === null;
    if (!corpus) return;
    part(this.#element, "numbers").replaceChildren(...numbers(corpus).flatMap(entryOf));
    part(this.#element, "preview").textContent = corpus.preview;
    part(this.#element, "vocabulary-title").textContent =
      `${grouped(corpus.distinct)} different characters`;
    this.#showVocabulary(corpus);
  }

  /** @param {Corpus} corpus */
  #showVocabulary({ vocabulary, characters, distinct }) {
    const list = part(this.#element, "vocabulary");
    list.replaceChildren(...vocabulary.map(([text, count]) => character(text, count, characters)));
    const more = part(this.#element, "more");
    more.hidden = vocabulary.length >= Math.min(distinct, 1000);
    more.textContent = distinct > 1000 ? "Show the 1,000 most frequent" : "Show all";
  }

  async #showAll() {
    const corpus = this.#corpus;
    if (!corpus) return;
    const more = part(this.#element, "more");
    try {
      const whole = await getCorpus(corpus.id);
      if (this.#corpus === corpus) this.#showVocabulary(whole);
    } catch (error) {
      more.textContent = `${/** @type {Error} */ (error).message} Try again`;
    }
  }
}

/**
 * @param {Corpus} corpus
 * @returns {[string, string][]}
 */
function numbers(corpus) {
  return [
    ["Characters", grouped(corpus.characters)],
    ["Different ones", grouped(corpus.distinct)],
    ["Lines", grouped(corpus.lines)],
    ["Size", bytes(corpus.bytes)],
    ["SHA-256", `${corpus.sha256.slice(0, 12)}…`],
  ];
}

/**
 * @param {string} text
 * @param {number} count
 * @param {number} of
 */
function character(text, count, of) {
  const item = document.createElement("li");
  item.title = `${spoken(text)}: ${grouped(count)} times`;
  const sign = document.createElement("span");
  sign.className = "character-sign";
  sign.textContent = glyphs(text);
  const share = document.createElement("span");
  share.className = "note number";
  share.textContent = percent(count / of);
  item.append(sign, share);
  return item;
}
