// The training steps at which runs can be looked at; they grow while a job trains a run.
import { getRun } from "../api.js";
import { JobStream } from "../job_stream.js";
import { hasEnded, listJobs } from "../jobs_api.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {import("./side_request.js").Step} Step */

export class LiveSteps {
  /** of runs that are trained, by their ids @type {Map<string, JobStream | null>} */
  #streams = new Map();

  /**
   * @param {Run[]} runs their `steps` are kept up to date
   * @param {(run: Run) => void} onChange called when a run has new steps, or its training is over
   */
  constructor(runs, onChange) {
    this.runs = runs;
    this.onChange = onChange;
  }

  /** @param {string} id @returns {Step[]} of a run, rising; null at the end of one that is trained */
  of(id) {
    const run = this.#run(id);
    if (!run) return [null];
    return run.training && run.steps.length > 0 ? run.steps : [...run.steps, null];
  }

  /** @param {readonly string[]} ids only what trains these is followed */
  watch(ids) {
    for (const [id, stream] of this.#streams) {
      if (ids.includes(id)) continue;
      stream?.close();
      this.#streams.delete(id);
    }
    for (const id of ids) {
      if (this.#streams.has(id) || !this.#run(id)?.training) continue;
      this.#streams.set(id, null);
      void this.#follow(id);
    }
  }

  /** @param {string} id */
  async #follow(id) {
    const { jobs } = await listJobs().catch(() => ({ jobs: [] }));
    const job = jobs.find((each) => each.run_id === id && !hasEnded(each));
    if (!this.#streams.has(id)) return; // not shown any longer
    if (!job) return this.#ended(id);
    const stream = new JobStream(job.id, () => this.#know(id, stream));
    this.#streams.set(id, stream);
  }

  /** @param {string} id @param {JobStream} stream */
  #know(id, stream) {
    const run = this.#run(id);
    const { job, snapshots } = stream.known;
    if (!run) return;
    const steps = [...new Set([...run.steps, ...snapshots])].sort((a, b) => a - b);
    const grown = steps.length > run.steps.length;
    run.steps = steps;
    if (job && hasEnded(job)) {
      stream.close();
      void this.#ended(id);
    } else if (grown) this.onChange(run);
  }

  /** It is what it is now. @param {string} id */
  async #ended(id) {
    const run = this.#run(id);
    if (!run) return;
    const {
      metrics: _,
      samples: __,
      vocabulary: ___,
      ...known
    } = await getRun(id).catch(() => ({
      ...run,
      training: false,
      metrics: [],
      samples: [],
      vocabulary: [],
    }));
    Object.assign(run, known, { training: false });
    this.#streams.delete(id);
    this.onChange(run);
  }

  /** @param {string} id */
  #run(id) {
    return this.runs.find((run) => run.id === id);
  }
}
