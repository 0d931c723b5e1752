// The exercise's four runs, trained once more: what that takes, the start, and how each one is.
import { duration, grouped } from "../format.js";
import { checkJob, getSweep, hasEnded, startSweep } from "../jobs_api.js";
import { byId, part } from "../parts.js";
import { cell, heading } from "./tuning_cells.js";
import { JobStates, resultLinks } from "./tuning_jobs.js";

/** @typedef {import("../jobs_api.js").JobCheck} JobCheck */
/** @typedef {import("../jobs_api.js").Job} Job */
/** @typedef {import("./lesson.js").Lesson} Lesson */

const PRESETS = ["baseline", "case-1", "case-2", "case-3"];

export class Exercise {
  #lesson;
  #figure = byId("exercise-figure");
  #button = /** @type {HTMLButtonElement} */ (byId("start-exercise"));
  #states;
  /** @type {Job[]} those of the sweep that was started from here */
  #jobs = [];
  #allowed = false;
  #starting = false;

  /** @param {Lesson} lesson with a field `sweep` */
  constructor(lesson) {
    this.#lesson = lesson;
    this.#states = new JobStates(part(this.#figure, "jobs"), {
      ask: async () => (await getSweep(lesson.state.sweep)).jobs.map(({ job }) => job),
      reference: () => "",
      onUpdate: (jobs) => this.#showJobs(jobs),
    });
    lesson.figure(this.#figure, {
      follows: [],
      ask: (_, signal) => Promise.all(PRESETS.map((preset) => checkJob({ preset }, signal))),
      show: (checks) => this.#showChecks(checks),
    });
    this.#button.addEventListener("click", () => this.#start());
    if (lesson.state.sweep) void this.#states.follow();
  }

  async #start() {
    if (this.#starting || this.#button.disabled) return;
    const alert = part(this.#figure, "start-alert");
    alert.hidden = true;
    this.#starting = true;
    this.#enable();
    try {
      const { id, jobs } = await startSweep({ presets: PRESETS, device: "auto" });
      this.#jobs = jobs.map(({ job }) => job);
      this.#lesson.set("sweep", id);
      void this.#states.follow();
    } catch (error) {
      alert.hidden = false;
      alert.textContent = /** @type {Error} */ (error).message;
    } finally {
      this.#starting = false;
      this.#enable();
    }
  }

  /** Not while it is being started, and not again before all of them have ended. */
  #enable() {
    const busy = this.#starting || !this.#jobs.every(hasEnded);
    this.#button.disabled = busy || !this.#allowed;
    this.#button.setAttribute("aria-busy", String(this.#starting));
  }

  /** @param {JobCheck[]} checks */
  #showChecks(checks) {
    const body = document.createElement("tbody");
    for (const [index, check] of checks.entries()) {
      const steps = Number(check.config.train.max_iters);
      const took = this.#took(PRESETS[index]);
      body
        .insertRow()
        .append(
          heading(this.#made(PRESETS[index])?.title ?? check.title),
          cell(check.run_id),
          cell(grouped(check.params), "number"),
          cell(grouped(steps), "number"),
          cell(grouped(steps * check.tokens_per_step), "number"),
          cell(took === null ? "–" : duration(took), "number"),
        );
    }
    const table = /** @type {HTMLTableElement} */ (part(this.#figure, "checks"));
    table.tBodies[0].replaceWith(body);
    part(this.#figure, "words").textContent = this.#words(checks);
    this.#allowed = true;
    this.#enable();
  }

  /** @param {string} preset */
  #made(preset) {
    return this.#lesson.runs.find(({ id }) => id === preset);
  }

  /** @param {string} preset @returns {number | null} seconds that its run took, where there is one */
  #took(preset) {
    return this.#made(preset)?.wall_time_s ?? null;
  }

  /** @param {JobCheck[]} checks */
  #words(checks) {
    const steps = checks.reduce((sum, { config }) => sum + Number(config.train.max_iters), 0);
    const memory = Math.max(...checks.map(({ memory_bytes }) => memory_bytes));
    const times = PRESETS.map((preset) => this.#took(preset));
    const together = times.reduce((sum, time) => (sum ?? 0) + (time ?? 0), 0);
    const took = times.includes(null)
      ? ""
      : ` The runs that are here took ${duration(together ?? 0)} of training together.`;
    return `Four runs, ${grouped(steps)} steps in all, one after another on ${checks[0].device}, with about ${Math.ceil(memory / 1e6)} MB of memory at most.${took}`;
  }

  /** @param {Job[]} jobs */
  #showJobs(jobs) {
    this.#jobs = jobs;
    this.#enable();
    const ended = jobs.filter(hasEnded).length;
    const done = jobs.filter(({ state }) => state === "done").map(({ run_id }) => run_id);
    const words = part(this.#figure, "job-words");
    words.textContent = jobs.length ? `${ended} of ${jobs.length} have ended. ` : "";
    if (done.length > 1) words.append("Side by side: ", ...resultLinks(done));
  }
}
