// One run's sample at one step, each to be chosen.

/** @typedef {import("./api.js").RunWithHistory} RunWithHistory */

export class SampleView {
  /**
   * @param {HTMLElement} element
   * @param {{ id: string, title: string }[]} runs
   * @param {(id: string) => Promise<RunWithHistory>} history
   */
  constructor(element, runs, history) {
    this.history = history;
    this.run = /** @type {HTMLSelectElement} */ (element.querySelector("[data-part=run]"));
    this.step = /** @type {HTMLSelectElement} */ (element.querySelector("[data-part=step]"));
    this.text = /** @type {HTMLElement} */ (element.querySelector("[data-part=text]"));
    this.run.replaceChildren(...runs.map((run) => new Option(run.title, run.id)));
    this.run.addEventListener("change", () => this.show(this.run.value, "last"));
    this.step.addEventListener("change", () => this.#write());
    /** @type {import("./api.js").Sample[]} */
    this.samples = [];
  }

  /**
   * @param {string} id
   * @param {"first" | "last"} which of its samples
   */
  async show(id, which) {
    this.run.value = id;
    try {
      this.samples = (await this.history(id)).samples;
    } catch (error) {
      this.text.textContent = /** @type {Error} */ (error).message;
      return;
    }
    const options = this.samples.map(
      ({ step }, i) => new Option(step.toLocaleString("en-US"), String(i)),
    );
    this.step.replaceChildren(...options);
    this.step.value = String(which === "first" ? 0 : this.samples.length - 1);
    this.#write();
  }

  #write() {
    const sample = this.samples[Number(this.step.value)];
    this.text.textContent = sample
      ? (sample.prompt + sample.text).replace(/^\n+/, "")
      : "This run kept no samples.";
  }
}
