// One run's sample at one step, each to be chosen.
import { grouped } from "../format.js";

/**
 * @typedef {import("../api.js").RunWithHistory} RunWithHistory
 * @typedef {{ run: string, step: number | null }} SampleChoice step null: the last one, however many
 *   there will be
 */

export class SampleView {
  /**
   * @param {HTMLTemplateElement} template
   * @param {(id: string) => Promise<RunWithHistory>} history
   * @param {{ changed: () => void, removed: (view: SampleView) => void }} listener
   */
  constructor(template, history, listener) {
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (copy.firstElementChild);
    this.history = history;
    this.listener = listener;
    this.run = /** @type {HTMLSelectElement} */ (this.#part("run"));
    this.step = /** @type {HTMLSelectElement} */ (this.#part("step"));
    this.remove = /** @type {HTMLButtonElement} */ (this.#part("remove"));
    this.text = this.#part("text");
    /** @type {import("../api.js").Sample[]} */
    this.samples = [];
    /** @type {SampleChoice} */
    this.choice = { run: "", step: null };
    this.run.addEventListener("change", () => this.#choose({ run: this.run.value, step: null }));
    this.step.addEventListener("change", () =>
      this.#choose({ run: this.run.value, step: Number(this.step.value) }),
    );
    this.remove.addEventListener("click", () => listener.removed(this));
  }

  /** @param {readonly { id: string, title: string }[]} runs those to choose from */
  offer(runs) {
    const { run } = this.choice;
    const options = runs.map(({ id, title }) => new Option(title, id));
    if (run && !runs.some(({ id }) => id === run)) {
      options.push(new Option(`${run} – there is no such run`, run));
    }
    this.run.replaceChildren(...options);
    this.run.value = run;
  }

  /** @param {SampleChoice} choice of the steps that there are, the nearest one is taken */
  async show(choice) {
    this.choice = choice;
    this.run.value = choice.run;
    try {
      const { samples } = await this.history(choice.run);
      if (this.choice === choice) this.#write(samples);
    } catch (error) {
      if (this.choice !== choice) return;
      this.step.replaceChildren();
      this.text.textContent = /** @type {Error} */ (error).message;
    }
  }

  /** @param {import("../api.js").Sample[]} samples */
  #write(samples) {
    const { step } = this.choice;
    const sample = step === null ? samples.at(-1) : nearest(samples, step);
    const steps = samples.map((one) => new Option(grouped(one.step), String(one.step)));
    this.step.replaceChildren(...steps);
    this.step.value = String(sample?.step ?? "");
    this.text.textContent = sample
      ? (sample.prompt + sample.text).replace(/^\n+/, "")
      : "This run kept no samples.";
  }

  /** @param {SampleChoice} choice */
  async #choose(choice) {
    const shown = this.show(choice);
    this.listener.changed();
    await shown;
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return /** @type {HTMLElement} */ (this.element.querySelector(`[data-part=${name}]`));
  }
}

/**
 * @template {{ step: number }} S
 * @param {S[]} samples
 * @param {number} step
 * @returns {S | undefined}
 */
function nearest(samples, step) {
  const distance = (/** @type {S} */ sample) => Math.abs(sample.step - step);
  return samples.toSorted((a, b) => distance(a) - distance(b))[0];
}
