// Two sides, one less the other: the chosen maps cell by cell, and each head by how much it differs.
import { isAbort } from "../api.js";
import { compareHeads } from "../attention_api.js";
import { SignedColouring } from "../colour_scale.js";
import { glyphs } from "../glyphs.js";
import { part } from "../parts.js";
import { MATCHES } from "./attention_state.js";
import { DivergenceGrid } from "./divergence_grid.js";
import { Heatmap } from "./heatmap.js";
import { knownRun } from "./shown_runs.js";

/**
 * @typedef {import("../attention_api.js").Comparison} Comparison
 * @typedef {import("../attention_api.js").ComparisonRequest} ComparisonRequest
 * @typedef {import("./heatmap.js").Cell} Cell
 * @typedef {import("./panel_context.js").PanelContext} PanelContext
 */

export class DifferencePanel {
  #element;
  #context;
  #heatmap;
  #grid;
  /** @type {Comparison | null} */
  #comparison = null;
  #asked = "";
  #drawn = "";
  /** @type {AbortController | null} */
  #abort = null;

  /**
   * @param {HTMLElement} element
   * @param {PanelContext} context
   */
  constructor(element, context) {
    this.#element = element;
    this.#context = context;
    const { state } = context;
    this.#heatmap = new Heatmap(this.#part("difference-map"), (cell) => {
      state.set({ query: cell?.query ?? null, key: cell?.key ?? null });
      this.#part("difference-spoken").textContent = cell ? this.#words(cell) : "";
    });
    this.#grid = new DivergenceGrid(this.#part("grid"), ({ a, b }) => {
      if (!b) return;
      state.set({ layer: a[0], head: a[1], layer2: b[0], head2: b[1], merged: "" });
    });
    this.#part("match").addEventListener("change", ({ target }) => {
      const { value } = /** @type {HTMLInputElement} */ (target);
      state.set({ match: MATCHES.find((match) => match === value) });
    });
    this.#part("add-run").addEventListener("click", () => {
      const other = knownRun(
        context.runs.filter(({ id }) => id !== state.shown.run),
        "",
        0,
      );
      const { layer, head } = state.shown;
      state.set({ run2: other || state.shown.run, step2: null, layer2: layer, head2: head });
    });
    this.#part("add-step").addEventListener("click", () => {
      const { run, layer, head } = state.shown;
      state.set({ run2: run, step2: this.#firstStep, layer2: layer, head2: head });
    });
  }

  show() {
    const { two, state } = this.#context;
    this.#part("invitation").hidden = two;
    this.#part("compared").hidden = !two;
    this.#part("add-step").hidden = this.#firstStep === null;
    if (!two) return this.hide();
    const possible = this.#matches;
    for (const radio of this.#part("match").querySelectorAll("input")) {
      radio.disabled = !possible.some((match) => match === radio.value);
      radio.checked = radio.value === this.#match;
    }
    this.#part("without-first").textContent = state.shown.sink ? ", without the first token" : "";
    this.#compare();
    this.#showPair();
    this.#showDifference();
  }

  hide() {
    this.#abort?.abort();
    this.#asked = this.#drawn = "";
  }

  get #firstStep() {
    const { run } = this.#context.state.shown;
    return this.#context.runs.find(({ id }) => id === run)?.steps[0] ?? null;
  }

  /** How heads can be matched: places and layers only correspond where there are as many. */
  get #matches() {
    const { runs, state } = this.#context;
    const [a, b] = [state.shown.run, state.shown.run2].map((id) =>
      runs.find((run) => run.id === id),
    );
    if (a?.n_layer !== b?.n_layer) return MATCHES.filter((match) => match === "anywhere");
    return a?.n_head === b?.n_head ? MATCHES : MATCHES.filter((match) => match !== "place");
  }

  /** The way that was chosen, else the next that is possible. */
  get #match() {
    const { match } = this.#context.state.shown;
    return this.#matches.find((each) => each === match) ?? this.#matches[0];
  }

  /** Ask how much the heads differ, unless that is known or on its way. */
  #compare() {
    const { sink } = this.#context.state.shown;
    const match = this.#match;
    const [a, b] = [this.#context.request(0), this.#context.request(1)];
    if (!a.text) return;
    const request = {
      ...{ text: a.text, length: a.length, match, without_first: sink },
      a: { run: a.run, step: a.step },
      b: { run: b.run, step: b.step },
    };
    const asked = JSON.stringify(request);
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#abort?.abort();
    void this.#ask(request, (this.#abort = new AbortController()).signal);
  }

  /** @param {ComparisonRequest} request @param {AbortSignal} signal */
  async #ask(request, signal) {
    const alert = this.#part("alert");
    try {
      this.#part("grid").setAttribute("aria-busy", "true");
      const comparison = await compareHeads(request, signal);
      if (signal.aborted) return;
      this.#comparison = comparison;
      this.#grid.show(comparison.pairs, comparison.match !== "place");
      alert.hidden = true;
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      this.#comparison = null;
      this.#part("grid").replaceChildren();
      alert.textContent = /** @type {Error} */ (error).message;
      alert.hidden = false;
    }
    this.#part("grid").removeAttribute("aria-busy");
    this.#showPair();
  }

  /** The chosen head of side 1, and the one that it is compared with. */
  #showPair() {
    const { layer, head } = this.#context.state.shown;
    if (this.#comparison) this.#grid.mark(layer, head);
    const pair = this.#comparison?.pairs.find(({ a }) => a[0] === layer && a[1] === head);
    const words = this.#part("pair");
    words.textContent = "";
    if (!pair) return;
    const { b, divergence, similarity } = pair;
    words.textContent =
      b && divergence !== null && similarity !== null
        ? `Layer ${layer}, head ${head} and layer ${b[0]}, head ${b[1]} of the second run: divergence ${divergence.toFixed(4)} bits, similarity ${similarity.toFixed(4)}.`
        : `Layer ${layer}, head ${head} has no counterpart: the second run has fewer heads.`;
  }

  #showDifference() {
    const [one, two] = [this.#context.weights(0), this.#context.weights(1)];
    if (!one || !two) return; // on their way
    const tokens = this.#context.tokens(0);
    const same = JSON.stringify(tokens) === JSON.stringify(this.#context.tokens(1));
    this.#part("difference-map").hidden = !same;
    this.#part("difference-words").textContent = same
      ? "Orange where the first looks more, blue where the second does."
      : "The two runs cut this text into different tokens, so their maps have no cells in common.";
    this.#part("difference-title").textContent = "First less second";
    if (!same || one.length !== two.length) return;
    const { sink } = this.#context.state.shown;
    const titles = [this.#context.title(0), this.#context.title(1)];
    const drawn = JSON.stringify([this.#context.request(0), titles, sink, theme()]);
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#part("difference-title").title = titles.join(" less ");
      const difference = one.map((weight, i) => weight - two[i]);
      const largest = largestOf(difference, tokens.length, sink);
      this.#part("lowest").textContent = `−${largest.toFixed(3)}`;
      this.#part("highest").textContent = `+${largest.toFixed(3)}`;
      this.#heatmap.show(difference, tokens, new SignedColouring(largest));
    }
    const cell = this.#context.cursor();
    this.#heatmap.mark(cell);
    this.#part("difference-readout").textContent = cell
      ? this.#words(cell)
      : "Point at a cell, or move with the arrow keys.";
  }

  /** @param {Cell} cell */
  #words({ query, key }) {
    const tokens = this.#context.tokens(0);
    const name = (/** @type {number} */ i) => `'${glyphs(tokens[i])}' (${i})`;
    const where = `query ${name(query)} → key ${name(key)}`;
    if (key > query) return `${where}: not seen yet`;
    const at = query * tokens.length + key;
    const [one, two] = [0, 1].map((side) => this.#context.weights(side === 0 ? 0 : 1)?.[at] ?? 0);
    return `${where}: ${one.toFixed(4)} − ${two.toFixed(4)} = ${signed(one - two)}`;
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return part(this.#element, name);
  }
}

/**
 * @param {Float32Array} values (T, T)
 * @param {number} T
 * @param {boolean} withoutFirst
 */
function largestOf(values, T, withoutFirst) {
  let largest = 0;
  for (let at = 0; at < values.length; at++)
    if (!withoutFirst || at % T !== 0) largest = Math.max(largest, Math.abs(values[at]));
  return largest || 1e-6;
}

/** @param {number} value */
function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
}

function theme() {
  return document.documentElement.dataset.theme;
}
