// What a run starts from: a preset, or another run's configuration and perhaps its weights.
import { grouped, millions } from "../format.js";
import { copyOf, part } from "../parts.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {import("../jobs_api.js").Preset} Preset */

/**
 * @typedef {object} Start
 * @property {string} preset empty when a run is chosen
 * @property {string} from the run's id; empty when a preset is chosen
 * @property {boolean} weights whether to go on from the run's weights
 * @property {number | null} step of which snapshot; the final ones when null
 */

export class StartingPoint {
  #element;
  #presets;
  #onChange;
  #several = false;
  /** @type {Run[]} */
  #runs = [];
  #run;
  #weights;
  #step;

  /**
   * @param {HTMLElement} element
   * @param {Preset[]} presets
   * @param {Run[]} runs
   * @param {{ onStart: () => void, onWeights: () => void }} listeners onStart: another preset or
   *   run is chosen
   */
  constructor(element, presets, runs, { onStart, onWeights }) {
    this.#element = element;
    this.#presets = presets;
    this.#onChange = onStart;
    this.#run = /** @type {HTMLSelectElement} */ (part(element, "run"));
    this.#weights = /** @type {HTMLInputElement} */ (part(element, "weights"));
    this.#step = /** @type {HTMLSelectElement} */ (part(element, "step"));
    part(element, "presets").append(...presets.map((preset) => this.#card(preset)));
    this.setRuns(runs);
    this.#run.addEventListener("change", () => this.#choose(this.#run.value));
    this.#weights.addEventListener("change", () => {
      this.#showAbout();
      onWeights();
    });
    this.#step.addEventListener("change", onWeights);
  }

  /** @returns {Start} */
  read() {
    const weights = this.#weights.checked && !part(this.#element, "weights-field").hidden;
    const step = weights && this.#step.value !== "" ? Number(this.#step.value) : null;
    const from = this.#run.value;
    return { preset: from ? "" : this.#checkedPreset(), from, weights, step };
  }

  /** @returns {Run | Preset} what is chosen */
  get chosen() {
    const { from, preset } = this.read();
    const all = from ? this.#runs : this.#presets;
    return all.find(({ id }) => id === (from || preset)) ?? this.#presets[0];
  }

  /** @param {Start} start what is not there counts as left out */
  show({ preset, from, weights, step }) {
    const run = this.#runs.find(({ id }) => id === from);
    this.#run.value = run ? run.id : "";
    const known = this.#presets.some(({ id }) => id === preset);
    for (const radio of this.#radios()) {
      radio.checked = !run && radio.value === (known ? preset : this.#usual());
    }
    this.#weights.checked = weights;
    this.#fillSteps(run);
    if (step !== null && run?.steps.includes(step)) this.#step.value = String(step);
    this.#showAbout();
  }

  /** @param {Run[]} runs */
  setRuns(runs) {
    const { value } = this.#run;
    this.#runs = runs;
    const options = runs.map((run) => new Option(`${run.id} – ${run.title}`, run.id));
    this.#run.replaceChildren(new Option(runs.length ? "none" : "there are no runs yet", ""));
    this.#run.append(...options);
    this.#run.value = runs.some(({ id }) => id === value) ? value : "";
  }

  /** @param {boolean} several whether several runs are started, which all begin anew */
  setSeveral(several) {
    this.#several = several;
    this.#showAbout();
  }

  /** @param {string} from a run's id, or none */
  #choose(from) {
    this.show({ preset: this.#usual(), from, weights: false, step: null });
    this.#onChange();
  }

  #usual() {
    return this.#presets.find(({ id }) => id === "baseline")?.id ?? this.#presets[0].id;
  }

  #radios() {
    return /** @type {NodeListOf<HTMLInputElement>} */ (
      this.#element.querySelectorAll("[name=preset]")
    );
  }

  #checkedPreset() {
    return [...this.#radios()].find(({ checked }) => checked)?.value ?? this.#usual();
  }

  /** @param {Run | undefined} run */
  #fillSteps(run) {
    const steps = (run?.steps ?? []).map(
      (step) => new Option(`of step ${grouped(step)}`, String(step)),
    );
    this.#step.replaceChildren(new Option("the final ones", ""), ...steps);
  }

  #showAbout() {
    const run = this.#runs.find(({ id }) => id === this.#run.value);
    const unknown = run ? unknownWords(run) : "";
    part(this.#element, "unknown").hidden = unknown === "";
    part(this.#element, "unknown").textContent = unknown;
    part(this.#element, "weights-field").hidden = !run || run.kind === "ngram" || this.#several;
    this.#step.hidden = !this.#weights.checked;
    part(this.#element, "weights-note").hidden = !this.#weights.checked;
  }

  /** @param {Preset} preset */
  #card(preset) {
    const template = /** @type {HTMLTemplateElement} */ (
      this.#element.querySelector("#preset-template")
    );
    const card = copyOf(template);
    const radio = /** @type {HTMLInputElement} */ (card.querySelector("input"));
    radio.value = preset.id;
    radio.addEventListener("change", () => {
      this.show({ preset: preset.id, from: "", weights: false, step: null });
      this.#onChange();
    });
    part(card, "title").textContent = preset.title;
    part(card, "params").textContent = preset.params
      ? `${millions(preset.params)} parameters`
      : "counts of the text";
    part(card, "hypothesis").textContent = preset.hypothesis;
    return card;
  }
}

/**
 * @param {Run} run
 * @returns {string} what of it nobody knows, as of one that was brought in, and what takes its place
 */
function unknownWords({ config, corpus }) {
  if (config.train && corpus) return "";
  if (config.train) return "Which text it learned from is not known: choose one below.";
  const what = corpus ? "How it was trained is" : "How it was trained, and on which text, is";
  return `${what} not known: that begins with the usual values.`;
}
