// The sweeps: how far each has come.
import { announce } from "../announce.js";
import { ApiError } from "../api.js";
import { cancelSweep, hasEnded } from "../jobs_api.js";
import { copyOf, part, showWords } from "../parts.js";
import { stateBadge } from "./job_state.js";

/** @typedef {import("../jobs_api.js").Sweep} Sweep */
/** @typedef {import("../jobs_api.js").JobState} JobState */

/** What a sweep as a whole is: the first of these that one of its jobs is. */
const TELLING = /** @type {const} */ ([
  "running",
  "queued",
  "interrupted",
  "failed",
  "cancelled",
  "done",
]);

export class SweepList {
  #element;
  #onDone;
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();

  /**
   * @param {HTMLElement} element
   * @param {() => void} onDone something was done with a sweep
   */
  constructor(element, onDone) {
    this.#element = element;
    this.#onDone = onDone;
  }

  /** @param {Sweep[]} sweeps */
  show(sweeps) {
    const rows = sweeps.map((sweep) => this.#row(sweep));
    const same = rows.every((row, index) => this.#element.children[index] === row);
    if (!same || rows.length !== this.#element.children.length) {
      this.#element.replaceChildren(...rows);
    }
  }

  /** @param {Sweep} sweep */
  #row(sweep) {
    const row = this.#rows.get(sweep.id) ?? this.#newRow(sweep.id);
    const state = stateOf(sweep);
    const done = sweep.states.done ?? 0;
    const total = sweep.jobs.length;
    if (row.dataset.state !== state) part(row, "state").replaceChildren(stateBadge(state));
    row.dataset.state = state;
    const title = /** @type {HTMLAnchorElement} */ (part(row, "title"));
    title.textContent = sweep.title || sweep.id;
    title.href = `/train?sweep=${encodeURIComponent(sweep.id)}`;
    const names = sweep.fields.map((path) => path.split(".").at(-1)).join(", ");
    part(row, "about").textContent = names;
    const bar = /** @type {HTMLProgressElement} */ (part(row, "progress"));
    bar.value = sweep.jobs.reduce((sum, { job }) => sum + job.progress, 0) / (total || 1);
    bar.setAttribute("aria-label", `${done} of ${total} runs are done`);
    part(row, "percent").textContent = `${done} of ${total}`;
    part(row, "time").textContent = "";
    part(row, "cancel").hidden = hasEnded({ state });
    return row;
  }

  /** @param {string} id */
  #newRow(id) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("job-template"));
    const row = copyOf(template);
    row.dataset.sweep = id;
    for (const name of ["resume", "remove"]) part(row, name).remove();
    const cancel = /** @type {HTMLButtonElement} */ (part(row, "cancel"));
    cancel.addEventListener("click", async () => {
      cancel.disabled = true;
      const refusal = part(row, "refusal");
      showWords(refusal, "");
      try {
        await cancelSweep(id);
        this.#onDone();
      } catch (error) {
        const { message } = /** @type {Error} */ (error);
        if (error instanceof ApiError && error.status === 404) {
          announce(message);
          this.#onDone();
        } else showWords(refusal, message);
      } finally {
        cancel.disabled = false;
      }
    });
    this.#rows.set(id, row);
    return row;
  }
}

/**
 * @param {Sweep} sweep
 * @returns {JobState}
 */
function stateOf({ states }) {
  return TELLING.find((state) => (states[state] ?? 0) > 0) ?? "done";
}
