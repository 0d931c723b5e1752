// What the page of runs keeps in its address.
import { AXES } from "../curve_axis.js";
import { choice, flag, list, number } from "../state.js";

/** @typedef {import("../api.js").Run} Run */

const USUALLY_TICKED = 8;
export const MOST_SMOOTHING = 0.95;

/** Columns in the order in which links once numbered them. */
const NUMBERED = [
  "run",
  "changed",
  "params",
  "steps",
  "time",
  "train_loss",
  "val_loss",
  "change",
  "estimate",
];

/** @typedef {import("../state.js").State<ReturnType<typeof pageFields>>} PageState */

/**
 * @param {readonly Run[]} runs
 * @param {Run} reference
 */
export function pageFields(runs, reference) {
  return {
    runs: list(usuallyTicked(runs, reference)),
    sort: sortKey,
    descending: flag(false),
    x: choice("step", AXES),
    log: flag(false),
    logy: flag(false),
    smooth: number(0, 0, MOST_SMOOTHING),
    cost: flag(false), // of all runs
    settings: flag(false), // all settings
    samples: list(usualSamples(runs)),
    time: flag(false), // how links once said x=time
  };
}

/** A column's key. @type {import("../state.js").Field<string>} */
const sortKey = {
  initial: "",
  parse: (raw) => (/^\d+$/.test(raw) ? NUMBERED[Number(raw)] : raw),
  format: (key) => key,
};

/**
 * @param {readonly Run[]} runs
 * @param {Run} reference
 * @returns {string[]} the GPTs, the newest ones where they are many, and what they are compared with
 */
function usuallyTicked(runs, reference) {
  const gpts = runs.filter(({ kind }) => kind === "gpt");
  const first = (/** @type {Run} */ run) => Number(run === reference);
  const chosen = new Set(
    (gpts.length ? gpts : runs)
      .toSorted((a, b) => first(b) - first(a) || b.created.localeCompare(a.created))
      .slice(0, USUALLY_TICKED),
  );
  return runs.filter((run) => chosen.has(run)).map(({ id }) => id);
}

/**
 * @param {readonly Run[]} runs
 * @returns {string[]} the best one's first sample and its last
 */
function usualSamples(runs) {
  const loss = (/** @type {Run} */ run) => run.val_loss ?? Infinity;
  const gpts = runs.filter((run) => run.attention);
  const [best] = (gpts.length ? gpts : runs).toSorted((a, b) => loss(a) - loss(b) || 0);
  return [`${best.id}:0`, best.id];
}
