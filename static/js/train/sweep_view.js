// Watching one sweep: its runs best first, and what each setting does to the loss.
import { ApiError, isAbort } from "../api.js";
import { download } from "../download.js";
import { cancelSweep, getSweep, hasEnded } from "../jobs_api.js";
import { lossUnit } from "../losses.js";
import { part } from "../parts.js";
import { fieldAxis } from "./field_axis.js";
import { stateWord } from "./job_state.js";
import { drawLossByField } from "./loss_by_field.js";
import { ParallelCoordinates } from "./parallel.js";
import { asCsv, bestFirst, SweepTable } from "./sweep_table.js";

/**
 * @typedef {import("../jobs_api.js").Sweep} Sweep
 * @typedef {import("../jobs_api.js").JobState} JobState
 */

const REFRESHES_EVERY_MS = 2000;
const MOST_PROMPTED = 4;
/** @type {JobState[]} */
const ORDER = ["done", "running", "queued", "failed", "interrupted", "cancelled"];

export class SweepView {
  /** @type {Sweep | null} */
  #sweep = null;
  #id = "";
  /** @type {AbortController | null} */
  #request = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #drawn = "";
  /** Why it was not cancelled, said until the next click. */
  #refusal = "";
  #pageTitle = document.title;

  /** @param {HTMLElement} element with the parts of _partials/sweep_view.html */
  constructor(element) {
    this.element = element;
    this.table = new SweepTable(this.#part("head"), this.#part("rows"));
    this.parallel = new ParallelCoordinates(this.#part("parallel"), (ids) => {
      this.table.single(ids);
      this.#part("all").hidden = ids === null;
    });
    this.#part("all").addEventListener("click", () => this.parallel.clear());
    this.#part("cancel").addEventListener("click", () => this.#cancel());
    this.#part("export").addEventListener("click", () => this.#export());
    this.#pointFromTable();
    document.addEventListener("themechange", () => this.#drawFigures(true));
    document.addEventListener("visibilitychange", () => {
      if (this.#id && !document.hidden) void this.#load();
    });
  }

  /** Show a sweep, and keep up with it until close() is called. @param {string} sweepId */
  show(sweepId) {
    this.close();
    this.#id = sweepId;
    this.#part("sweep").hidden = true;
    this.#part("waiting").hidden = false;
    void this.#load();
  }

  close() {
    this.#id = "";
    this.#sweep = null;
    this.#refusal = this.#drawn = "";
    this.#request?.abort();
    clearTimeout(this.#timer);
    this.table.clear();
    this.#part("alert").hidden = true;
    document.title = this.#pageTitle;
  }

  async #load() {
    this.#request?.abort();
    clearTimeout(this.#timer);
    const request = (this.#request = new AbortController());
    let again = true;
    try {
      const sweep = await getSweep(this.#id, request.signal);
      this.#show(sweep);
      again = sweep.jobs.some(({ job }) => !hasEnded(job));
    } catch (error) {
      if (isAbort(error)) return;
      again = this.#fail(error);
    }
    if (again && !document.hidden) {
      this.#timer = setTimeout(() => this.#load(), REFRESHES_EVERY_MS);
    }
  }

  /** @param {unknown} error @returns {boolean} whether it is worth trying again */
  #fail(error) {
    const gone = error instanceof ApiError && error.status === 404;
    const { message } = /** @type {Error} */ (error);
    this.#say(gone ? "There is no such sweep, or no longer." : `${message} Trying again …`);
    this.#part("waiting").hidden = true;
    return !gone;
  }

  /** @param {string} message shown as an alert; none when empty */
  #say(message) {
    this.#part("alert").textContent = message;
    this.#part("alert").hidden = message === "";
  }

  /** @param {Sweep} sweep */
  #show(sweep) {
    const before = this.#sweep;
    this.#sweep = sweep;
    this.#say(this.#refusal);
    this.#part("waiting").hidden = true;
    this.#part("sweep").hidden = false;
    this.#part("title").textContent = sweep.title || sweep.id;
    this.#part("hypothesis").textContent = sweep.hypothesis;
    this.#part("hypothesis").hidden = !sweep.hypothesis;
    this.#part("unit").textContent = lossUnit(sweep.jobs.map(({ job }) => job));
    this.#showProgress(sweep);
    this.#showActions(sweep);
    this.table.show(sweep);
    this.#drawFigures();
    if (before && statesText(before) !== statesText(sweep)) {
      this.#part("spoken").textContent = statesText(sweep);
    }
  }

  /** @param {Sweep} sweep */
  #showProgress(sweep) {
    const shares = sweep.jobs.map(({ job }) => (hasEnded(job) ? 1 : job.progress));
    const share = shares.reduce((sum, part) => sum + part, 0) / Math.max(1, shares.length);
    const percent = Math.floor(100 * share);
    const bar = this.#part("bar");
    bar.setAttribute("aria-valuenow", String(percent));
    bar.setAttribute("aria-valuetext", `${percent} %, ${statesText(sweep)}`);
    bar.dataset.state = percent < 100 ? "running" : "done";
    this.#part("done").style.inlineSize = `${100 * share}%`;
    this.#part("percent").textContent = `${percent} %`;
    this.#part("states").textContent = statesText(sweep);
    document.title = `${percent} % · ${sweep.title || sweep.id}`;
  }

  /** @param {Sweep} sweep */
  #showActions({ jobs }) {
    const ids = bestFirst(jobs).flatMap(({ job }) => (job.has_run ? [job.run_id] : []));
    const best = ids.slice(0, MOST_PROMPTED);
    const [compare, prompt] = [this.#link("compare"), this.#link("prompt")];
    compare.href = `/runs?runs=${ids.join(",")}`;
    prompt.href = `/?runs=${best.join(",")}`;
    prompt.lastChild?.replaceWith(
      ids.length > MOST_PROMPTED ? "Prompt the best four" : "Prompt them side by side",
    );
    compare.hidden = prompt.hidden = ids.length === 0;
    const remain = jobs.some(({ job }) => !hasEnded(job));
    this.#part("cancel").hidden = !remain;
    this.#part("kept").textContent = remain
      ? "Cancelling keeps the runs that are done, and what the others have recorded so far."
      : "";
  }

  /** @param {boolean} [anew] even where the losses are those that were drawn last */
  #drawFigures(anew = false) {
    const sweep = this.#sweep;
    if (!sweep) return;
    const scored = /** @type {import("./parallel.js").Scored[]} */ (
      bestFirst(sweep.jobs).filter(({ val_loss }) => val_loss !== null)
    );
    const enough = scored.length > 1 && sweep.fields.length > 0;
    this.#part("figures").hidden = !enough;
    this.#part("no-figures").hidden = enough;
    const drawn = JSON.stringify(scored.map(({ job, val_loss }) => [job.id, val_loss]));
    if (!enough || (drawn === this.#drawn && !anew)) return;
    this.#drawn = drawn;
    const scatters = this.#scatters(sweep.fields);
    const drawings = [
      this.parallel.show(sweep, scored),
      ...sweep.fields.map((field, i) => {
        const axis = fieldAxis(sweep.jobs.map(({ values }) => values[field]));
        return drawLossByField(scatters[i], field, axis, scored);
      }),
    ];
    Promise.all(drawings).catch((error) => this.#say(error.message));
  }

  /** @param {string[]} fields @returns {HTMLElement[]} an element for the figure of each */
  #scatters(fields) {
    const parent = this.#part("scatters");
    if (parent.childElementCount !== fields.length) {
      const figures = fields.map(() => document.createElement("div"));
      for (const figure of figures) figure.className = "sweep-scatter";
      parent.replaceChildren(...figures);
    }
    return /** @type {HTMLElement[]} */ ([...parent.children]).map((figure, i) => {
      figure.setAttribute("role", "img");
      figure.setAttribute("aria-label", `Validation loss against ${fields[i]}`);
      return figure;
    });
  }

  /** A row that is pointed at, or that the keyboard is in, brings its line forward. */
  #pointFromTable() {
    const rows = this.#part("rows");
    const point = (/** @type {Event} */ { target }) => {
      const row = /** @type {Element} */ (target).closest("tr");
      this.parallel.point(row?.dataset.job ?? null);
    };
    rows.addEventListener("pointerover", point);
    rows.addEventListener("focusin", point);
    for (const event of ["pointerleave", "focusout"]) {
      rows.addEventListener(event, () => this.parallel.point(null));
    }
  }

  async #cancel() {
    const button = /** @type {HTMLButtonElement} */ (this.#part("cancel"));
    button.disabled = true;
    this.#refusal = "";
    try {
      await cancelSweep(this.#id);
      void this.#load();
    } catch (error) {
      this.#refusal = /** @type {Error} */ (error).message;
      this.#say(this.#refusal);
    }
    button.disabled = false;
  }

  #export() {
    if (!this.#sweep) return;
    download(`${this.#sweep.id}.csv`, new Blob([asCsv(this.#sweep)], { type: "text/csv" }));
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return part(this.element, name);
  }

  /** @param {string} name */
  #link(name) {
    return /** @type {HTMLAnchorElement} */ (this.#part(name));
  }
}

/** @param {Sweep} sweep @returns {string} "3 done, 1 running" */
function statesText({ states }) {
  return ORDER.filter((state) => states[state])
    .map((state) => `${states[state]} ${stateWord(state).toLowerCase()}`)
    .join(", ");
}
