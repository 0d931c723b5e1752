// Jobs that were started from here: how each one is, and where its results are.
import { link } from "../elements.js";
import { duration, grouped } from "../format.js";
import { hasEnded } from "../jobs_api.js";
import { part } from "../parts.js";
import { stateBadge } from "../train/job_state.js";

/** @typedef {import("../jobs_api.js").Job} Job */

const EVERY_MS = 2000;
const TRIES_AGAIN_MS = 4000;

export class JobStates {
  #list;
  #ask;
  #reference;
  #onUpdate;
  /** @type {Map<string, HTMLElement>} by job */
  #rows = new Map();
  #timer = 0;
  #asked = 0;

  /**
   * @param {HTMLElement} list
   * @param {object} options
   * @param {() => Promise<Job[]>} options.ask
   * @param {(job: Job) => string} options.reference id of the run that it is compared with, or ""
   * @param {(jobs: Job[]) => void} options.onUpdate
   */
  constructor(list, { ask, reference, onUpdate }) {
    this.#list = list;
    this.#ask = ask;
    this.#reference = reference;
    this.#onUpdate = onUpdate;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#timer) void this.follow();
    });
  }

  /** Show them now, and again until all have ended. */
  async follow() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#asked += 1;
    const asked = this.#asked;
    let jobs;
    try {
      jobs = await this.#ask();
    } catch {
      if (asked === this.#asked) this.#again(TRIES_AGAIN_MS); // the server may come back
      return;
    }
    if (asked !== this.#asked) return;
    this.#list.hidden = jobs.length === 0;
    this.#show(jobs);
    this.#onUpdate(jobs);
    if (!jobs.every(hasEnded)) this.#again(EVERY_MS);
  }

  /** What has the focus keeps it. @param {Job[]} jobs */
  #show(jobs) {
    for (const job of jobs) {
      const before = this.#rows.get(job.id);
      if (before?.dataset.state === job.state) {
        part(before, "about").textContent = progress(job);
        continue;
      }
      const now = row(job, this.#reference(job));
      const focused = before?.contains(document.activeElement);
      if (before) before.replaceWith(now);
      else this.#list.append(now);
      if (focused) now.querySelector("a")?.focus();
      this.#rows.set(job.id, now);
    }
    for (const [id, element] of this.#rows) {
      if (jobs.some((job) => job.id === id)) continue;
      element.remove();
      this.#rows.delete(id);
    }
  }

  /** @param {number} after milliseconds */
  #again(after) {
    this.#timer = window.setTimeout(() => document.hidden || this.follow(), after);
  }
}

/**
 * @param {readonly string[]} ids of runs, what they are compared with first
 * @returns {(Node | string)[]} links to where they stand side by side
 */
export function resultLinks(ids) {
  const runs = encodeURIComponent([...new Set(ids)].join(","));
  const curves = link(`/runs?runs=${runs}`, "curves and settings");
  const report = link(`/runs/report?runs=${runs}`, "report");
  if (ids.length !== 2) return [curves, ", ", report];
  const [a, b] = ids.map(encodeURIComponent);
  return [curves, ", ", report, ", ", link(`/learn/tuning?a=${a}&b=${b}`, "before and after")];
}

/** @param {Job} job @param {string} reference */
function row(job, reference) {
  const item = document.createElement("li");
  item.dataset.job = job.id;
  item.dataset.state = job.state;
  const about = document.createElement("span");
  about.className = "note number";
  about.dataset.part = "about";
  about.textContent = progress(job);
  item.append(
    stateBadge(job.state),
    link(`/train?job=${encodeURIComponent(job.id)}`, job.title || job.run_id),
    about,
  );
  if (job.state === "done") {
    const links = document.createElement("span");
    links.append(...resultLinks(reference ? [reference, job.run_id] : [job.run_id]));
    item.append(links);
  }
  return item;
}

/** @param {Job} job */
function progress(job) {
  const { state, position, message, step, max_iters, remaining_s, elapsed_s, phase } = job;
  switch (state) {
    case "queued":
      return position === null ? "" : `number ${position} in the queue`;
    case "running": {
      const left = remaining_s === null ? "" : `, ${duration(remaining_s)} left`;
      const doing = phase && phase !== "training" ? `, ${phase}` : left;
      return `${Math.floor(100 * job.progress)} %, step ${grouped(step)} of ${grouped(max_iters)}${doing}`;
    }
    case "done":
      return `in ${duration(elapsed_s)}`;
    default:
      return message;
  }
}
