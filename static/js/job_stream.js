// What is known of a job, kept up to date by its stream of events.
import { ApiError } from "./api.js";
import { getJob, watchJob } from "./jobs_api.js";

/**
 * @typedef {import("./api.js").Metric} Metric
 * @typedef {import("./api.js").Sample} Sample
 * @typedef {import("./jobs_api.js").Job} Job
 *
 * @typedef {object} Known all lists by rising step, each step once
 * @property {Job | null} job null until the first event
 * @property {string} phase what the running job is doing; empty when nothing was said
 * @property {number | null} learningRate the newest
 * @property {Metric[]} metrics
 * @property {Sample[]} samples
 * @property {number[]} snapshots steps whose weights can be used
 *
 * @typedef {{ kind: "state", data: Job }
 *   | { kind: "progress", data: import("./jobs_api.js").Progress }
 *   | { kind: "metric", data: Metric }
 *   | { kind: "sample", data: Sample }
 *   | { kind: "snapshot", data: { step: number } }} JobEvent
 *
 * @typedef {"connecting" | "open" | "lost" | "closed" | "gone"} Connection
 *   lost: trying again; closed: the job has ended; gone: there is no such job
 */

const NOTIFIES_EVERY_MS = 100;
const TRIES_AGAIN_MS = 3000;

/** @type {Known} */
export const NOTHING = {
  job: null,
  phase: "",
  learningRate: null,
  metrics: [],
  samples: [],
  snapshots: [],
};

/**
 * @param {Known} known
 * @param {JobEvent} event
 * @returns {Known} what is known then; `known` stays as it is
 */
export function reduce(known, event) {
  switch (event.kind) {
    case "state":
      return { ...upTo(known, event.data.step), job: event.data, phase: event.data.phase ?? "" };
    case "progress": {
      const { phase, learning_rate, ...numbers } = event.data;
      const job = known.job && { ...known.job, ...numbers };
      return {
        ...known,
        job,
        phase: phase ?? "",
        learningRate: learning_rate ?? known.learningRate,
      };
    }
    case "metric": {
      const { learning_rate } = event.data;
      const metrics = withStep(known.metrics, event.data);
      return { ...known, metrics, learningRate: learning_rate };
    }
    case "sample":
      return { ...known, samples: withStep(known.samples, event.data) };
    case "snapshot": {
      const steps = new Set([...known.snapshots, event.data.step]);
      return { ...known, snapshots: [...steps].sort((a, b) => a - b) };
    }
  }
}

/**
 * A job that was resumed goes on from an earlier step: what came after it will come anew.
 * @param {Known} known
 * @param {number} last step
 * @returns {Known}
 */
function upTo(known, last) {
  return {
    ...known,
    metrics: known.metrics.filter(({ step }) => step <= last),
    samples: known.samples.filter(({ step }) => step <= last),
    snapshots: known.snapshots.filter((step) => step <= last),
  };
}

/**
 * @template {{ step: number }} T
 * @param {T[]} list by rising step
 * @param {T} item takes the place of one with the same step
 * @returns {T[]}
 */
function withStep(list, item) {
  let at = list.length;
  while (at > 0 && list[at - 1].step >= item.step) at--;
  return list.toSpliced(at, list[at]?.step === item.step ? 1 : 0, item);
}

export class JobStream {
  /** @type {Connection} */
  connection = "connecting";
  #id;
  #onChange;
  #stop = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #notifies;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retries;
  #closed = false;

  /**
   * @param {string} id of a job
   * @param {() => void} onChange of what is known or of the connection; some ten times a second at
   *   most
   * @param {Known} [known] from an earlier stream of the same job
   */
  constructor(id, onChange, known = NOTHING) {
    this.known = known;
    this.#id = id;
    this.#onChange = onChange;
    this.#open();
  }

  close() {
    this.#closed = true;
    this.#stop();
    clearTimeout(this.#notifies);
    clearTimeout(this.#retries);
  }

  #open() {
    /** @param {JobEvent["kind"]} kind @returns {(data: any) => void} */
    const take = (kind) => (data) => {
      this.known = reduce(this.known, /** @type {JobEvent} */ ({ kind, data }));
      this.#notify();
    };
    this.#stop = watchJob(
      this.#id,
      {
        state: take("state"),
        progress: take("progress"),
        metric: take("metric"),
        sample: take("sample"),
        snapshot: take("snapshot"),
        end: () => this.#end(),
      },
      (connection) => this.#connected(connection),
    );
  }

  /** @param {"open" | "retrying" | "refused"} connection */
  #connected(connection) {
    if (connection === "open") return this.#is("open");
    this.#is("lost");
    if (connection === "refused") void this.#refused();
  }

  /** The server ends the stream of a job that is over; the browser would begin it again. */
  #end() {
    this.#stop();
    this.#is("closed");
  }

  /** The browser gives up where the server answers with an error: it may be back in a moment. */
  async #refused() {
    this.#stop();
    try {
      await getJob(this.#id);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return this.#is("gone");
    }
    if (!this.#closed) this.#retries = setTimeout(() => this.#open(), TRIES_AGAIN_MS);
  }

  /** @param {Connection} connection */
  #is(connection) {
    this.connection = connection;
    this.#notify();
  }

  #notify() {
    if (this.#closed) return;
    this.#notifies ??= setTimeout(() => {
      this.#notifies = undefined;
      this.#onChange();
    }, NOTIFIES_EVERY_MS);
  }
}
