// What is training and what waits, asked of the server again and again while there is something.
import { isAbort, listRuns } from "../api.js";
import { hasEnded, listJobs, listSweeps } from "../jobs_api.js";

/** @typedef {import("../jobs_api.js").Job} Job */
/** @typedef {import("../jobs_api.js").Sweep} Sweep */

const EVERY_MS = 2000;
const TRIES_AGAIN_MS = 4000;

export class Activity {
  /** @type {Job[]} */
  jobs = [];
  /** @type {Sweep[]} */
  sweeps = [];
  #listeners;
  #watched = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {AbortController | null} */
  #asking = null;
  /** @type {string | null} the jobs with a run, so that a new one is noticed */
  #withRun = null;

  /**
   * @param {object} listeners
   * @param {() => void} listeners.onUpdate of jobs and sweeps
   * @param {(devices: import("../jobs_api.js").Device[]) => void} listeners.onDevices
   * @param {(runs: import("../api.js").Run[]) => void} listeners.onRuns there is a new one
   * @param {(message: string) => void} listeners.onTrouble what is wrong; empty when nothing is
   */
  constructor(listeners) {
    this.#listeners = listeners;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#pause();
      else if (this.#watched) void this.refresh();
    });
  }

  start() {
    this.#watched = true;
    void this.refresh();
  }

  stop() {
    this.#watched = false;
    this.#pause();
  }

  /** Ask now, for the sweeps too, as after something was done. */
  async refresh() {
    this.#pause();
    await this.#ask(true);
  }

  #pause() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
  }

  /** @param {boolean} sweepsToo */
  async #ask(sweepsToo) {
    const asking = (this.#asking = new AbortController());
    const { signal } = asking;
    try {
      const { jobs, devices, notice } = await listJobs({ signal });
      const sweepsChange = sweepsToo || this.#sweepsChange(jobs);
      this.jobs = jobs;
      this.#listeners.onTrouble(notice);
      this.#listeners.onDevices(devices);
      this.#listeners.onUpdate();
      await this.#noticeRuns(signal);
      if (sweepsChange) {
        this.sweeps = await listSweeps(signal);
        this.#listeners.onUpdate();
      }
      if (jobs.some((job) => !hasEnded(job))) this.#again(EVERY_MS, false);
    } catch (error) {
      if (isAbort(error)) return;
      this.#listeners.onTrouble(/** @type {Error} */ (error).message);
      this.#again(TRIES_AGAIN_MS, true);
    }
  }

  /**
   * @param {number} after milliseconds
   * @param {boolean} sweepsToo
   */
  #again(after, sweepsToo) {
    if (!this.#watched || document.hidden) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(sweepsToo), after);
  }

  /** @param {Job[]} jobs the new ones */
  #sweepsChange(jobs) {
    return [...jobs, ...this.jobs].some((job) => job.sweep !== null && !hasEnded(job));
  }

  /** @param {AbortSignal} signal */
  async #noticeRuns(signal) {
    const withRun = this.jobs
      .filter((job) => job.has_run)
      .map(({ run_id }) => run_id)
      .join();
    const before = this.#withRun;
    this.#withRun = withRun;
    if (before === null || before === withRun) return;
    this.#listeners.onRuns((await listRuns(signal)).runs);
  }
}
