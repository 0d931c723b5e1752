// How far runs lie apart that differ in their seed alone.
import { differences } from "../differences.js";
import { bitsPerCharacter, perCharacter } from "../losses.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {{ runs: Run[], mean: number, deviation: number, unit: string }} Spread */

/**
 * @param {readonly Run[]} runs
 * @returns {Spread[]} of each setting that was trained with two seeds or more
 */
export function spreads(runs) {
  /** @type {Run[][]} */
  const groups = [];
  for (const run of runs.filter(isDone)) {
    const group = groups.find(([first]) => onlySeedsDiffer(run, first));
    if (group) group.push(run);
    else groups.push([run]);
  }
  return groups.filter(({ length }) => length > 1).map(spread);
}

/** @param {Spread} spread @returns {string} */
export function spreadWords({ runs, mean, deviation, unit }) {
  const names = runs.map(({ title }) => title).join("; ");
  return `${names}: ${mean.toFixed(4)} ${unit} on average, standard deviation ${deviation.toFixed(4)}, from ${runs.length} seeds.`;
}

/** @param {Run} run */
function isDone(run) {
  return !run.training && run.val_loss !== null && run.config.train !== null;
}

/** @param {Run} run @param {Run} other */
function onlySeedsDiffer(run, other) {
  const names = differences(run, other).map(({ name }) => name);
  return names.length === 1 && names[0] === "seed" && run.corpus?.sha256 === other.corpus?.sha256;
}

/**
 * @param {Run[]} runs
 * @returns {Spread} with the deviation as estimated from a sample: divided by one less than its size
 */
function spread(runs) {
  const bits = !runs.every(perCharacter);
  const losses = runs.map((run) => Number(bits ? bitsPerCharacter(run) : run.val_loss));
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  const squares = losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0);
  const unit = bits ? "bits per character" : "nats per character";
  return { runs, mean, deviation: Math.sqrt(squares / (losses.length - 1)), unit };
}
