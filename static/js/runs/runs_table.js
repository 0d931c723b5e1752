// The table of runs: what was changed, what it cost, what it brought.
import { differences } from "../differences.js";
import { duration, grouped } from "../format.js";
import { bitsPerCharacter, lossChange, tokenizersDiffer } from "../losses.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {{ key: string, name: string, title?: string, value: (run: Run) => number | string | null, text?: (run: Run) => string }} Column */

/**
 * @param {Run} reference what the others are compared with
 * @param {readonly Run[]} runs
 * @returns {Column[]} the first two are the run's name and what was changed
 */
export function columns(reference, runs) {
  const change = column(
    "change",
    "To baseline",
    (run) => lossChange(run, reference),
    signedPercent,
    "Validation loss per character against the baseline's, on the same text",
  );
  const usual = [
    { key: "run", name: "Run", value: (/** @type {Run} */ run) => run.title },
    {
      key: "changed",
      name: "Changed",
      value: (/** @type {Run} */ run) => changes(run, reference).length,
    },
    column("params", "Parameters", (run) => run.params, grouped),
    column("steps", "Steps", steps, grouped),
    column("time", "Time", (run) => run.wall_time_s, duration, "Wall time"),
    column("train_loss", "Training loss", (run) => run.train_loss, loss),
    column("val_loss", "Validation loss", (run) => run.val_loss, loss),
    { ...change, text: (/** @type {Run} */ run) => (run === reference ? "" : change.text(run)) },
    column(
      "estimate",
      "Sampled",
      (run) => run.estimate?.val_loss ?? null,
      loss,
      "Validation loss over random batches, as the exercise estimates it",
    ),
  ];
  if (!tokenizersDiffer(runs)) return usual;
  const title = "Validation loss in a unit that all tokenizers share";
  return [...usual, column("bits", "Bits per character", bitsPerCharacter, loss, title)];
}

/**
 * @param {Run} run
 * @param {Run} reference
 */
export function changes(run, reference) {
  return run === reference ? [] : differences(run, reference);
}

/**
 * @param {readonly Run[]} runs
 * @param {Column | undefined} column undefined: as they are
 * @param {boolean} descending
 * @returns {Run[]} sorted, those without a value last
 */
export function sorted(runs, column, descending) {
  if (!column) return [...runs];
  return [...runs].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    const order = typeof x === "string" ? x.localeCompare(String(y)) : x - Number(y);
    return descending ? -order : order;
  });
}

/**
 * @param {string} key
 * @param {string} name
 * @param {(run: Run) => number | null} value
 * @param {(value: number) => string} format
 * @param {string} [title]
 * @returns {Column & { text: (run: Run) => string }} of numbers, empty where there is none
 */
function column(key, name, value, format, title) {
  const text = (/** @type {Run} */ run) => {
    const number = value(run);
    return number === null ? "" : format(number);
  };
  return { key, name, title, value, text };
}

/**
 * @param {Run} run
 * @returns {number | null} null where nobody knows
 */
function steps({ config, imported }) {
  const known = imported?.steps ?? config.train?.max_iters;
  return known === undefined || known === null ? null : Number(known);
}

/** @param {number} value */
function loss(value) {
  return value.toFixed(4);
}

/** @param {number} share */
function signedPercent(share) {
  return `${share > 0 ? "+" : "−"}${Math.abs(100 * share).toFixed(1)} %`;
}
