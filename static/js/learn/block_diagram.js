// The model as a drawing: the residual stream from top to bottom, and what branches off it.
import { grouped } from "../format.js";
import { partName, shapeWords } from "./block_words.js";

/**
 * @typedef {import("./block_api.js").Part} Part
 * @typedef {import("./block_api.js").Parts} Parts
 * @typedef {{ name: string, layer: number | null }} Chosen
 */

const ATTENTION = [
  "norm_1",
  "qkv",
  "conv",
  "q",
  "k",
  "v",
  "scores",
  "weights",
  "mixed",
  "attention",
];
const MLP = ["norm_2", "hidden", "activated", "mlp"];
const ON_STREAM = new Set(["embedded", "after_attention", "after_mlp"]);
const WITHIN_HEADS = new Set(["q", "k", "v", "scores", "weights", "mixed"]);

export class BlockDiagram {
  /** @type {{ part: Part, button: HTMLButtonElement }[]} */
  #buttons = [];
  #element;
  #onChoose;

  /**
   * @param {HTMLElement} element
   * @param {(part: Part) => void} onChoose
   */
  constructor(element, onChoose) {
    this.#element = element;
    this.#onChoose = onChoose;
  }

  /**
   * @param {Parts} parts
   * @param {number} layer the block that is drawn
   */
  show({ parts, kind, n_layer }, layer) {
    const focused = this.#buttons.find(({ button }) => button === document.activeElement);
    this.#buttons = [];
    const drawn = parts.filter(
      (part) => kind !== "gpt" || part.layer === null || part.layer === layer,
    );
    const [bottom, block, top] = inThree(drawn);
    const isTransformer = kind === "gpt";
    const pieces = isTransformer
      ? [this.#row(bottom), this.#block(block, layer, n_layer ?? 1), this.#row(top)]
      : [this.#row(drawn)];
    this.#element.replaceChildren(
      end("Your text, as ids (B, T)"),
      ...pieces,
      end("The next token"),
    );
    this.#element.classList.toggle("has-stream", isTransformer);
    const again = this.#buttons.find(({ part }) => part.name === focused?.part.name);
    again?.button.focus();
  }

  /** @param {Chosen} chosen */
  mark({ name, layer }) {
    for (const { part, button } of this.#buttons) {
      const is = part.name === name && part.layer === layer;
      button.setAttribute("aria-pressed", String(is));
    }
  }

  /** @param {Part[]} parts of one block @param {number} layer @param {number} count of blocks */
  #block(parts, layer, count) {
    const frame = document.createElement("section");
    frame.className = "block-frame";
    const name = document.createElement("h4");
    name.textContent =
      count === 1 ? "The only block" : `Block ${layer}, one of ${count} of the same shape`;
    frame.setAttribute("aria-label", name.textContent);
    const of = (/** @type {string[]} */ names) => parts.filter((part) => names.includes(part.name));
    frame.append(
      name,
      this.#branch("Attention", of(ATTENTION)),
      this.#row(of(["after_attention"])),
      this.#branch("MLP", of(MLP)),
      this.#row(of(["after_mlp"])),
    );
    return frame;
  }

  /** @param {string} title @param {Part[]} parts */
  #branch(title, parts) {
    const branch = document.createElement("div");
    branch.className = "block-branch";
    branch.setAttribute("role", "group");
    branch.setAttribute("aria-label", `${title}: a branch off the stream`);
    const before = parts.filter(({ name }) => !WITHIN_HEADS.has(name) && name !== "attention");
    const heads = parts.filter(({ name }) => WITHIN_HEADS.has(name));
    const last = parts.filter(({ name }) => name === "attention");
    branch.append(...before.map((part) => this.#button(part)));
    if (heads.length) branch.append(this.#heads(heads));
    branch.append(...last.map((part) => this.#button(part)));
    return branch;
  }

  /** @param {Part[]} parts */
  #heads(parts) {
    const heads = document.createElement("div");
    heads.className = "block-heads";
    heads.setAttribute("role", "group");
    heads.setAttribute("aria-label", "In each head");
    const word = document.createElement("span");
    word.className = "note";
    word.textContent = "in each of the H heads";
    heads.append(word, ...parts.map((part) => this.#button(part)));
    return heads;
  }

  /** @param {Part[]} parts */
  #row(parts) {
    const row = document.createElement("div");
    row.className = "block-row";
    row.append(...parts.map((part) => this.#button(part)));
    return row;
  }

  /** @param {Part} part */
  #button(part) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `block-part is-${part.name}`;
    button.classList.toggle("is-stream", ON_STREAM.has(part.name));
    button.setAttribute("aria-pressed", "false");
    const numbers = part.count ? `${grouped(part.count)} numbers` : "";
    button.append(
      piece("block-part-name", partName(part)),
      piece("block-part-shape", shapeWords(part.shape)),
      piece("block-part-count", numbers),
    );
    button.addEventListener("click", () => this.#onChoose(part));
    this.#buttons.push({ part, button });
    return button;
  }
}

/**
 * @param {Part[]} parts of a transformer with one block
 * @returns {[Part[], Part[], Part[]]} those before, in and behind the block
 */
function inThree(parts) {
  const first = parts.findIndex(({ layer }) => layer !== null);
  const last = parts.findLastIndex(({ layer }) => layer !== null);
  return [parts.slice(0, first), parts.slice(first, last + 1), parts.slice(last + 1)];
}

/** @param {string} words */
function end(words) {
  const element = document.createElement("p");
  element.className = "block-end";
  element.textContent = words;
  return element;
}

/** @param {string} className @param {string} words */
function piece(className, words) {
  const span = document.createElement("span");
  span.className = className;
  span.textContent = words;
  return span;
}
