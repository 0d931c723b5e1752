// One run's card: what was expected, what happened, the verdict, and beside them the numbers.
import { part } from "../parts.js";
import { sentence } from "../runs/cost_gain.js";
import { verdictWords } from "../runs/verdict.js";
import { NoteForm } from "./notes_form.js";
import { numberRows } from "./notes_numbers.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {import("../api.js").Notes} Notes */
/** @typedef {import("../runs/cost_gain.js").Outcome} Outcome */

export class NoteCard {
  /** @type {Run} */
  #run;
  #form;
  #onOpen;
  #onNews;
  /** @type {Notes | null} what was typed and put aside */
  #aside = null;

  /**
   * @param {HTMLElement} element a copy of the card's template
   * @param {Run} run
   * @param {{ onOpen: (open: boolean) => void, onNews: (run: Run) => void }} listeners onNews: what
   *   the server has now
   */
  constructor(element, run, { onOpen, onNews }) {
    this.element = element;
    this.#run = run;
    this.#onOpen = onOpen;
    this.#onNews = onNews;
    const form = /** @type {HTMLFormElement} */ (part(element, "form"));
    this.#form = new NoteForm(form, run.id, { leave: (saved) => this.#close(saved), onNews });
    element.dataset.run = run.id;
    part(element, "edit").addEventListener("click", () => this.edit());
    part(element, "again").addEventListener("click", () => this.edit(this.#aside));
  }

  /** Whether it has words that would be lost with the page. */
  get isDirty() {
    return this.#form.isDirty;
  }

  get isOpen() {
    return !part(this.element, "form").hidden;
  }

  /**
   * @param {Outcome} outcome
   * @param {Run} reference
   */
  show(outcome, reference) {
    const { run } = outcome;
    this.#run = run;
    part(this.element, "title").textContent = run.title;
    part(this.element, "training").hidden = !run.training;
    part(this.element, "waiting").hidden = !run.training;
    part(this.element, "edit").hidden = this.isOpen || Boolean(run.training);
    part(this.element, "edit").setAttribute("aria-label", `Edit the notes of ${run.title}`);
    this.#write("hypothesis", run.hypothesis, "None was written.");
    this.#write("outcome", run.outcome, "Nothing was noted so far.");
    this.#write("verdict", verdictWords(run.verdict), "None so far.");
    part(this.element, "verdict").dataset.verdict = run.verdict ?? "";
    part(this.element, "sentence").textContent = sentence(outcome, reference);
    this.#showNumbers(reference);
  }

  /** @param {Notes | null} [draft] what was typed before */
  edit(draft) {
    if (this.#run.training || this.isOpen) return;
    this.#tell("");
    part(this.element, "reading").hidden = true;
    part(this.element, "edit").hidden = true;
    this.#form.open(this.#run, draft ?? undefined);
    this.#onOpen(true);
  }

  /** @param {Run | null} saved */
  #close(saved) {
    this.#aside = !saved && this.#form.isDirty ? this.#form.draft : null;
    this.#form.close();
    part(this.element, "reading").hidden = false;
    part(this.element, "edit").hidden = Boolean(this.#run.training);
    part(this.element, "edit").focus();
    if (saved) this.#onNews(saved);
    this.#tell(saved ? "Saved in the run's folder." : this.#aside ? "Not saved." : "");
    this.#onOpen(false);
  }

  /** @param {string} words what came of it, and, where something was put aside, the way back */
  #tell(words) {
    part(this.element, "status").textContent = words;
    part(this.element, "again").hidden = !words || this.#aside === null;
  }

  /**
   * @param {string} name
   * @param {string} words
   * @param {string} none what stands there without any
   */
  #write(name, words, none) {
    const place = part(this.element, `${name}-words`);
    place.textContent = words || none;
    place.classList.toggle("is-none", !words);
  }

  /** @param {Run} reference */
  #showNumbers(reference) {
    const alone = this.#run === reference;
    const head = ["", "This run", ...(alone ? [] : [reference.title, "Change"])];
    const table = /** @type {HTMLTableElement} */ (part(this.element, "numbers"));
    const rows = numberRows(this.#run, reference).map(({ name, own, other, change }) =>
      rowOf(name, alone ? [own] : [own, other, change]),
    );
    const header = document.createElement("tr");
    header.append(...head.map((words) => cell(words ? "th" : "td", words)));
    table.tHead?.replaceChildren(header);
    table.tBodies[0].replaceChildren(...rows);
  }
}

/** @param {string} name @param {string[]} values */
function rowOf(name, values) {
  const row = document.createElement("tr");
  const head = cell("th", name);
  head.className = "";
  head.setAttribute("scope", "row");
  row.append(head, ...values.map((value) => cell("td", value)));
  return row;
}

/** @param {"th" | "td"} tag @param {string} words */
function cell(tag, words) {
  const element = document.createElement(tag);
  element.className = "number";
  element.textContent = words;
  return element;
}
