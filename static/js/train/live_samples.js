// What a run writes while it trains: the newest sample, and those before it.
import { glyphs } from "../glyphs.js";
import { part } from "../parts.js";
import { TokenText } from "../tokens.js";
import { StepSlider } from "./step_slider.js";

/** @typedef {import("../api.js").Sample} Sample */

export class LiveSamples {
  /** @type {Sample[]} */
  #samples = [];
  /** @type {Sample | undefined} */
  #shown;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.slider = new StepSlider(this.#part("slider"), () => this.#write());
    this.text = new TokenText(this.#part("text"));
    const spaces = /** @type {HTMLInputElement} */ (this.#part("spaces"));
    spaces.addEventListener("change", () => {
      element.classList.toggle("shows-spaces", spaces.checked);
    });
  }

  /**
   * @param {Sample[]} samples by rising step
   * @param {boolean} ended whether no more will come
   */
  show(samples, ended) {
    this.#part("empty").hidden = samples.length > 0;
    this.#part("shown").hidden = samples.length === 0;
    if (ended) this.#part("empty").textContent = "It ended before a sample was drawn.";
    this.#samples = samples;
    this.slider.show(samples.map(({ step }) => step));
    this.#write();
  }

  /** Begin with the newest of another job. */
  restart() {
    this.slider.follow();
    this.#part("empty").textContent =
      "The first sample is drawn before training begins: nothing but chance.";
  }

  #write() {
    const sample = this.#samples[this.slider.index];
    if (!sample || sample === this.#shown) return;
    this.#shown = sample;
    const { prompt, text, seed, temperature } = sample;
    this.#part("caption").textContent =
      `After ${prompt ? `“${glyphs(prompt)}”` : "nothing"}, seed ${seed}, temperature ${temperature}.`;
    // A prompt that cannot be seen would only be a gap above the text.
    this.text.restart(prompt.trim() ? prompt : "");
    this.text.append([...text].map((character) => ({ text: character, logprob: 0, top: [] })));
    this.text.flush();
    this.#part("text").scrollTop = 0;
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return part(this.element, name);
  }
}
