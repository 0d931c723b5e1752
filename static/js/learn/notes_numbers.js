// What the numbers say of a run beside the run it is measured against: no opinion, no rounding up.
import { signed } from "../attention/signed.js";
import { duration, grouped } from "../format.js";
import { bitsPerCharacter, lossChange, perCharacter, sameText } from "../losses.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {{ name: string, own: string, other: string, change: string }} NumberRow */

/** What stands where there is no number. */
export const NONE = "–";

/**
 * @param {Run} run
 * @param {Run} reference
 * @returns {NumberRow[]} losses in a unit that both share
 */
export function numberRows(run, reference) {
  const bits = !(perCharacter(run) && perCharacter(reference));
  const [mine, theirs] = [losses(run, bits), losses(reference, bits)];
  const comparable = sameText(run, reference);
  const change = lossChange(run, reference);
  return [
    {
      name: bits ? "Validation loss, bits per character" : "Validation loss",
      own: loss(mine.val, 4),
      other: loss(theirs.val, 4),
      change: change === null ? NONE : `${signed(100 * change, 1)} %`,
    },
    {
      name: "Gap to training",
      own: loss(mine.gap, 3),
      other: loss(theirs.gap, 3),
      change: comparable ? difference(mine.gap, theirs.gap) : NONE,
    },
    {
      name: "Wall time",
      own: seconds(run.wall_time_s),
      other: seconds(reference.wall_time_s),
      change: ratio(run.wall_time_s, reference.wall_time_s),
    },
    {
      name: "Parameters",
      own: grouped(run.params),
      other: grouped(reference.params),
      change: ratio(run.params, reference.params),
    },
  ];
}

/**
 * The validation loss, and by how much it lies above the training loss.
 * @param {Run} run
 * @param {boolean} bits per character, rather than nats per token
 */
function losses(run, bits) {
  const val = bits ? bitsPerCharacter(run) : run.val_loss;
  if (val === null || !run.val_loss || run.train_loss === null) return { val, gap: null };
  const unit = val / run.val_loss;
  return { val, gap: unit * (run.val_loss - run.train_loss) };
}

/** @param {number | null} value @param {number} digits */
function loss(value, digits) {
  return value === null ? NONE : value.toFixed(digits).replace("-", "−");
}

/** @param {number | null} mine @param {number | null} theirs */
function difference(mine, theirs) {
  return mine === null || theirs === null ? NONE : signed(mine - theirs, 3);
}

/** @param {number | null} value */
function seconds(value) {
  return value === null ? NONE : duration(value);
}

/**
 * @param {number | null} mine
 * @param {number | null} theirs
 * @returns {string} "1.90 times", "the same"
 */
function ratio(mine, theirs) {
  if (mine === null || !theirs) return NONE;
  if (mine === theirs) return "the same";
  const times = mine / theirs;
  return `${times >= 10 ? grouped(Math.round(times)) : Number(times.toPrecision(3))} times`;
}
