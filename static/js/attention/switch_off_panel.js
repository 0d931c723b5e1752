// "Switch off": choose heads, and see what the model is without them.

import { isAbort } from "../api.js";
import { importance, switchOff } from "../attention_api.js";
import { lossUnit } from "../losses.js";
import { part } from "../parts.js";
import { AblationView } from "./ablation_view.js";
import { FIELDS } from "./attention_state.js";
import { HeadGrid } from "./head_grid.js";
import { PanelFrame } from "./panel_frame.js";
import { signed } from "./signed.js";

/**
 * @typedef {import("./panel_context.js").PanelContext} PanelContext
 * @typedef {import("../attention_api.js").Importance} Importance
 * @typedef {import("../attention_api.js").Place} Place
 * @typedef {"write" | "temperature" | "top_k" | "top_p" | "seed"} Setting
 */

/** A person may press several heads, or type a number. */
const PATIENCE_MS = 200;
const SETTINGS = /** @type {Setting[]} */ (["write", "temperature", "top_k", "top_p", "seed"]);

export class SwitchOffPanel {
  /** @type {Importance | null} */
  #importance = null;
  /** of what it is */
  #measured = "";
  /** @type {AbortController | null} */
  #measuring = null;

  /**
   * @param {HTMLElement} element
   * @param {PanelContext} context
   */
  constructor(element, context) {
    this.element = element;
    this.context = context;
    this.frame = new PanelFrame(this.#part("results"));
    this.view = new AblationView(this.#part("results"));
    this.grid = new HeadGrid(
      this.#part("heads"),
      ({ layer, head }) => this.#toggle([layer, head]),
      {
        idle: "·",
      },
    );
    this.settings = /** @type {HTMLFormElement} */ (this.#part("settings"));
    this.settings.addEventListener("submit", (event) => event.preventDefault());
    this.settings.addEventListener("change", (event) => this.#onSetting(event));
    this.#part("this-head").addEventListener("click", () => {
      const { layer, head } = context.state.shown;
      this.#set([[layer, head]]);
    });
    this.#part("this-layer").addEventListener("click", () => this.#set(this.#layer()));
    this.#part("none").addEventListener("click", () => this.#set([]));
    this.#part("measure").addEventListener("click", () => this.#measure());
  }

  show() {
    const reading = this.context.request();
    const { fill, write, temperature, top_k, top_p, seed } = this.context.state.shown;
    if (this.#measured !== this.#measurable()) this.#forget();
    this.#showSettings();
    this.#showGrid();
    const heads = this.#off();
    if (!reading.text) this.frame.empty("Type a text first.");
    else if (!heads.length) {
      this.frame.empty(
        "No head is switched off. Press one or more to see what they are missed for.",
      );
    } else {
      const drawing = { generate: write, temperature, top_k, top_p, seed };
      const question = { ...reading, heads, fill, ...drawing };
      this.frame.ask(
        question,
        switchOff,
        (answer) => this.view.show(answer, this.#unit),
        PATIENCE_MS,
      );
    }
  }

  hide() {
    this.frame.cancel();
    if (!this.#importance) this.#forget();
  }

  /** @returns {Place[]} those that the run has, by layer and head */
  #off() {
    const { nLayer, nHead } = this.#shape;
    return this.context.state.shown.off
      .map((word) => word.split(".").map(Number))
      .filter(([layer, head]) => layer < nLayer && head < nHead)
      .map(([layer, head]) => /** @type {Place} */ ([layer, head]));
  }

  /** @param {Place[]} heads */
  #set(heads) {
    const ordered = [...heads].sort(([a, b], [c, d]) => a - c || b - d);
    this.context.state.set({ off: ordered.map((place) => place.join(".")) });
  }

  /** @param {Place} place */
  #toggle([layer, head]) {
    const others = this.#off().filter(([a, b]) => a !== layer || b !== head);
    this.#set(others.length < this.#off().length ? others : [...others, [layer, head]]);
  }

  /** @returns {Place[]} */
  #layer() {
    const { layer } = this.context.state.shown;
    return Array.from({ length: this.#shape.nHead }, (_, head) => [layer, head]);
  }

  get #shape() {
    const header = this.context.maps()?.header;
    if (header) return { nLayer: header.n_layer, nHead: header.n_head };
    const model = this.#run?.config.model ?? {};
    return { nLayer: Number(model.n_layer ?? 0), nHead: Number(model.n_head ?? 0) };
  }

  get #run() {
    return this.context.runs.find(({ id }) => id === this.context.state.shown.run);
  }

  get #unit() {
    return lossUnit(this.#run ? [this.#run] : []);
  }

  #showGrid() {
    const off = new Set(this.#off().map((place) => place.join(".")));
    this.grid.show({
      ...this.#shape,
      values: this.#importance?.changes ?? null,
      pressed: (layer, head) => off.has(`${layer}.${head}`),
      name: ({ layer, head }) => `Switch off layer ${layer}, head ${head}`,
    });
    this.#part("none").toggleAttribute("disabled", off.size === 0);
  }

  // How they are switched off, and how the text goes on

  #showSettings() {
    const shown = this.context.state.shown;
    for (const name of SETTINGS) {
      const control = this.#control(name);
      if (control !== document.activeElement) control.value = String(shown[name] ?? "");
    }
    for (const radio of this.settings.querySelectorAll("input")) {
      if (radio.name === "fill") radio.checked = radio.value === shown.fill;
    }
  }

  /** @param {Event} event what cannot be used counts as left out */
  #onSetting({ target }) {
    const { name, value } = /** @type {HTMLInputElement} */ (target);
    const field = FIELDS[/** @type {Setting | "fill"} */ (name)];
    const read = field.parse(value) ?? field.initial;
    this.context.state.set({ [name]: read });
    if (name !== "fill") this.#control(/** @type {Setting} */ (name)).value = String(read ?? "");
  }

  /** @param {Setting} name */
  #control(name) {
    return /** @type {HTMLInputElement} */ (this.settings.elements.namedItem(name));
  }

  // How much each head is missed

  #measurable() {
    return JSON.stringify([this.context.request(), this.context.state.shown.fill]);
  }

  #forget() {
    this.#measuring?.abort();
    this.#importance = null;
    this.#measured = "";
    this.#say("");
  }

  async #measure() {
    this.#forget();
    const { signal } = (this.#measuring = new AbortController());
    this.#measured = this.#measurable();
    const { fill } = this.context.state.shown;
    this.#say("Switching off one head after another…", true);
    try {
      const answer = await importance({ ...this.context.request(), fill }, signal);
      this.#importance = answer;
      this.#say(mostMissed(answer, this.#unit));
    } catch (error) {
      if (isAbort(error)) return;
      this.#say("", false, /** @type {Error} */ (error).message);
    }
    this.#showGrid();
  }

  /**
   * @param {string} note
   * @param {boolean} [busy]
   * @param {string} [alert]
   */
  #say(note, busy = false, alert = "") {
    this.#part("importance-note").textContent = note;
    this.#part("importance-alert").textContent = alert;
    this.#part("importance-alert").hidden = alert === "";
    this.#part("measure").toggleAttribute("disabled", busy);
    this.#part("heads").setAttribute("aria-busy", String(busy));
  }

  /** @param {string} name */
  #part(name) {
    return part(this.element, name);
  }
}

/**
 * @param {Importance} importance
 * @param {string} unit
 */
function mostMissed({ changes, loss }, unit) {
  const heads = changes.flatMap((row, layer) =>
    row.map((change, head) => ({ layer, head, change })),
  );
  const most = heads.reduce((a, b) => (b.change > a.change ? b : a));
  return `Loss with all heads: ${loss.toFixed(3)} ${unit}. Each number is what it rises by without that head. Layer ${most.layer}, head ${most.head} is missed most: ${signed(most.change)}.`;
}
