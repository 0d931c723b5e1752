// The table of runs: what was changed, what it cost, what it brought.
import { differences } from "./differences.js";
import { grouped } from "./format.js";

/** @typedef {import("./api.js").Run} Run */
/** @typedef {{ name: string, title?: string, value: (run: Run) => number | string | null, text?: (run: Run) => string }} Column */

/**
 * @param {Run | undefined} baseline
 * @returns {Column[]}
 */
export function columns(baseline) {
  const against = (/** @type {Run} */ run) =>
    baseline?.val_loss && run.val_loss !== null ? run.val_loss / baseline.val_loss - 1 : null;
  return [
    { name: "Run", value: (run) => run.title },
    { name: "Changed", value: (run) => changes(run, baseline).length },
    { name: "Parameters", value: (run) => run.params, text: (run) => grouped(run.params) },
    { name: "Steps", value: (run) => iterations(run), text: (run) => grouped(iterations(run)) },
    {
      name: "Time",
      title: "Wall time",
      value: (run) => run.wall_time_s,
      text: (run) => minutes(run.wall_time_s),
    },
    { name: "Training loss", value: (run) => run.train_loss, text: (run) => loss(run.train_loss) },
    { name: "Validation loss", value: (run) => run.val_loss, text: (run) => loss(run.val_loss) },
    {
      name: "To baseline",
      title: "Validation loss against the baseline's",
      value: against,
      text: (run) => (run === baseline ? "" : signedPercent(against(run))),
    },
    {
      name: "Sampled",
      title: "Validation loss over random batches, as the exercise estimates it",
      value: (run) => run.estimate?.val_loss ?? null,
      text: (run) => loss(run.estimate?.val_loss ?? null),
    },
  ];
}

/**
 * @param {Run} run
 * @param {Run | undefined} baseline
 */
export function changes(run, baseline) {
  return baseline && run !== baseline ? differences(run, baseline) : [];
}

/**
 * @param {Run[]} runs
 * @param {Column} column
 * @param {boolean} descending
 * @returns {Run[]} sorted, those without a value last
 */
export function sorted(runs, column, descending) {
  return [...runs].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    const order = typeof x === "string" ? x.localeCompare(String(y)) : x - Number(y);
    return descending ? -order : order;
  });
}

/** @param {Run} run */
function iterations(run) {
  return Number(run.config.train?.max_iters ?? 0);
}

/** @param {number | null} value */
function loss(value) {
  return value === null ? "" : value.toFixed(4);
}

/** @param {number | null} seconds */
function minutes(seconds) {
  if (seconds === null) return "";
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** @param {number | null} share */
function signedPercent(share) {
  if (share === null) return "";
  return `${share > 0 ? "+" : "−"}${Math.abs(100 * share).toFixed(1)} %`;
}
