// One row of the table of runs. It stays the same element while its run goes on, so that what a
// person has opened or focused in it stays so.
import { link } from "../elements.js";
import { runColourName, runDash } from "../run_look.js";
import { originSentence } from "../run_origin.js";
import { exportLine } from "./export_links.js";
import { changes } from "./runs_table.js";
import { verdictWords } from "./verdict.js";

/**
 * @typedef {import("../api.js").Run} Run
 * @typedef {import("./runs_table.js").Column} Column
 * @typedef {import("../differences.js").Difference} Difference
 * @typedef {{ columns: Column[], reference: Run, ticked: boolean, number: number }} RowLook
 */

/** The settings side by side have all of them. */
const MOST_CHIPS = 6;

export class RunRow {
  /** @param {(ticked: boolean) => void} onTick */
  constructor(onTick) {
    this.element = document.createElement("tr");
    this.box = document.createElement("input");
    this.box.type = "checkbox";
    this.box.addEventListener("change", () => onTick(this.box.checked));
    this.swatch = document.createElement("span");
    this.swatch.className = "swatch";
    const tick = document.createElement("td");
    tick.className = "tick";
    tick.append(this.box, this.swatch);
    this.name = document.createElement("th");
    this.name.scope = "row";
    this.changed = document.createElement("td");
    this.changed.className = "changed";
    this.element.append(tick, this.name, this.changed);
    this.element.addEventListener("animationend", () => this.element.classList.remove("is-new"));
    /** @type {HTMLTableCellElement[]} */
    this.numbers = [];
    this.told = "";
  }

  /**
   * @param {Run} run
   * @param {RowLook} look
   */
  show(run, { columns, reference, ticked, number }) {
    this.element.dataset.run = run.id;
    this.box.checked = ticked;
    this.box.setAttribute("aria-label", `Show the curve of ${run.title}`);
    this.swatch.hidden = !ticked;
    this.swatch.style.setProperty("--run", `var(${runColourName(number)})`);
    this.swatch.dataset.dash = runDash(number);
    this.#showWords(run, reference);
    this.#showNumbers(columns.slice(2).map((column) => column.text?.(run) ?? ""));
  }

  /** @param {Run} run @param {Run} reference */
  #showWords(run, reference) {
    const apart = changes(run, reference);
    const { title, hypothesis, outcome, verdict, training, imported, exports } = run;
    const words = [title, hypothesis, outcome, verdict, training];
    const told = JSON.stringify([words, imported, exports, apart]);
    if (told === this.told) return;
    this.told = told;
    const open = this.name.querySelector("details")?.open ?? false;
    this.name.replaceChildren(details(run, open));
    this.changed.replaceChildren(...chips(apart).flatMap((one) => [one, " "]));
  }

  /** Open it, and take whoever waits for it there. */
  reveal() {
    const opened = this.name.querySelector("details");
    if (opened) opened.open = true;
    this.element.classList.add("is-new");
    this.element.scrollIntoView({ block: "center" });
    this.name.querySelector("summary")?.focus({ preventScroll: true });
  }

  /** @param {string[]} texts */
  #showNumbers(texts) {
    while (this.numbers.length > texts.length) this.numbers.pop()?.remove();
    texts.forEach((text, i) => {
      this.numbers[i] ??= this.#numberCell();
      if (this.numbers[i].textContent !== text) this.numbers[i].textContent = text;
    });
  }

  #numberCell() {
    const cell = this.element.insertCell();
    cell.className = "number";
    return cell;
  }
}

/**
 * @param {Run} run
 * @param {boolean} open
 */
function details(run, open) {
  const element = document.createElement("details");
  element.open = open;
  const summary = document.createElement("summary");
  summary.append(run.title);
  if (run.training) summary.append(" ", mark("training", "chip is-training"));
  if (run.imported) summary.append(" ", mark("imported", "chip"));
  element.append(
    summary,
    ...paragraph("Hypothesis", run.hypothesis),
    ...paragraph("Outcome", run.outcome),
    ...paragraph("Verdict", verdictWords(run.verdict)),
    ...origin(run),
  );
  const links = document.createElement("p");
  links.append(link(`/?runs=${run.id}`, "Prompt it"));
  if (run.attention) links.append(" · ", link(`/attention?run=${run.id}`, "Look inside"));
  links.append(" · ", link(`/train?from=${run.id}`, "Train a variation"));
  links.append(" · ", link(`/learn/hypotheses?run=${run.id}`, "Edit its notes"));
  element.append(links, ...exportLine(run));
  return element;
}

/** @param {string} words @param {string} className */
function mark(words, className) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = words;
  return element;
}

/**
 * @param {Run} run
 * @returns {HTMLElement[]} where it comes from, if it was not trained here
 */
function origin({ imported }) {
  if (!imported) return [];
  const element = document.createElement("p");
  element.textContent = `${originSentence(imported)}.`;
  element.title = `SHA-256 of its weights' file: ${imported.sha256}`;
  return [element];
}

/**
 * @param {string} label
 * @param {string} words
 * @returns {HTMLElement[]} none where there is nothing to say
 */
function paragraph(label, words) {
  if (!words) return [];
  const element = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = `${label}. `;
  element.append(strong, words);
  return [element];
}

/**
 * @param {Difference[]} differences
 * @returns {HTMLElement[]} the first ones, and how many there are besides
 */
function chips(differences) {
  const shown = differences.slice(0, MOST_CHIPS);
  const rest = differences.slice(MOST_CHIPS);
  const each = shown.map(({ name, value, other }) =>
    chip(`${name} ${value}`, `${name}: ${value}, the baseline has ${other}`),
  );
  const names = rest.map(({ name, value }) => `${name} ${value}`).join(", ");
  return rest.length ? [...each, chip(`${rest.length} more`, names)] : each;
}

/**
 * @param {string} words
 * @param {string} title
 */
function chip(words, title) {
  const element = mark(words, "chip is-different");
  element.title = title;
  return element;
}
