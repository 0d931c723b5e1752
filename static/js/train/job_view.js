// Watching one job: how far it is, what it has come to, what it writes, how its heads form.

import { JobStream } from "../job_stream.js";
import { cancelJob, hasEnded, jobLog, resumeJob } from "../jobs_api.js";
import { part } from "../parts.js";
import { FormingHeads } from "./forming_heads.js";
import {
  progressPercent,
  showHead,
  showNumbers,
  showProgress,
  spokenProgress,
} from "./job_facts.js";
import { stateWord } from "./job_state.js";
import { LiveCurves } from "./live_curves.js";
import { LiveSamples } from "./live_samples.js";

/** @typedef {import("../jobs_api.js").Job} Job */
/** @typedef {import("../job_stream.js").Known} Known */

const SPEAKS_EVERY_MS = 20_000;

export class JobView {
  /** @type {JobStream | null} */
  #stream = null;
  #id = "";
  #baseline;
  #corpora;
  #pageTitle = document.title;
  /** what has been said of the job, and when */
  #spoken = { state: "", samples: 0, at: 0 };
  /** what a person has asked for, until it has happened @type {"" | "cancel" | "resume"} */
  #asked = "";
  /** whether the keyboard was on a button that has gone, and goes on with the one in its place */
  #handsOver = false;

  /**
   * @param {HTMLElement} element with the parts of _partials/job_view.html
   * @param {object} options
   * @param {readonly import("../api.js").Run[]} options.runs those that can be drawn beside it
   * @param {readonly string[]} options.beside the ids of those that are drawn at first
   * @param {(ids: string[]) => void} options.onBeside called when a person chooses others
   * @param {readonly { id: string, name: string, preview: string }[]} [options.corpora]
   */
  constructor(element, { runs, beside, onBeside, corpora = [] }) {
    this.element = element;
    this.#baseline = runs.find(({ id }) => id === "baseline");
    // Nobody asked for the baseline: where there is none, none is missed.
    const drawn = beside.filter((id) => id !== "baseline" || this.#baseline);
    this.curves = new LiveCurves(element, { runs, beside: drawn, onBeside });
    this.samples = new LiveSamples(this.#part("samples"));
    this.#corpora = corpora;
    this.heads = new FormingHeads(this.#part("heads"), (id) => this.#corpus(id)?.preview ?? "");
    this.#part("cancel").addEventListener("click", () => this.#cancel());
    this.#part("resume").addEventListener("click", () => this.#resume());
    this.#part("log-again").addEventListener("click", () => this.#readLog());
    this.#part("log-details").addEventListener("toggle", () => this.#readLog());
  }

  /** Watch a job until it ends or close() is called. @param {string} jobId */
  show(jobId) {
    this.close();
    this.#id = jobId;
    this.#spoken = { state: "", samples: 0, at: 0 };
    this.samples.restart();
    this.heads.restart();
    this.#part("job").hidden = true;
    this.#part("gone").hidden = true;
    this.#part("waiting").hidden = false;
    this.#follow();
  }

  close() {
    this.#stream?.close();
    this.#stream = null;
    this.curves.close();
    this.#asked = "";
    this.#handsOver = false;
    this.#part("alert").hidden = true;
    document.title = this.#pageTitle;
  }

  /** @param {Known} [known] from the stream before */
  #follow(known) {
    this.#stream?.close();
    this.#stream = new JobStream(this.#id, () => this.#changed(), known);
  }

  #changed() {
    if (!this.#stream) return;
    const { known, connection } = this.#stream;
    this.#part("lost").hidden = connection !== "lost" || !known.job;
    this.#part("gone").hidden = connection !== "gone";
    this.#part("waiting").hidden = known.job !== null || connection === "gone";
    this.#part("job").hidden = known.job === null;
    if (known.job) this.#draw({ ...known, job: known.job });
  }

  /** @param {Known & { job: Job }} known */
  #draw(known) {
    const { job, samples } = known;
    document.title = hasEnded(job)
      ? `${stateWord(job.state)} · ${job.title || job.run_id}`
      : `${progressPercent(job)} % · ${job.title || job.run_id}`;
    showHead(this.#part, job, this.#baseline, this.#corpus(job.corpus)?.name ?? job.corpus);
    showProgress(this.#part, known);
    showNumbers(this.#part, known);
    this.#showActions(job);
    this.curves.show(known);
    this.samples.show(samples, hasEnded(job));
    this.heads.show(known);
    this.#speak(known);
  }

  /** @param {Job} job */
  #showActions(job) {
    const ended = hasEnded(job);
    if (this.#asked === (ended ? "cancel" : "resume")) this.#asked = "";
    const [cancel, resume] = [this.#button("cancel"), this.#button("resume")];
    cancel.hidden = ended;
    resume.hidden = !(ended && job.resumable);
    cancel.disabled = resume.disabled = this.#asked !== "";
    const stopping = this.#asked === "cancel";
    this.#part("kept").textContent = stopping ? "Stopping after this step …" : whatIsKept(job);
    for (const [name, address] of Object.entries(addresses(job, this.#baseline))) {
      const link = /** @type {HTMLAnchorElement} */ (this.#part(name));
      link.href = address;
      link.hidden = !job.has_run || (name === "look" && job.config.model.kind !== "gpt");
    }
    const next = [cancel, resume].find((button) => !button.hidden && !button.disabled);
    if (this.#handsOver && document.activeElement === document.body && next) {
      this.#handsOver = false;
      next.focus({ preventScroll: true });
    }
  }

  async #cancel() {
    await this.#act("cancel", cancelJob);
  }

  async #resume() {
    if (!(await this.#act("resume", resumeJob)) || !this.#stream) return;
    this.heads.restart();
    this.#follow(this.#stream.known);
  }

  /**
   * @param {"cancel" | "resume"} asked
   * @param {(id: string) => Promise<Job>} request
   * @returns {Promise<boolean>} whether it was done; else the reason is shown
   */
  async #act(asked, request) {
    const alert = this.#part("alert");
    alert.hidden = true;
    this.#asked = asked;
    this.#handsOver = true;
    this.#changed();
    try {
      await request(this.#id);
      return true;
    } catch (error) {
      alert.textContent = /** @type {Error} */ (error).message;
      alert.hidden = false;
      this.#asked = "";
      this.#changed();
      return false;
    }
  }

  /** Each change of state, and now and then that something was written. @param {Known & { job: Job }} known */
  #speak({ job, samples }) {
    const now = performance.now();
    const spoken = this.#spoken;
    const fresh = samples.length > spoken.samples;
    if (job.state !== spoken.state) {
      if (spoken.state) this.#part("spoken").textContent = spokenProgress(job);
      if (spoken.state && !this.#part("log").closest("details")?.hidden) this.#readLog();
    } else if (fresh && now - spoken.at > SPEAKS_EVERY_MS && job.state === "running") {
      const step = samples.at(-1)?.step;
      this.#part("spoken").textContent = `A new sample, at step ${step}. ${spokenProgress(job)}.`;
    } else return;
    this.#spoken = { state: job.state, samples: samples.length, at: now };
  }

  async #readLog() {
    const details = /** @type {HTMLDetailsElement} */ (this.#part("log-details"));
    if (!details.open) return;
    const id = this.#id;
    const log = await jobLog(id).catch((error) => error.message);
    if (id === this.#id) this.#part("log").textContent = log || "Nothing so far.";
  }

  /** @param {string} id of a text */
  #corpus(id) {
    return this.#corpora.find((corpus) => corpus.id === id);
  }

  /** @param {string} name @returns {HTMLElement} */
  #part = (name) => part(this.element, name);

  /** @param {string} name */
  #button(name) {
    return /** @type {HTMLButtonElement} */ (this.#part(name));
  }
}

/**
 * @param {Job} job
 * @param {{ id: string } | undefined} baseline
 * @returns {Record<string, string>} where its run can be seen on the other pages
 */
function addresses({ run_id }, baseline) {
  const ids = [...new Set([run_id, baseline?.id ?? run_id])].join(",");
  return { prompt: `/?runs=${ids}`, look: `/attention?run=${run_id}`, runs: `/runs?runs=${ids}` };
}

/** @param {Job} job @returns {string} what happens to the work so far */
function whatIsKept(job) {
  const { state, step, resumable, has_run } = job;
  if (state === "queued") {
    return step > 0 ? "" : "Nothing has been trained yet; cancelling takes it out of the queue.";
  }
  if (state === "running") {
    return "Cancelling keeps the evaluations, samples and snapshots so far; it can be resumed.";
  }
  if (resumable) return `Resuming goes on from step ${step.toLocaleString("en-US")}.`;
  return state === "done" || !has_run ? "" : "What it had learned by its last snapshot is kept.";
}
