// The split of a text, a batch of windows from its training part, and the predictions in one window.
import { grouped, percent } from "../format.js";
import { part } from "../parts.js";
import { pieceOf, tokenRow } from "./pieces.js";

/** @typedef {import("./text_api.js").Batch} Batch */
/** @typedef {import("./text_api.js").Drawn} Drawn */

const SVG = "http://www.w3.org/2000/svg";
const SPLIT_WIDTH = 1000;
const LONGEST_CONTEXT = 40; // tokens of a pair that are written out

export class BatchFigure {
  #figure;
  #onRow;
  /** @type {Batch | null} */
  #batch = null;

  /**
   * @param {HTMLElement} figure
   * @param {(row: number) => void} onRow told when a window is chosen
   */
  constructor(figure, onRow) {
    this.#figure = figure;
    this.#onRow = onRow;
  }

  /** @param {Batch} batch @param {number} row of the window to look into */
  show(batch, row) {
    this.#batch = batch;
    const chosen = Math.min(row, batch.windows.length - 1);
    part(this.#figure, "batch-words").textContent = batchWords(batch);
    part(this.#figure, "batch-note").textContent = batchNote(batch);
    part(this.#figure, "windows").replaceChildren(
      windowTable(batch, chosen, (other) => this.#choose(other)),
    );
    this.#showWindow(chosen);
  }

  /** @param {number} row */
  #choose(row) {
    this.#onRow(row);
    for (const [i, button] of this.#figure.querySelectorAll(".window-place").entries()) {
      button.setAttribute("aria-pressed", String(i === row));
    }
    this.#showWindow(row);
  }

  /** @param {number} row */
  #showWindow(row) {
    if (!this.#batch) return;
    const { windows, window: length, unit } = this.#batch;
    const drawn = windows[row];
    const shown = drawn.tokens.length - 1;
    const some = shown < length ? `, the first ${shown} of its ${grouped(length)} tokens` : "";
    part(this.#figure, "pairs-title").textContent = `The window at ${grouped(drawn.start)}${some}`;
    part(this.#figure, "shifted").replaceChildren(shiftedRow(drawn));
    part(this.#figure, "pairs-words").textContent =
      `Its ${shown} predictions, each from all ${unit} of the window so far to the next one:`;
    part(this.#figure, "pairs").replaceChildren(...pairs(drawn));
  }
}

/** @param {HTMLElement} figure @param {Batch} batch */
export function showSplit(figure, batch) {
  const { train_characters: train, val_characters: val, unit } = batch;
  const all = train + val;
  part(figure, "split").replaceChildren(splitLine(batch));
  const inTokens =
    unit === "characters"
      ? ""
      : ` That is ${grouped(batch.train_tokens)} and ${grouped(batch.val_tokens)} ${unit}.`;
  part(figure, "split-words").textContent =
    `${grouped(all)} characters: the first ${grouped(train)} (${percent(train / all)}) to train on, the last ${grouped(val)} (${percent(val / all)}) to validate with.${inTokens}`;
}

/** @param {Batch} batch */
function splitLine({ train_characters: train, val_characters: val, train_tokens: tokens, starts }) {
  const place = (SPLIT_WIDTH * train) / (train + val);
  const picture = svg("svg", { viewBox: `0 0 ${SPLIT_WIDTH} 24`, preserveAspectRatio: "none" });
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", "The training part, the validation part, and the windows");
  picture.append(
    svg("rect", { class: "split-train", x: 0, y: 0, width: place, height: 24 }),
    svg("rect", { class: "split-val", x: place, y: 0, width: SPLIT_WIDTH - place, height: 24 }),
    ...starts.map((start) => {
      const x = (place * start) / tokens;
      return svg("line", { class: "split-window", x1: x, x2: x, y1: 0, y2: 24 });
    }),
  );
  return picture;
}

/** @param {Batch} batch */
function batchWords({
  batch_size: size,
  window: length,
  predictions,
  max_iters: steps,
  train_tokens: tokens,
  unit,
  draws,
}) {
  const one = `${grouped(size)} windows of ${grouped(length)} ${unit}: one batch holds ${grouped(size)} · ${grouped(length)} = ${grouped(predictions)} predictions.`;
  if (!steps || !draws) return one;
  const read = (steps * predictions) / tokens;
  return `${one} In ${grouped(steps)} steps the training makes ${grouped(steps * predictions)}, as many as ${read.toFixed(read < 10 ? 2 : 0)} times the training part has ${unit}.`;
}

/** @param {Batch} batch */
function batchNote({
  run,
  own,
  known,
  draws,
  seed,
  iteration,
  windows,
  batch_size: size,
  max_iters: steps,
}) {
  const notes = [];
  if (!draws) {
    notes.push(
      `${run} is an n-gram run: it learns by one count over the whole training part and draws no batches. This is how a network with its tokens would draw them.`,
    );
  } else if (!known) {
    notes.push(
      `How ${run} was trained is not known; batch size and seed are Sidelight’s defaults.`,
    );
  } else if (!own)
    notes.push(`${run} was trained on another text; this is how it would draw from this one.`);
  else if (steps !== null && iteration >= steps) {
    notes.push(`The training of ${run} ended before this batch.`);
  }
  notes.push(`Seed ${seed}, batch number ${grouped(iteration)}.`);
  if (windows.length < size) notes.push(`The first ${windows.length} of its windows are shown.`);
  return notes.join(" ");
}

/**
 * @param {Batch} batch
 * @param {number} chosen
 * @param {(row: number) => void} onRow
 */
function windowTable({ windows, window: length }, chosen, onRow) {
  const table = document.createElement("table");
  table.className = "lesson-table batch-table";
  const head = table.createTHead().insertRow();
  head.append(heading("Place", "col"), heading("x", "col"));
  const body = table.createTBody();
  windows.forEach(({ start, tokens }, i) => {
    const row = body.insertRow();
    const name = heading("", "row");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "window-place number";
    button.textContent = grouped(start);
    button.setAttribute("aria-pressed", String(i === chosen));
    button.addEventListener("click", () => onRow(i));
    name.append(button);
    row.append(name);
    row.insertCell().append(tokenRow(tokens.slice(0, -1)), tokens.length <= length ? " …" : "");
  });
  return table;
}

/** @param {Drawn} drawn @returns {HTMLOListElement} x above y, position by position */
function shiftedRow({ tokens, ids }) {
  const list = document.createElement("ol");
  list.className = "shifted";
  list.setAttribute("aria-label", "Position, x with its id, y with its id");
  list.append(
    column("t", [word("x"), word("id")], [word("y"), word("id")]),
    ...tokens.slice(1).map((next, t) => {
      const [x, y] = [t, t + 1].map((place) => word(String(ids[place])));
      return column(String(t), [pieceOf(tokens[t]), x], [pieceOf(next), y]);
    }),
  );
  return list;
}

/** @param {string} position @param {HTMLElement[]} x @param {HTMLElement[]} y */
function column(position, x, y) {
  const item = document.createElement("li");
  const [above, below] = [x, y].map((parts, i) => {
    const box = document.createElement("span");
    box.className = i ? "shifted-y" : "shifted-x";
    box.append(...parts);
    return box;
  });
  item.append(word(position), above, below);
  return item;
}

/** @param {string} text */
function word(text) {
  const element = document.createElement("span");
  element.className = "below number";
  element.textContent = text;
  return element;
}

/** @param {Drawn} drawn */
function pairs({ tokens }) {
  return tokens.slice(1).map((target, t) => {
    const item = document.createElement("li");
    const from = Math.max(0, t + 1 - LONGEST_CONTEXT);
    const arrow = document.createElement("span");
    arrow.className = "pair-arrow";
    arrow.textContent = "→";
    item.append(from ? "… " : "", tokenRow(tokens.slice(from, t + 1)), arrow, pieceOf(target));
    return item;
  });
}

/** @param {string} text @param {"row" | "col"} scope */
function heading(text, scope) {
  const element = document.createElement("th");
  element.scope = scope;
  element.textContent = text;
  return element;
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
