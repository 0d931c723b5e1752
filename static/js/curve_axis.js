// How far a run has come: in steps, in tokens seen, in minutes.
import { perCharacter } from "./losses.js";

/**
 * @typedef {Pick<import("./api.js").RunWithHistory, "config"> & {
 *   corpus?: { characters: number } | null, tokenizer?: string | null }} Trained
 * @typedef {"step" | "tokens" | "time"} Axis
 */

/** The share of a text that is trained on; the rest is for validation. */
const TRAINING_SHARE = 0.9;

export const AXES = /** @type {const} */ (["step", "tokens", "time"]);

/** What stands under the figure, and how a place is told. */
export const AXIS_TEXTS = {
  step: { title: "training step", told: "step %{x:,d}" },
  tokens: { title: "tokens seen while training", told: "%{x:,d} tokens" },
  time: { title: "minutes of training", told: "%{x:.3~g} minutes" },
};

/**
 * @param {Trained} run
 * @param {{ step: number, elapsed_s: number }} metric
 * @param {Axis} axis
 * @returns {number}
 */
export function place(run, metric, axis) {
  if (axis === "time") return metric.elapsed_s / 60;
  return axis === "tokens" ? tokensSeen(run, metric.step) : metric.step;
}

/**
 * @param {Trained} run
 * @param {number} step
 * @returns {number} how many tokens it had learned from by then, those seen again counted again; NaN
 *   where that is not known
 */
export function tokensSeen(run, step) {
  const { model, train } = run.config;
  if (model.kind === "ngram") return tokensCounted(run);
  const window = Number(train?.window ?? model.block_size ?? 1);
  return step * Number(train?.batch_size ?? NaN) * window;
}

/**
 * An n-gram model counts the training split once, whatever its steps and batches say.
 * @param {Trained} run
 */
function tokensCounted(run) {
  return perCharacter(run) ? Math.trunc(TRAINING_SHARE * (run.corpus?.characters ?? NaN)) : NaN;
}
