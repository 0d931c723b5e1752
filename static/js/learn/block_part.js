// One part of a model: what it does, which numbers it learned, and what it gives for a text.
import { entryOf } from "../elements.js";
import { grouped } from "../format.js";
import { glyphs } from "../glyphs.js";
import { part as pieceOf } from "../parts.js";
import { BlockHeatmap, isSigned } from "./block_heatmap.js";
import { tensorLine } from "./block_table.js";
import { fullName, shapeWords, valueWords } from "./block_words.js";

/**
 * @typedef {import("./block_api.js").Activations} Activations
 * @typedef {import("./block_api.js").Grid} Grid
 * @typedef {import("./block_api.js").Part} Part
 */

const LIKELIEST = 5;

export class BlockPart {
  /** @type {Activations | null} */
  #shown = null;
  #element;
  #operations;

  /**
   * @param {HTMLElement} element the panel
   * @param {HTMLElement} operations what each operation does, in `data-operation`
   */
  constructor(element, operations) {
    this.#element = element;
    this.#operations = operations;
    this.heatmap = new BlockHeatmap(pieceOf(element, "heat"), ({ row }, words) => {
      pieceOf(element, "readout").textContent = words;
      this.#showLikeliest(row);
    });
  }

  /**
   * @param {Part} part
   * @param {Activations} shown
   */
  show(part, shown) {
    this.#shown = shown;
    this.#piece("part-title").textContent = fullName(part);
    this.#piece("operations").replaceChildren(...part.operations.flatMap((it) => this.#words(it)));
    const symbols = part.shape.filter((symbol) => symbol !== "B");
    const isOfText = part.shape.includes("T");
    const sizes = isOfText && part.shape.includes("B") ? [1, ...shown.shape] : shown.shape;
    const counted = shapeWords(sizes.map((size) => grouped(size)));
    this.#piece("shape").textContent = isOfText
      ? `It gives ${shapeWords(part.shape)}; for your text ${counted}.`
      : `It holds ${shapeWords(part.shape)}, whatever your text is: ${counted}.`;
    const lines = part.tensors.map((tensor) => tensorLine(tensor));
    if (lines.length) this.#piece("tensors").replaceChildren(...lines);
    else this.#piece("tensors").textContent = "It has learned nothing of its own.";
    this.#piece("statistics").replaceChildren(...statistics(shown));
    this.#piece("cut").textContent = cutWords(shown, symbols);
    this.#showScale(shown);
    this.heatmap.show(shown);
    this.#piece("readout").textContent =
      "Point at a cell, or go there with Tab and the arrow keys, to read its number.";
    const rows = shown.axes[shown.axes.length - 2].shown.length;
    this.#showLikeliest(rows - 1);
  }

  /** @param {string} operation @returns {Node[]} its words and its formula */
  #words(operation) {
    const known = this.#operations.querySelector(`[data-operation="${operation}"]`);
    return known ? [...known.cloneNode(true).childNodes] : [];
  }

  /** @param {Activations} shown */
  #showScale(shown) {
    const { min, max } = shown.statistics;
    const largest = Math.max(Math.abs(min), Math.abs(max));
    const scale = this.#piece("scale");
    scale.classList.toggle("is-signed", isSigned(shown));
    const [from, to] = [isSigned(shown) ? -largest : 0, largest];
    pieceOf(scale, "weakest").textContent = valueWords(from);
    pieceOf(scale, "strongest").textContent = valueWords(to);
  }

  /** @param {number} row of a grid whose columns are the vocabulary */
  #showLikeliest(row) {
    const shown = this.#shown;
    const likeliest = this.#piece("likeliest");
    const columns = shown?.axes[shown.axes.length - 1];
    if (!shown || columns?.symbol !== "V" || !columns.labels) {
      likeliest.textContent = "";
      return;
    }
    const values = /** @type {Grid} */ (shown.values)[row];
    const order = values
      .map((value, at) => ({ value: value ?? 0, token: columns.labels?.[at] ?? "" }))
      .sort((a, b) => b.value - a.value)
      .slice(0, LIKELIEST);
    const rows = shown.axes[shown.axes.length - 2];
    const behind = `Behind ‘${glyphs(rows.labels?.[row] ?? "")}’ (${rows.shown[row]})`;
    const list = order.map(({ token, value }) => `‘${glyphs(token)}’ ${valueWords(value)}`);
    likeliest.textContent = `${behind} the largest are ${list.join(", ")}.`;
  }

  /** @param {string} name */
  #piece(name) {
    return pieceOf(this.#element, name);
  }
}

/** @param {Activations} shown */
function statistics({ statistics: { count, min, max, mean, std } }) {
  /** @type {[string, string][]} */
  const entries = [
    ["Numbers", grouped(count)],
    ["Smallest", valueWords(min)],
    ["Largest", valueWords(max)],
    ["Mean", valueWords(mean)],
    ["Standard deviation", valueWords(std)],
  ];
  return entries.map((entry) => {
    const pair = document.createElement("div");
    pair.append(...entryOf(entry));
    return pair;
  });
}

/**
 * @param {Activations} shown
 * @param {string[]} symbols
 * @returns {string} which of the numbers are not in the picture; empty where all are
 */
function cutWords({ axes, text_offset }, symbols) {
  const cuts = axes
    .filter(({ size, shown }) => shown.length < size)
    .map(({ symbol, size, shown }) => {
      const many = `${shown.length} of ${grouped(size)}`;
      if (symbol === "T") return `the last ${many} positions`;
      if (symbol === "H") return `the first ${many} heads`;
      if (symbol === "V" && symbols[0] === "T") return `the ${many} tokens likeliest at the end`;
      return symbol === "V" ? `the first ${many} tokens` : `the first ${many} channels`;
    });
  const words = [];
  if (text_offset) words.push("Only the end of your text is read, as far as the run looks back.");
  if (cuts.length) {
    words.push(`Shown are ${cuts.join(" and ")}; the figures above are of all of them.`);
  }
  return words.join(" ");
}
