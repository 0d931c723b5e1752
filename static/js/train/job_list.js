// The jobs: what each is doing, and what can be done with it.
import { announce } from "../announce.js";
import { ApiError } from "../api.js";
import { duration, grouped } from "../format.js";
import { cancelJob, hasEnded, removeJob, resumeJob } from "../jobs_api.js";
import { copyOf, part, showWords } from "../parts.js";
import { stateBadge } from "./job_state.js";

/** @typedef {import("../jobs_api.js").Job} Job */

const ACTIONS = { cancel: cancelJob, resume: resumeJob, remove: removeJob };
const FEW = 8;

export class JobList {
  /** @type {Map<string, JobRow>} */
  #rows = new Map();
  /** @type {Job[]} */
  #jobs = [];
  #element;
  #more;
  #onDone;
  #all = false;

  /**
   * @param {HTMLElement} element
   * @param {HTMLElement} more the button that shows those that ended long ago
   * @param {() => void} onDone something was done with a job
   */
  constructor(element, more, onDone) {
    this.#element = element;
    this.#more = more;
    this.#onDone = onDone;
    more.addEventListener("click", () => {
      this.#all = true;
      this.show(this.#jobs);
    });
  }

  /** @param {Job[]} jobs in the order to show them in */
  show(jobs) {
    this.#jobs = jobs;
    const few = jobs.filter((job, index) => index < FEW || !hasEnded(job));
    const shown = this.#all ? jobs : few;
    this.#more.hidden = shown.length === jobs.length;
    this.#more.textContent = `Show ${jobs.length - shown.length} earlier ones`;
    const rows = shown.map((job) => this.#row(job));
    const focused = document.activeElement;
    for (const [id, row] of this.#rows) {
      if (rows.includes(row)) continue;
      if (row.element.contains(focused)) this.#passFocusOn(row.element);
      row.element.remove();
      this.#rows.delete(id);
    }
    rows.forEach((row, index) => {
      // Moved only where it has to be: what is moved loses the focus.
      const there = this.#element.children[index];
      if (there !== row.element) this.#element.insertBefore(row.element, there ?? null);
    });
  }

  /** The keyboard goes on with the next job. @param {Element} element one that goes away */
  #passFocusOn(element) {
    const next = element.nextElementSibling ?? element.previousElementSibling;
    const target = next?.querySelector("a") ?? this.#element.closest("section");
    target?.focus();
  }

  /** @param {Job} job */
  #row(job) {
    const row = this.#rows.get(job.id) ?? new JobRow(this.#onDone);
    this.#rows.set(job.id, row);
    row.show(job);
    return row;
  }
}

class JobRow {
  /** @type {Job | null} */
  #job = null;
  #onDone;

  /** @param {() => void} onDone */
  constructor(onDone) {
    this.#onDone = onDone;
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("job-template"));
    this.element = copyOf(template);
    for (const name of /** @type {(keyof typeof ACTIONS)[]} */ (Object.keys(ACTIONS))) {
      part(this.element, name).addEventListener("click", () => this.#do(name));
    }
  }

  /** @param {Job} job */
  show(job) {
    const before = this.#job;
    this.#job = job;
    this.element.dataset.job = job.id;
    this.element.dataset.state = job.state;
    if (before?.state !== job.state)
      part(this.element, "state").replaceChildren(stateBadge(job.state));
    const title = /** @type {HTMLAnchorElement} */ (part(this.element, "title"));
    title.textContent = job.title;
    title.href = `/train?job=${encodeURIComponent(job.id)}`;
    part(this.element, "about").textContent = about(job);
    part(this.element, "time").textContent = time(job);
    this.#showProgress(job);
    showWords(part(this.element, "message"), job.message);
    this.#showActions(job);
  }

  /** @param {Job} job */
  #showActions(job) {
    const focused = document.activeElement;
    part(this.element, "cancel").hidden = hasEnded(job);
    part(this.element, "resume").hidden = !job.resumable || !hasEnded(job);
    part(this.element, "remove").hidden = !hasEnded(job);
    if (!(focused instanceof HTMLElement) || !focused.hidden) return;
    const rest = /** @type {HTMLElement | null} */ (
      this.element.querySelector(".job-actions button:not([hidden])")
    );
    if (this.element.contains(focused)) rest?.focus();
  }

  /** @param {Job} job */
  #showProgress({ progress, step, max_iters }) {
    const bar = /** @type {HTMLProgressElement} */ (part(this.element, "progress"));
    bar.value = progress;
    bar.setAttribute("aria-label", `Step ${grouped(step)} of ${grouped(max_iters)}`);
    part(this.element, "percent").textContent = `${Math.floor(100 * progress)} %`;
  }

  /** @param {keyof typeof ACTIONS} name */
  async #do(name) {
    if (!this.#job) return;
    const button = /** @type {HTMLButtonElement} */ (part(this.element, name));
    const refusal = part(this.element, "refusal"); // stays to be read until the next click
    button.disabled = true;
    showWords(refusal, "");
    try {
      await ACTIONS[name](this.#job.id);
      this.#onDone();
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      if (error instanceof ApiError && [404, 409].includes(error.status)) {
        // The server knows of a later state than this page does, in which the row may be gone.
        announce(message);
        this.#onDone();
      } else showWords(refusal, message);
    } finally {
      button.disabled = false;
    }
  }
}

/** @param {Job} job */
function about({ run_id, device, device_wanted, position, state, preset }) {
  const place = state === "queued" && position !== null ? `number ${position} in the queue` : "";
  const where = device ?? (device_wanted === "auto" ? "" : device_wanted);
  const words = [run_id, preset === run_id ? "" : preset, where, place];
  return words.filter((word) => word).join(" · ");
}

/** @param {Job} job */
function time({ state, elapsed_s, remaining_s }) {
  if (state === "queued") return "";
  const left = remaining_s === null || state !== "running" ? "" : `, ${duration(remaining_s)} left`;
  return duration(elapsed_s) + left;
}
