// The form that says what to write on from, and how.
import { flag, integer, list, number, optional, text } from "../state.js";

/**
 * @typedef {object} Sampling
 * @property {number} temperature
 * @property {number | null} top_k
 * @property {number} top_p
 * @property {number} length characters
 * @property {number} seed
 *
 * @typedef {Sampling & { prompt: string }} Writing
 */

const LARGEST_SEED = 2 ** 31 - 1;

export const WRITING_FIELDS = {
  prompt: text("ROMEO:\nBut, soft! what light"),
  temperature: number(0.8, 0, 2),
  top_k: optional(integer(1, 1, 1000)),
  top_p: number(1, 0.05, 1),
  length: integer(500, 1, 10_000),
  seed: integer(1337, 0, LARGEST_SEED),
};

/**
 * Everything that the address of the page carries.
 * @param {readonly string[]} runs those shown when the address names none
 */
export function pageFields(runs) {
  return {
    runs: list(runs),
    ...WRITING_FIELDS,
    tint: flag(false),
    spaces: flag(false),
    go: flag(false),
  };
}

export function randomSeed() {
  return Math.floor(Math.random() * (LARGEST_SEED + 1));
}

export class Composer {
  #form;

  /**
   * @param {HTMLFormElement} form
   * @param {() => void} onChange called when a person has changed something
   */
  constructor(form, onChange) {
    this.#form = form;
    form.addEventListener("input", () => {
      this.#showValues();
      onChange();
    });
    form.addEventListener("change", () => this.show(this.read()));
    for (const example of form.querySelectorAll("[data-example]")) {
      example.addEventListener("click", () => {
        this.#control("prompt").value = example.getAttribute("data-example") ?? "";
        onChange();
        this.#control("prompt").focus();
      });
    }
  }

  /** @returns {Writing} what the form says; what cannot be used counts as left out */
  read() {
    /** @type {Record<string, unknown>} */
    const values = {};
    for (const [name, field] of Object.entries(WRITING_FIELDS)) {
      values[name] = field.parse(this.#control(name).value) ?? field.initial;
    }
    return /** @type {Writing} */ (values);
  }

  /**
   * @returns {Partial<Writing>} what was typed before anything was shown: the form comes empty. A
   *   slider stands somewhere even then, and so tells nothing.
   */
  typed() {
    const typed = Object.entries(WRITING_FIELDS).flatMap(([name, field]) => {
      const { type, value, defaultValue } = this.#control(name);
      const said = type === "range" || value === defaultValue ? undefined : field.parse(value);
      return said === undefined ? [] : [[name, said]];
    });
    return Object.fromEntries(typed);
  }

  /** @param {Partial<Writing>} writing */
  show(writing) {
    for (const name of Object.keys(WRITING_FIELDS)) {
      const value = /** @type {Record<string, unknown>} */ (writing)[name];
      if (value === undefined) continue;
      const control = this.#control(name);
      const shown = value === null ? "" : String(value);
      if (control.value !== shown) control.value = shown;
    }
    this.#showValues();
  }

  #showValues() {
    for (const output of this.#form.querySelectorAll("output")) {
      output.value = Number(this.#control(output.htmlFor.value).value).toFixed(2);
    }
  }

  /** @param {string} name */
  #control(name) {
    return /** @type {HTMLInputElement} */ (this.#form.elements.namedItem(name));
  }
}
