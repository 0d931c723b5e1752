// How well each run, and each order of an n-gram run, predicts its validation text.
import { grouped } from "../format.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {import("./text_api.js").Orders} Orders */

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {string} corpus
 * @property {string} context tokens it looks at
 * @property {number} size numbers it learned
 * @property {number | null} loss nats per token
 * @property {number | null} bits per character
 */

export class LossTable {
  #table;
  #runs;
  /** @type {Orders | null} */
  #orders = null;

  /** @param {HTMLElement} table @param {Run[]} runs */
  constructor(table, runs) {
    this.#table = table;
    this.#runs = runs;
  }

  showRuns() {
    this.#draw();
  }

  /** @param {Orders} orders of one n-gram run; they take its row's place */
  showOrders(orders) {
    this.#orders = orders;
    this.#draw();
  }

  #draw() {
    const runs = this.#runs.filter(({ id }) => id !== this.#orders?.run);
    const rows = [...(this.#orders ? orderRows(this.#orders) : []), ...runs.map(runRow)];
    rows.sort((a, b) => (b.bits ?? -1) - (a.bits ?? -1));
    const largest = Math.max(...rows.map(({ bits }) => bits ?? 0));
    const several = new Set(rows.map(({ corpus }) => corpus)).size > 1;
    const body = document.createElement("tbody");
    body.append(...rows.map((row) => rowOf(row, largest, several)));
    this.#table.querySelector("tbody")?.replaceWith(body);
    const text = this.#table.querySelector("[data-column=corpus]");
    if (text instanceof HTMLElement) text.hidden = !several;
  }
}

/** @param {Orders} orders @returns {Row[]} */
function orderRows({ run, corpus, orders }) {
  return orders.map(({ order, size, loss, bits_per_character: bits }) => ({
    name: order === 0 ? "every token equally likely" : `${run}, order ${order}`,
    corpus,
    context: String(Math.max(0, order - 1)),
    size,
    loss,
    bits,
  }));
}

/** @param {Run} run @returns {Row} */
function runRow({ id, title, corpus, block_size, params, val_loss, val_bits_per_character }) {
  return {
    name: title === id ? id : `${title} (${id})`,
    corpus: corpus?.name ?? "not known",
    context: grouped(block_size),
    size: params,
    loss: val_loss,
    bits: val_bits_per_character ?? null,
  };
}

/** @param {Row} row @param {number} largest bits @param {boolean} several texts */
function rowOf({ name, corpus, context, size, loss, bits }, largest, several) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  const perplexity = loss === null ? null : Math.exp(loss);
  row.append(
    head,
    cell(bits?.toFixed(3) ?? "not known"),
    barCell(bits === null ? 0 : bits / largest),
    cell(perplexity?.toFixed(2) ?? ""),
    cell(loss?.toFixed(4) ?? ""),
    cell(context),
    cell(grouped(size)),
    ...(several ? [cell(corpus, "")] : []),
  );
  return row;
}

/** @param {string} text @param {string} [className] */
function cell(text, className = "number") {
  const element = document.createElement("td");
  element.className = className;
  element.textContent = text;
  return element;
}

/** @param {number} share */
function barCell(share) {
  const element = document.createElement("td");
  element.className = "bar-cell";
  const track = document.createElement("span");
  track.className = "bar-track";
  track.style.setProperty("--share", `${(100 * share).toFixed(1)}%`);
  element.append(track);
  return element;
}
