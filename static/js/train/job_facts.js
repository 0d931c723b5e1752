// A job in words and numbers: what it is, how far it has come, what it came to.
import { differences } from "../differences.js";
import { duration, grouped } from "../format.js";
import { hasEnded } from "../jobs_api.js";
import { lossUnit } from "../losses.js";
import { stateBadge, stateWord } from "./job_state.js";
import { drawSparkline } from "./sparkline.js";

/**
 * @typedef {import("../jobs_api.js").Job} Job
 * @typedef {import("../job_stream.js").Known} Known
 * @typedef {(name: string) => HTMLElement} Part
 */

const PHASES = /** @type {Record<string, string>} */ ({
  starting: "Starting",
  compiling: "Compiling the network",
  training: "Training",
  evaluating: "Evaluating",
});

/**
 * Title, state, what it is made from.
 * @param {Part} part
 * @param {Job} job
 * @param {import("../api.js").Run | undefined} baseline
 * @param {string} corpus the name of its text
 */
export function showHead(part, job, baseline, corpus) {
  part("title").textContent = job.title || job.run_id;
  part("state").replaceChildren(stateBadge(job.state, stateWords(job)));
  part("facts").replaceChildren(...facts(job, corpus));
  part("hypothesis").hidden = !job.hypothesis;
  part("hypothesis").textContent = job.hypothesis;
  const apart = baseline && baseline.id !== job.run_id ? differences(asRun(job), baseline) : [];
  part("differences").replaceChildren(
    ...apart.map(({ name, value, other }) => {
      const chip = document.createElement("li");
      chip.className = "chip is-different";
      chip.textContent = `${name} ${value}`;
      chip.title = `${name}: ${value}, the baseline has ${other}`;
      return chip;
    }),
  );
  const message = part("message");
  message.hidden = !job.message;
  message.textContent = sentence(job.message);
  message.classList.toggle("alert", job.state === "failed");
}

/** @param {Job} job @returns {any} as much of a run as sets it apart from another */
function asRun({ config, params, corpus, tokenizer, init_from }) {
  const text = { name: corpus, sha256: "" };
  return { kind: config.model.kind, config, params, corpus: text, tokenizer, init_from };
}

/** @param {string} words */
function sentence(words) {
  const text = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/** @param {Job} job */
function stateWords(job) {
  const { state, position } = job;
  return state === "queued" && position ? `Queued, place ${position}` : stateWord(state);
}

/** @param {Job} job @param {string} corpus @returns {(string | Node)[]} */
function facts(job, corpus) {
  const code = document.createElement("code");
  code.textContent = job.run_id;
  /** @type {(string | Node)[]} */
  const parts = [code, ` · ${corpus} · ${job.tokenizer} tokens`];
  if (job.init_from) {
    const { run, step } = job.init_from;
    const when = step === null || step === undefined ? "" : ` at step ${grouped(step)}`;
    parts.push(` · started from ${run}${when}`);
  }
  if (job.sweep) {
    const link = document.createElement("a");
    link.href = `/train?sweep=${encodeURIComponent(job.sweep)}`;
    link.textContent = "its sweep";
    parts.push(" · part of ", link);
  }
  return parts;
}

/**
 * The bar and the words beneath it.
 * @param {Part} part
 * @param {Known & { job: Job }} known
 */
export function showProgress(part, { job, phase }) {
  const percent = progressPercent(job);
  const bar = part("bar");
  bar.setAttribute("aria-valuenow", String(percent));
  bar.setAttribute("aria-valuetext", spokenProgress(job));
  bar.dataset.state = job.state;
  part("done").style.inlineSize = `${100 * job.progress}%`;
  part("percent").textContent = `${percent} %`;
  part("steps").textContent = `step ${grouped(job.step)} of ${grouped(job.max_iters)}`;
  part("remaining").textContent = remaining(job);
  part("elapsed").textContent = job.elapsed_s > 0 ? `${duration(job.elapsed_s)} so far` : "";
  if (hasEnded(job) && job.elapsed_s > 0) {
    part("elapsed").textContent = `${duration(job.elapsed_s)} of training`;
  }
  part("phase").textContent = job.state === "running" ? (PHASES[phase] ?? phase) : "";
}

/** @param {Job} job */
export function progressPercent(job) {
  return Math.floor(100 * job.progress);
}

/** @param {Job} job @returns {string} to be read aloud */
export function spokenProgress(job) {
  const words = `${stateWords(job)}, ${progressPercent(job)} %`;
  const left = remaining(job);
  return left ? `${words}, ${left}` : words;
}

/** @param {Job} job */
function remaining({ state, remaining_s }) {
  return state === "running" && remaining_s !== null ? `${duration(remaining_s)} left` : "";
}

/**
 * Losses, speed, learning rate, device, size.
 * @param {Part} part
 * @param {Known & { job: Job }} known
 */
export function showNumbers(part, { job, metrics, learningRate }) {
  const last = metrics.at(-1);
  const unit = lossUnit([{ tokenizer: job.tokenizer }]);
  part("val").textContent = loss(last?.val_loss);
  part("val").title = `${unit}, over the whole validation split`;
  part("train").textContent = loss(last?.train_loss ?? job.loss);
  part("train").title = last ? unit : `${unit}, of the newest batches`;
  const speed = job.tokens_per_s || last?.tokens_per_s;
  part("speed").textContent = speed ? grouped(Math.round(speed)) : "–";
  part("rate").textContent = learningRate === null ? "–" : rate(learningRate);
  part("device").textContent = job.device ?? `${job.device_wanted}, once it runs`;
  part("params").textContent = grouped(job.params);
  const measured = metrics.filter(({ step }) => step > 0);
  drawSparkline(
    part("speed-line"),
    measured.map(({ tokens_per_s }) => tokens_per_s),
  );
  drawSparkline(
    part("rate-line"),
    metrics.map(({ learning_rate }) => learning_rate),
  );
}

/** @param {number | null | undefined} value none where there is none yet, or it is no number */
function loss(value) {
  return value?.toFixed(4) ?? "–";
}

/** @param {number} value @returns {string} "0.001", "3.17e-5" */
function rate(value) {
  return value !== 0 && Math.abs(value) < 1e-4
    ? value.toExponential(2)
    : String(Number(value.toPrecision(3)));
}
