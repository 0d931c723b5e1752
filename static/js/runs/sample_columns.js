// Samples side by side: up to four columns, each with its own run and step.
import { SampleView } from "./sample_view.js";

/** @typedef {import("./sample_view.js").SampleChoice} SampleChoice */

const MOST = 4;

export class SampleColumns {
  /** @type {SampleView[]} */
  #views = [];
  /** @type {readonly { id: string, title: string }[]} */
  #runs = [];

  /**
   * @param {{ columns: HTMLElement, template: HTMLTemplateElement, add: HTMLButtonElement }} parts
   * @param {(id: string) => Promise<import("../api.js").RunWithHistory>} history
   * @param {() => void} onChange
   */
  constructor(parts, history, onChange) {
    this.parts = parts;
    this.history = history;
    this.onChange = onChange;
    parts.add.addEventListener("click", () => this.#addUnused());
  }

  /** @returns {string[]} what is chosen, as the address has it */
  get words() {
    return this.#views.map(({ choice }) => sampleWord(choice));
  }

  /**
   * @param {readonly { id: string, title: string }[]} runs
   * @param {string[]} words
   */
  show(runs, words) {
    this.#runs = runs;
    this.#views = [];
    this.parts.columns.replaceChildren();
    for (const word of words.slice(0, MOST)) this.#add(sampleChoice(word));
  }

  /**
   * Show what has been added to the runs since, without touching what is chosen.
   * @param {readonly { id: string, title: string }[]} runs
   * @param {ReadonlySet<string>} grown ids of those that may have new samples
   */
  refresh(runs, grown) {
    const listed = (/** @type {typeof runs} */ some) => some.map(({ id }) => id).join();
    const changed = listed(runs) !== listed(this.#runs);
    this.#runs = runs;
    for (const view of this.#views) {
      if (changed) view.offer(runs);
      if (grown.has(view.choice.run)) view.show(view.choice);
    }
  }

  /** @param {SampleChoice} choice */
  #add(choice) {
    const view = new SampleView(this.parts.template, this.history, {
      changed: this.onChange,
      removed: (removed) => this.#remove(removed),
    });
    view.choice = choice;
    view.offer(this.#runs);
    view.show(choice);
    this.#views.push(view);
    this.parts.columns.append(view.element);
    this.#showRoom();
    return view;
  }

  #addUnused() {
    const shown = new Set(this.#views.map(({ choice }) => choice.run));
    const run = this.#runs.find(({ id }) => !shown.has(id)) ?? this.#runs[0];
    this.#add({ run: run.id, step: null }).run.focus();
    this.onChange();
  }

  /** @param {SampleView} view */
  #remove(view) {
    view.element.remove();
    this.#views = this.#views.filter((other) => other !== view);
    this.#showRoom();
    this.parts.add.focus();
    this.onChange();
  }

  #showRoom() {
    this.parts.add.disabled = this.#views.length >= MOST;
    for (const { remove } of this.#views) remove.hidden = this.#views.length === 1;
  }
}

/**
 * @param {SampleChoice} choice
 * @returns {string} "baseline:500", or "baseline" for its last one
 */
export function sampleWord({ run, step }) {
  return step === null ? run : `${run}:${step}`;
}

/**
 * @param {string} word
 * @returns {SampleChoice}
 */
export function sampleChoice(word) {
  const [run, step] = word.split(":");
  return { run, step: /^\d+$/.test(step ?? "") ? Number(step) : null };
}
