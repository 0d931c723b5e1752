// Two runs, or two snapshots of one, in numbers: what was changed, and what became of it.
import { differences } from "../differences.js";
import { duration, grouped } from "../format.js";
import { sameText, tokenizersDiffer } from "../losses.js";

/**
 * @typedef {import("../api.js").RunWithHistory} RunWithHistory
 * @typedef {{ run: RunWithHistory, step: number | null }} Side step null: trained to the end
 * @typedef {{ name: string, a: string, b: string, change: string }} Row
 */

/**
 * @param {{ run: { title: string }, step: number | null }} side
 * @returns {string} "Baseline", "Baseline at step 388"
 */
export function sideName({ run, step }) {
  return step === null ? run.title : `${run.title} at step ${grouped(step)}`;
}

/**
 * @param {Side} a
 * @param {Side} b
 * @returns {Row[]} what the two were made from, where it differs; empty for one run at two steps
 */
export function changedRows(a, b) {
  return differences(b.run, a.run).map(({ name, value, other }) => {
    return { name, a: other, b: value, change: "" };
  });
}

/**
 * @param {Side} a
 * @param {Side} b
 * @returns {Row[]}
 */
export function resultRows(a, b) {
  const comparable = areComparable(a, b);
  const [mine, theirs] = [reached(a), reached(b)];
  return [
    { ...numbers(mine.val_loss, theirs.val_loss, comparable, fourDigits), name: "validation loss" },
    {
      ...numbers(mine.train_loss, theirs.train_loss, comparable, fourDigits),
      name: "training loss",
    },
    { ...numbers(gap(mine), gap(theirs), false, fourDigits), name: "validation less training" },
    { ...numbers(mine.step, theirs.step, true, grouped), name: "steps" },
    { ...numbers(a.run.params, b.run.params, true, grouped), name: "parameters" },
    {
      ...numbers(mine.elapsed_s, theirs.elapsed_s, a.run.device === b.run.device, duration),
      name: "time of training",
    },
    { name: "trained on", a: a.run.device ?? "–", b: b.run.device ?? "–", change: "" },
  ];
}

/**
 * @param {Side} a
 * @param {Side} b
 * @returns {string} the change and what it brought, in a sentence or two
 */
export function verdict(a, b) {
  const change = changeWords(a, b);
  const [before, after] = [reached(a).val_loss, reached(b).val_loss];
  if (before === null || after === null) {
    return `${change} There is no validation loss for both, so that only what they write can be compared.`;
  }
  const losses = `${fourDigits(before)} for ${sideName(a)} and ${fourDigits(after)} for ${sideName(b)}`;
  if (!areComparable(a, b)) {
    return `${change} The validation losses are ${losses}; they are not of the same text and the same tokens, so that neither is better by that.`;
  }
  const share = after / before - 1;
  if (Math.abs(share) < 5e-5) return `${change} The validation losses are alike: ${losses}.`;
  const side = share < 0 ? "lower" : "higher";
  return `${change} The validation loss is ${Math.abs(100 * share).toFixed(1)} % ${side}: ${losses}.`;
}

/** @param {Side} a @param {Side} b */
function changeWords(a, b) {
  if (a.run.id === b.run.id) {
    return a.step === b.step
      ? "Both sides are the same weights: choose another run or step to compare."
      : "One run at two steps: nothing differs but how long it has learned.";
  }
  return settingWords(a, b) + stepWords(a, b);
}

/** @param {Side} a @param {Side} b */
function settingWords(a, b) {
  const changed = changedRows(a, b);
  if (changed.length === 0) return "As far as is known, both were made from the same settings.";
  const [{ name, a: from, b: to }] = changed;
  if (name === "kind") {
    return `These are models of two kinds, ${from} and ${to}, with other settings each.`;
  }
  if (changed.length === 1) return `One thing was changed: ${name}, from ${from} to ${to}.`;
  const names = changed.map(({ name }) => name).join(", ");
  return `${changed.length} settings differ (${names}), so that no difference can be put down to one of them.`;
}

/** @param {Side} a @param {Side} b */
function stepWords(a, b) {
  const whole = a.step === null && b.step === null;
  return whole || reached(a).step === reached(b).step
    ? ""
    : " They are at different steps of their training, too.";
}

/** @param {Side} a @param {Side} b */
function areComparable(a, b) {
  return a.run.id === b.run.id || (sameText(a.run, b.run) && !tokenizersDiffer([a.run, b.run]));
}

/**
 * @param {Side} side
 * @returns {{ val_loss: number | null, train_loss: number | null, step: number | null, elapsed_s: number | null }}
 */
function reached({ run, step }) {
  const nothing = { val_loss: null, train_loss: null, step, elapsed_s: null };
  if (step !== null) return run.metrics.find((metric) => metric.step === step) ?? nothing;
  const { val_loss, train_loss, wall_time_s } = run;
  return { val_loss, train_loss, step: run.metrics.at(-1)?.step ?? null, elapsed_s: wall_time_s };
}

/** @param {{ val_loss: number | null, train_loss: number | null }} losses */
function gap({ val_loss, train_loss }) {
  return val_loss === null || train_loss === null ? null : val_loss - train_loss;
}

/**
 * @param {number | null} a
 * @param {number | null} b
 * @param {boolean} comparable
 * @param {(value: number) => string} write
 * @returns {{ a: string, b: string, change: string }}
 */
function numbers(a, b, comparable, write) {
  const shown = (/** @type {number | null} */ value) => (value === null ? "–" : write(value));
  const change = comparable && a && b !== null ? percentChange(b / a - 1) : "";
  return { a: shown(a), b: shown(b), change };
}

/** @param {number} share */
function percentChange(share) {
  const size = Math.abs(100 * share).toFixed(1);
  if (Number(size) === 0) return "±0 %";
  return `${share > 0 ? "+" : "−"}${size} %`;
}

/** @param {number} value */
function fourDigits(value) {
  return value.toFixed(4).replace("-", "−");
}
