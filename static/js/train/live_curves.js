// The losses of a run that is training, beside runs that have been trained.
import { getRun, listRuns } from "../api.js";
import { drawCurves } from "../curves.js";
import { isMeasured } from "../losses.js";
import { part } from "../parts.js";
import { BesidePicker } from "./beside_picker.js";

/** @typedef {import("../job_stream.js").Known} Known */
/** @typedef {import("../curves.js").Curve} Curve */
/** @typedef {import("../curves.js").Drawn} Drawn */

const DRAWS_EVERY_MS = 1000;
const DRAWS_AT_LEAST_EVERY_MS = 5000;
/** Drawing may take this share of the time. */
const SHARE = 0.1;

export class LiveCurves {
  /** @type {Known | null} */
  #known = null;
  /** @type {Map<string, Promise<Drawn>>} */
  #histories = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #drawnAt = 0;
  #pause = DRAWS_EVERY_MS;
  #own = "";

  /**
   * @param {HTMLElement} element
   * @param {{ runs: readonly import("../api.js").Run[], beside: readonly string[],
   *   onBeside: (ids: string[]) => void }} options beside: the runs to draw at first
   */
  constructor(element, { runs, beside, onBeside }) {
    this.element = element;
    const details = /** @type {HTMLDetailsElement} */ (this.#part("beside"));
    this.picker = new BesidePicker(details, runs.filter(isMeasured), beside, () => {
      onBeside(this.picker.chosen);
      this.#draw();
    });
    this.axis = /** @type {HTMLSelectElement} */ (this.#part("axis"));
    this.log = /** @type {HTMLInputElement} */ (this.#part("log-x"));
    for (const control of [this.axis, this.log]) {
      control.addEventListener("change", () => this.#draw());
    }
    document.addEventListener("themechange", () => this.#draw());
  }

  /** @param {Known} known */
  show(known) {
    const { job, metrics } = known;
    if (!job || metrics === this.#known?.metrics) return;
    this.#known = known;
    if (job.run_id !== this.#own) {
      this.#own = job.run_id;
      this.picker.show(this.#own);
      void this.#offerNewRuns();
    }
    this.#part("no-curves").hidden = metrics.length > 0;
    this.#part("curves").hidden = metrics.length === 0;
    this.#drawSoon();
  }

  close() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#known = null;
  }

  /** Those that were trained since the page was opened, too. */
  async #offerNewRuns() {
    try {
      this.picker.runs = (await listRuns()).runs.filter(isMeasured);
      this.picker.show(this.#own);
    } catch {
      // Those that the page knows stay.
    }
  }

  /** Once a second at most, and less often where drawing is slow. */
  #drawSoon() {
    this.#timer ??= setTimeout(
      async () => {
        this.#timer = undefined;
        const began = performance.now();
        await this.#draw();
        this.#drawnAt = performance.now();
        const pause = (this.#drawnAt - began) / SHARE;
        this.#pause = Math.min(DRAWS_AT_LEAST_EVERY_MS, Math.max(DRAWS_EVERY_MS, pause));
      },
      this.#drawnAt + this.#pause - performance.now(),
    );
  }

  async #draw() {
    if (!this.#known?.job || this.#known.metrics.length === 0) return;
    const alert = this.#part("curves-alert");
    try {
      const { others, missing } = await this.#others();
      const curves = [this.#ownCurve(), ...others].filter((curve) => curve !== null);
      if (curves.length === 0) return;
      const x = /** @type {import("../curves.js").Axes["x"]} */ (this.axis.value);
      await drawCurves(this.#part("curves"), curves, {
        x,
        logX: this.log.checked,
        logY: false,
        smoothing: 0,
      });
      alert.textContent = missing;
    } catch (error) {
      alert.textContent = /** @type {Error} */ (error).message;
    }
    alert.hidden = !alert.textContent;
  }

  /** @returns {Curve | null} what is known by now, not when drawing was asked for */
  #ownCurve() {
    if (!this.#known?.job) return null;
    const { job, metrics } = this.#known;
    const { run_id: id, title, config, tokenizer } = job;
    return { run: { id, title: title || id, config, tokenizer, metrics }, number: 0 };
  }

  /** @returns {Promise<{ others: Curve[], missing: string }>} missing: why some are not there */
  async #others() {
    const ids = this.picker.chosen.filter((id) => id !== this.#own);
    const answers = await Promise.allSettled(ids.map((id) => this.#history(id)));
    const others = answers.flatMap((answer, i) =>
      answer.status === "fulfilled" ? [{ run: answer.value, number: i + 1 }] : [],
    );
    const reasons = answers.flatMap((answer) =>
      answer.status === "rejected" ? [String(answer.reason.message)] : [],
    );
    return { others, missing: reasons.join(" ") };
  }

  /** @param {string} id */
  #history(id) {
    const known = this.#histories.get(id) ?? getRun(id);
    this.#histories.set(id, known);
    known.catch(() => this.#histories.delete(id));
    return known;
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return part(this.element, name);
  }
}
