// The controls above the maps: which text, which maps, and how they are shown.
import { announce } from "../announce.js";
import { byId } from "../parts.js";
import { KINDS, MERGES, VIEWS } from "./attention_state.js";

/** @typedef {import("./attention_state.js").AttentionState} AttentionState */

const TYPING_MS = 250;

/** @type {Record<typeof KINDS[number], string>} */
const KIND_WORDS = {
  raw: "The softmax as the model uses it: how much of each key a query takes. Each row sums to 1.",
  value_weighted:
    "Each weight times the length of the value it takes: a large share of a short value moves little.",
  output_weighted:
    "Each weight times the length of what that value adds to the residual stream, through the output matrix.",
  rollout:
    "Through this head and all layers below it, half of each kept by the residual stream, down to the tokens of the text. Each row sums to 1.",
};

export class MapOptions {
  /**
   * @param {AttentionState} state
   * @param {() => string} second the run that is shown when a second one is asked for
   */
  constructor(state, second) {
    this.state = state;
    this.text = /** @type {HTMLTextAreaElement} */ (byId("text"));
    this.kind = /** @type {HTMLSelectElement} */ (byId("kind"));
    this.merge = /** @type {HTMLSelectElement} */ (byId("merge"));
    this.compare = inputOf(byId("compare"));
    this.#type();
    this.kind.addEventListener("change", () => {
      const kind = KINDS.find((each) => each === this.kind.value);
      if (kind) state.set({ kind });
    });
    this.merge.addEventListener("change", () => {
      const merge = MERGES.find((each) => each === this.merge.value);
      if (merge) state.set({ merge, ...(merge === "none" && { merged: "" }) });
    });
    byId("view").addEventListener("change", ({ target }) => {
      const { value } = /** @type {HTMLInputElement} */ (target);
      const view = VIEWS.find((each) => each === value);
      if (view) state.set({ view });
    });
    this.compare.addEventListener("change", () => {
      state.set({ run2: this.compare.checked ? second() : "", step2: null });
    });
    for (const name of /** @type {const} */ (["sink", "log"])) {
      const box = inputOf(byId(name));
      box.addEventListener("change", () => state.set({ [name]: box.checked }));
    }
    byId("copy-link").addEventListener("click", async () => {
      await navigator.clipboard.writeText(state.link);
      announce("The link is copied.");
    });
    byId("options").addEventListener("submit", (event) => event.preventDefault());
  }

  /** Show what the state says. */
  show() {
    const { text, kind, merge, run2, view, sink, log } = this.state.shown;
    if (this.text.value !== text && document.activeElement !== this.text) this.text.value = text;
    this.kind.value = kind;
    byId("kind-words").textContent = KIND_WORDS[kind];
    this.merge.value = merge;
    this.compare.checked = run2 !== "";
    for (const [name, on] of Object.entries({ sink, log })) inputOf(byId(name)).checked = on;
    for (const radio of byId("view").querySelectorAll("input"))
      radio.checked = radio.value === view;
  }

  /** @param {import("../colour_scale.js").Colouring} colouring */
  legend({ faintest, largest }) {
    const digits = largest < 0.1 ? 4 : 2;
    byId("faintest").textContent = faintest ? faintest.toPrecision(1) : "0";
    byId("brightest").textContent = largest.toFixed(digits);
  }

  /** Another text is read from its end, and is no longer what a run wrote. */
  #type() {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    this.text.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const cursor = { query: null, key: null };
        this.state.set({ text: this.text.value, end: null, replay: null, ...cursor });
      }, TYPING_MS);
    });
  }
}

/** @param {HTMLElement} element */
function inputOf(element) {
  return /** @type {HTMLInputElement} */ (element);
}
