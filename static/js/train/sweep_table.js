// A sweep as a table: its runs, best first, with the settings in which they differ.
import { shown } from "../differences.js";
import { link } from "../elements.js";
import { duration } from "../format.js";
import { hasEnded } from "../jobs_api.js";
import { stateBadge, stateWord } from "./job_state.js";

/**
 * @typedef {import("../jobs_api.js").Sweep} Sweep
 * @typedef {import("../jobs_api.js").SweepJob} SweepJob
 */

/**
 * @param {readonly SweepJob[]} jobs
 * @returns {SweepJob[]} by validation loss, those without one last, in their own order
 */
export function bestFirst(jobs) {
  return [...jobs].sort((a, b) => {
    if (a.val_loss === null || b.val_loss === null) {
      return Number(a.val_loss === null) - Number(b.val_loss === null);
    }
    return a.val_loss - b.val_loss;
  });
}

/**
 * @param {string} field "train.learning_rate"
 * @returns {string} "learning_rate"
 */
export function fieldName(field) {
  return field.slice(field.indexOf(".") + 1);
}

/**
 * @param {unknown} value of a field
 * @returns {string} drawn numbers without digits that nobody reads
 */
export function valueText(value) {
  return typeof value === "number" ? String(Number(value.toPrecision(4))) : shown(value);
}

/**
 * @param {Sweep} sweep
 * @returns {string} a table for other programs, with every digit
 */
export function asCsv({ fields, jobs }) {
  const head = ["run", "state", ...fields, "val_loss", "train_loss", "wall_time_s", "params"];
  const lines = bestFirst(jobs).map(({ job, values, val_loss, train_loss, wall_time_s }) => [
    job.run_id,
    job.state,
    ...fields.map((field) => values[field] ?? null),
    ...[val_loss, train_loss, wall_time_s, job.params],
  ]);
  return [head, ...lines].map((cells) => `${cells.map(csvCell).join(",")}\n`).join("");
}

/** @param {unknown} value */
function csvCell(value) {
  if (value === null) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export class SweepTable {
  /** @type {Map<string, HTMLTableRowElement>} by the id of its job: what is focused stays */
  #rows = new Map();

  /**
   * @param {HTMLElement} head
   * @param {HTMLElement} body
   */
  constructor(head, body) {
    this.head = head;
    this.body = body;
  }

  /** @param {Sweep} sweep */
  show({ title, fields, jobs }) {
    this.#showHead(fields);
    const ordered = bestFirst(jobs);
    const best = ordered.find(({ val_loss }) => val_loss !== null);
    const bestWords = jobs.every(({ job }) => hasEnded(job)) ? "best" : "best so far";
    const rows = ordered.map((entry) => {
      const row = this.#rows.get(entry.job.id) ?? newRow(entry, fields, nameOf(entry.job, title));
      this.#rows.set(entry.job.id, row);
      fillRow(row, entry, fields, nameOf(entry.job, title));
      /** @type {HTMLElement} */ (row.querySelector(".sweep-best")).textContent =
        entry === best ? bestWords : "";
      return row;
    });
    if (rows.length === this.body.children.length) {
      if (rows.every((row, i) => row === this.body.children[i])) return;
    }
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    this.body.replaceChildren(...rows);
    if (focused && this.body.contains(focused)) focused.focus({ preventScroll: true });
  }

  /** @param {Set<string> | null} ids of the jobs that are singled out; null: none is */
  single(ids) {
    for (const [id, row] of this.#rows)
      row.classList.toggle("is-aside", ids !== null && !ids.has(id));
  }

  clear() {
    this.#rows.clear();
    this.head.replaceChildren();
    this.body.replaceChildren();
  }

  /** @param {string[]} fields */
  #showHead(fields) {
    if (this.head.childElementCount) return;
    const names = [
      ...["Run", "Validation loss"],
      ...fields.map(fieldName),
      ...["Training loss", "Time", "State"],
    ];
    const row = document.createElement("tr");
    for (const name of names) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      row.append(cell);
    }
    const links = document.createElement("td");
    row.append(links);
    fields.forEach((field, i) => {
      /** @type {HTMLElement} */ (row.children[i + 2]).title = field;
    });
    this.head.replaceChildren(row);
  }
}

/**
 * @param {import("../jobs_api.js").Job} job
 * @param {string} title the sweep's
 * @returns {string} no title that only says again what the sweep is and what the columns show
 */
function nameOf(job, title) {
  return job.title && !job.title.startsWith(`${title}: `) ? job.title : job.run_id;
}

/** @param {SweepJob} entry @param {string[]} fields @param {string} name */
function newRow({ job, values }, fields, name) {
  const row = document.createElement("tr");
  row.dataset.job = job.id;
  const head = document.createElement("th");
  head.scope = "row";
  const best = document.createElement("span");
  best.className = "sweep-best";
  head.append(link(`/train?job=${encodeURIComponent(job.id)}`, name), " ", best);
  row.append(head);
  row.append(cell(), ...fields.map((field) => cell(valueText(values[field]))));
  row.append(cell(), cell(), cell(), cell());
  return row;
}

/**
 * @param {HTMLTableRowElement} row
 * @param {SweepJob} entry
 * @param {string[]} fields
 * @param {string} name
 */
function fillRow(row, { job, val_loss, train_loss, wall_time_s }, fields, name) {
  const val = row.children[1];
  const [train, time, state, links] = [...row.children].slice(2 + fields.length);
  const seconds = wall_time_s ?? (job.elapsed_s > 0 ? job.elapsed_s : null);
  val.textContent = val_loss === null ? "–" : val_loss.toFixed(4);
  train.textContent = train_loss === null ? "–" : train_loss.toFixed(4);
  time.textContent = seconds === null ? "–" : duration(seconds);
  const words =
    job.state === "running"
      ? `${stateWord(job.state)}, ${Math.floor(100 * job.progress)} %`
      : stateWord(job.state);
  if (state.textContent !== words) state.replaceChildren(stateBadge(job.state, words));
  /** @type {HTMLElement} */ (state).title = job.message;
  const shownLinks = job.has_run ? "run" : "none";
  if (/** @type {HTMLElement} */ (links).dataset.shown === shownLinks) return;
  /** @type {HTMLElement} */ (links).dataset.shown = shownLinks;
  links.className = "sweep-links";
  links.replaceChildren(...runLinks(job, name));
}

/** @param {import("../jobs_api.js").Job} job @param {string} name */
function runLinks({ run_id, has_run, config }, name) {
  if (!has_run) return [];
  const prompt = link(`/?runs=${run_id}`, "Prompt");
  prompt.setAttribute("aria-label", `Prompt ${name}`);
  if (config.model.kind !== "gpt") return [prompt];
  const look = link(`/attention?run=${run_id}`, "Look inside");
  look.setAttribute("aria-label", `Look inside ${name}`);
  return [prompt, " ", look];
}

/** @param {string} [text] */
function cell(text = "") {
  const element = document.createElement("td");
  element.className = "number";
  element.textContent = text;
  return element;
}
