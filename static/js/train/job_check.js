// What would be started, worked out by the server while a person changes the form.
import { ApiError, isAbort } from "../api.js";
import { entryOf } from "../elements.js";
import { bytes, grouped } from "../format.js";
import { checkJob, checkSweep } from "../jobs_api.js";
import { part } from "../parts.js";
import { shownValue } from "./config_schema.js";

/** @typedef {import("../jobs_api.js").JobCheck} JobCheckReply */
/** @typedef {import("../jobs_api.js").SweepCheck} SweepCheckReply */

/**
 * @typedef {{ job: import("../jobs_api.js").JobRequest }
 *   | { sweep: import("../jobs_api.js").SweepRequest }} Plan
 */

const PAUSE_MS = 300;
const TRIES_AGAIN_MS = 4000;
const SHOWN_JOBS = 5;

export class JobCheck {
  #element;
  #listeners;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {AbortController | null} */
  #asking = null;

  /**
   * @param {HTMLElement} element
   * @param {object} listeners
   * @param {() => Plan | null} listeners.plan what the form says; null where it cannot be read
   * @param {(check: JobCheckReply | SweepCheckReply) => void} listeners.onFine
   * @param {(error: ApiError) => boolean} listeners.onRefused tells whether the form shows it
   */
  constructor(element, listeners) {
    this.#element = element;
    this.#listeners = listeners;
  }

  /** Check again, once the person pauses. */
  soon(after = PAUSE_MS) {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#is("checking");
    this.#timer = setTimeout(() => this.#now(), after);
  }

  /** Whoever looks elsewhere needs no check. */
  stop() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
  }

  async #now() {
    const plan = this.#listeners.plan();
    if (!plan) return this.#is("wrong", "The marked fields need a look first.");
    const asking = (this.#asking = new AbortController());
    try {
      if ("job" in plan) this.#showJob(await checkJob(plan.job, asking.signal));
      else this.#showSweep(await checkSweep(plan.sweep, asking.signal));
    } catch (error) {
      if (isAbort(error)) return;
      this.#refused(/** @type {ApiError} */ (error));
    }
  }

  /** @param {ApiError} error */
  #refused(error) {
    const shown = this.#listeners.onRefused(error);
    this.#is("wrong", shown ? "The marked field needs a look first." : error.message);
    // Neither has to do with the form: it may be over in a moment.
    const passes = error instanceof ApiError && (error.disconnected || error.status === 401);
    if (passes) this.soonAgain();
  }

  soonAgain() {
    this.#timer = setTimeout(() => this.#now(), TRIES_AGAIN_MS);
  }

  /** @param {JobCheckReply} check */
  #showJob(check) {
    part(this.#element, "title").textContent = "This run";
    const steps = Number(check.config.train.max_iters);
    this.#showNumbers([
      ["Parameters", check.params ? grouped(check.params) : "counts of the text"],
      ["Tokens per step", grouped(check.tokens_per_step)],
      ["Steps", grouped(steps)],
      ["Tokens in all", grouped(steps * check.tokens_per_step)],
      ["Device", check.device],
    ]);
    this.#showMemory(check.memory_bytes, check.memory_available_bytes);
    part(this.#element, "jobs").hidden = true;
    part(this.#element, "more").hidden = true;
    part(this.#element, "start-words").textContent = "Start training";
    this.#listeners.onFine(check);
    this.#is("fine");
  }

  /** @param {SweepCheckReply} check */
  #showSweep(check) {
    const { count, jobs } = check;
    const runs = count === 1 ? "1 run" : `${grouped(count)} runs`;
    part(this.#element, "title").textContent = runs;
    this.#showNumbers([]);
    part(this.#element, "memory").hidden = true;
    const list = part(this.#element, "jobs");
    list.hidden = false;
    list.replaceChildren(...jobs.slice(0, SHOWN_JOBS).map(sweepJob));
    const more = part(this.#element, "more");
    more.hidden = count <= SHOWN_JOBS;
    more.textContent = `and ${grouped(count - SHOWN_JOBS)} more`;
    part(this.#element, "start-words").textContent = `Start ${runs}`;
    this.#listeners.onFine(check);
    this.#is("fine");
  }

  /** @param {[string, string][]} entries */
  #showNumbers(entries) {
    part(this.#element, "numbers").replaceChildren(...entries.flatMap(entryOf));
  }

  /**
   * @param {number} needed
   * @param {number | null} there
   */
  #showMemory(needed, there) {
    part(this.#element, "memory").hidden = false;
    const of = there === null ? "" : ` of ${bytes(there)} free`;
    part(this.#element, "memory-words").textContent = `about ${bytes(needed)}${of}`;
    const meter = /** @type {HTMLMeterElement} */ (part(this.#element, "meter"));
    meter.hidden = there === null;
    if (there) meter.value = needed / there;
  }

  /**
   * @param {"checking" | "fine" | "wrong"} state
   * @param {string} [words]
   */
  #is(state, words = "") {
    this.#element.dataset.state = state;
    const spoken = part(this.#element, "words");
    if (state !== "checking" || spoken.textContent === "") spoken.textContent = words;
  }
}

/** @param {SweepCheckReply["jobs"][number]} job */
function sweepJob({ run_id, differing }) {
  const item = document.createElement("li");
  item.title = run_id;
  const chips = Object.entries(differing).map(([path, value]) => {
    const chip = document.createElement("span");
    chip.className = "chip is-different";
    chip.textContent = `${path.split(".").at(-1)} ${shownValue(/** @type {any} */ (value))}`;
    return chip;
  });
  item.append(...chips);
  return item;
}
