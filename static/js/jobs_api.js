// The server's API around training: jobs, sweeps, texts, presets.
import { openEvents, post, send, upload } from "./api.js";

/**
 * @typedef {"queued" | "running" | "done" | "failed" | "cancelled" | "interrupted"} JobState
 *
 * @typedef {Record<string, unknown>} Values a configuration's fields, by name
 *
 * @typedef {{ run: string, step?: number | null }} InitFrom another run's weights to start from
 *
 * @typedef {object} Job
 * @property {string} id
 * @property {string} run_id
 * @property {string} title
 * @property {JobState} state
 * @property {string} message why it is so and what to do; empty when there is nothing to say
 * @property {number} progress 0 to 1
 * @property {number} step
 * @property {number} max_iters
 * @property {number} elapsed_s
 * @property {number | null} remaining_s
 * @property {number | null} tokens_per_s
 * @property {number | null} loss
 * @property {string | null} [phase] what a running job does: "starting", "training", "evaluating"
 * @property {number | null} position place in the queue, from 1
 * @property {string | null} device "cpu", "cuda:0"
 * @property {string} device_wanted
 * @property {string} created ISO 8601, like the next two
 * @property {string | null} started
 * @property {string | null} ended
 * @property {string} hypothesis
 * @property {string | null} preset
 * @property {string} corpus
 * @property {string} tokenizer
 * @property {{ model: Values, train: Values }} config
 * @property {number} params
 * @property {InitFrom | null} init_from
 * @property {string | null} sweep the id of the sweep it is part of
 * @property {boolean} resumable
 * @property {boolean} has_run whether its run can be opened on the other pages
 *
 * @typedef {{ id: string, name: string, busy: boolean, default: boolean }} Device
 *
 * @typedef {object} JobRequest exactly one of preset and config
 * @property {string} [preset]
 * @property {{ model: Values, train: Values }} [config] fields left out take their defaults
 * @property {string} [run_id]
 * @property {string} [title]
 * @property {string} [hypothesis]
 * @property {string} [corpus]
 * @property {string} [tokenizer]
 * @property {InitFrom} [init_from]
 * @property {string} [device]
 *
 * @typedef {object} JobCheck what a job would be
 * @property {string} run_id
 * @property {string} title
 * @property {{ model: Values, train: Values }} config complete
 * @property {number} params
 * @property {number} tokens_per_step
 * @property {number} memory_bytes an estimate
 * @property {number | null} memory_available_bytes
 * @property {string} device
 */

/**
 * @typedef {object} Progress
 * @property {number} step
 * @property {number} max_iters
 * @property {number} progress 0 to 1
 * @property {number} elapsed_s
 * @property {number | null} remaining_s
 * @property {number} tokens_per_s
 * @property {number | null} learning_rate null until the first evaluation
 * @property {number | null} loss of the last batches
 * @property {string} phase "starting", "compiling", "training", "evaluating"
 *
 * @typedef {object} JobListeners
 * @property {(job: Job) => void} state first at every connection, then at every change
 * @property {(progress: Progress) => void} progress
 * @property {(metric: import("./api.js").Metric) => void} metric may come again for the same step
 * @property {(sample: import("./api.js").Sample) => void} sample
 * @property {(snapshot: { step: number }) => void} snapshot its weights can be used from now on
 * @property {() => void} [end] the last event of a job that is over
 */

/**
 * @typedef {{ min: number, max: number, log?: boolean } | { values: unknown[] }} Draw
 *
 * @typedef {object} SweepRequest presets, or a base (preset or config) with grid or random
 * @property {string} [title]
 * @property {string} [hypothesis]
 * @property {string} [corpus]
 * @property {string} [tokenizer]
 * @property {string} [device]
 * @property {string} [run_id] what the ids of its runs begin with
 * @property {string[]} [presets]
 * @property {string} [preset]
 * @property {{ model: Values, train: Values }} [config]
 * @property {Record<string, unknown[]>} [grid] values of each field, such as "train.learning_rate"
 * @property {{ count: number, seed?: number, fields: Record<string, Draw> }} [random]
 * @property {number} [limit] the most jobs
 *
 * @typedef {object} SweepJob
 * @property {Job} job
 * @property {Values} values of the fields that differ
 * @property {number | null} val_loss
 * @property {number | null} train_loss
 * @property {number | null} wall_time_s
 *
 * @typedef {object} Sweep
 * @property {string} id
 * @property {string} title
 * @property {string} hypothesis
 * @property {string} created
 * @property {string[]} fields those that differ, such as "train.learning_rate"
 * @property {SweepJob[]} jobs
 * @property {Partial<Record<JobState, number>>} states how many of its jobs are in each
 *
 * @typedef {object} SweepCheck
 * @property {number} count
 * @property {{ run_id: string, differing: Values, params: number }[]} jobs
 */

/**
 * @typedef {object} Corpus a text to train on
 * @property {string} id
 * @property {string} name
 * @property {number} bytes
 * @property {number} characters
 * @property {number} lines
 * @property {number} distinct different characters
 * @property {string} sha256
 * @property {boolean} canonical
 * @property {boolean} builtin
 * @property {string | null} created
 * @property {string} preview its beginning
 * @property {[string, number][]} vocabulary characters and their counts, most frequent first
 * @property {string | null} problem why nothing can be trained on it, if so
 *
 * @typedef {object} Preset
 * @property {string} id
 * @property {string} title
 * @property {string} hypothesis
 * @property {{ model: Values, train: Values }} config complete
 * @property {string} tokenizer
 * @property {number} params
 */

const ENDED = new Set(["done", "failed", "cancelled", "interrupted"]);

/**
 * @param {{ state: JobState }} job
 * @returns {boolean} whether nothing more happens to it, unless it is resumed
 */
export function hasEnded({ state }) {
  return ENDED.has(state);
}

/**
 * What the job would be; refuses what starting it would refuse.
 * @param {JobRequest} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<JobCheck>}
 */
export async function checkJob(request, signal) {
  return (await post("/api/jobs/check", request, { signal })).json();
}

/**
 * @param {JobRequest} request
 * @returns {Promise<Job>}
 */
export async function startJob(request) {
  return (await post("/api/jobs", request)).json();
}

/**
 * @param {{ sweep?: string, signal?: AbortSignal }} [options] sweep: only its jobs
 * @returns {Promise<{ jobs: Job[], devices: Device[], notice: string }>} newest first
 */
export async function listJobs({ sweep, signal } = {}) {
  const query = sweep ? `?sweep=${encodeURIComponent(sweep)}` : "";
  return (await send(`/api/jobs${query}`, { signal })).json();
}

/**
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<Job>}
 */
export async function getJob(id, signal) {
  return (await send(jobPath(id), { signal })).json();
}

/**
 * @param {string} id
 * @returns {Promise<Job>}
 */
export async function cancelJob(id) {
  return (await send(`${jobPath(id)}/cancel`, { method: "POST" })).json();
}

/**
 * @param {string} id
 * @returns {Promise<Job>}
 */
export async function resumeJob(id) {
  return (await send(`${jobPath(id)}/resume`, { method: "POST" })).json();
}

/**
 * Take a job that is over off the list; its run stays.
 * @param {string} id
 */
export async function removeJob(id) {
  await send(jobPath(id), { method: "DELETE" });
}

/**
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<string>} what its process printed
 */
export async function jobLog(id, signal) {
  return (await send(`${jobPath(id)}/log`, { signal })).text();
}

/**
 * @param {string} id
 * @param {JobListeners} listeners
 * @param {(connection: "open" | "retrying" | "refused") => void} [onConnection] each change
 * @returns {() => void} stops it, which is due once the job has ended
 */
export function watchJob(id, listeners, onConnection) {
  const each = /** @type {Record<string, (data: any) => void>} */ ({ ...listeners });
  return openEvents(`${jobPath(id)}/events`, each, onConnection);
}

/**
 * @param {SweepRequest} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<SweepCheck>}
 */
export async function checkSweep(request, signal) {
  return (await post("/api/sweeps/check", request, { signal })).json();
}

/**
 * @param {SweepRequest} request
 * @returns {Promise<Sweep>}
 */
export async function startSweep(request) {
  return (await post("/api/sweeps", request)).json();
}

/**
 * @param {AbortSignal} [signal]
 * @returns {Promise<Sweep[]>}
 */
export async function listSweeps(signal) {
  return (await (await send("/api/sweeps", { signal })).json()).sweeps;
}

/**
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<Sweep>}
 */
export async function getSweep(id, signal) {
  return (await send(`/api/sweeps/${encodeURIComponent(id)}`, { signal })).json();
}

/**
 * @param {string} id
 * @returns {Promise<Sweep>}
 */
export async function cancelSweep(id) {
  return (await send(`/api/sweeps/${encodeURIComponent(id)}/cancel`, { method: "POST" })).json();
}

/**
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ corpora: Corpus[], max_bytes: number }>}
 */
export async function listCorpora(signal) {
  return (await send("/api/corpora", { signal })).json();
}

/**
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<Corpus>} with its whole vocabulary
 */
export async function getCorpus(id, signal) {
  return (await send(`/api/corpora/${encodeURIComponent(id)}`, { signal })).json();
}

/**
 * @param {File} file
 * @param {{ onProgress?: (share: number) => void, signal?: AbortSignal }} [options]
 * @returns {Promise<Corpus>}
 */
export function uploadCorpus(file, { onProgress, signal } = {}) {
  const path = `/api/corpora?name=${encodeURIComponent(file.name)}`;
  return upload(path, file, { type: "text/plain", onProgress, signal });
}

/** @param {string} id */
export async function removeCorpus(id) {
  await send(`/api/corpora/${encodeURIComponent(id)}`, { method: "DELETE" });
}

/** @param {string} id */
function jobPath(id) {
  return `/api/jobs/${encodeURIComponent(id)}`;
}
