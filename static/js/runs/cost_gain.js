// What each run cost, in minutes of training, against what it brought, in validation loss.
import { grouped } from "../format.js";
import { bitsPerCharacter, isMeasured, lossChange, perCharacter, sameText } from "../losses.js";

/**
 * @typedef {import("../api.js").Run} Run
 * @typedef {object} Outcome
 * @property {Run} run
 * @property {number | null} minutes
 * @property {number | null} times how many times the reference's minutes
 * @property {number | null} change share by which its loss lies above the reference's
 * @property {number | null} perMinute share of the reference's loss gained in each of its minutes
 */

/** A ratio this close to 1 is no difference worth a number. */
const ABOUT_THE_SAME = 0.05;
/** A change of loss that rounds to 0.0 %. */
const SMALLEST_CHANGE = 0.0005;

/**
 * @param {readonly Run[]} runs
 * @param {Run} reference
 * @returns {Outcome[]} the largest gain for each minute first; last those that cannot be compared
 */
export function outcomes(runs, reference) {
  const whole = minutesOf(reference);
  const all = runs.map((run) => {
    const minutes = minutesOf(run);
    const change = lossChange(run, reference);
    return {
      run,
      minutes,
      times: minutes !== null && whole ? minutes / whole : null,
      change,
      perMinute: change !== null && minutes ? -change / minutes : null,
    };
  });
  return all.sort((a, b) => (b.perMinute ?? -Infinity) - (a.perMinute ?? -Infinity) || 0);
}

/**
 * @param {Outcome} outcome
 * @param {Run} reference
 * @returns {string} "Twice the iterations: 1.9 times baseline's minutes, validation loss 4.3 % lower"
 */
export function sentence({ run, minutes, times, change, perMinute }, reference) {
  const title = run.training ? `${run.title}, so far` : run.title;
  if (run === reference) {
    const loss = run.val_loss === null ? "" : `, validation loss ${run.val_loss.toFixed(4)}`;
    return `${title}: ${spent(minutes)}${loss}. The others are measured against it.`;
  }
  if (minutes === null && !isMeasured(run)) {
    return `${title}: brought in, so neither its time nor its loss was measured here.`;
  }
  const cost = times === null ? spent(minutes) : timesWords(times, reference);
  const place = run.device && run.device !== reference.device ? ` on ${run.device}` : "";
  const rate = perMinute !== null && (change ?? 0) <= -SMALLEST_CHANGE ? rateWords(perMinute) : "";
  return `${title}: ${cost}${place}, ${changeWords(run, reference, change)}${rate}.`;
}

/**
 * @param {readonly Run[]} runs
 * @returns {string} why their minutes may not compare; empty where nothing speaks against it
 */
export function deviceWarning(runs) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { device, wall_time_s } of runs) {
    if (wall_time_s === null) continue;
    const name = device ?? "a device that was not recorded";
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  if (counts.size < 2) return "";
  const each = [...counts].map(([name, count]) => `${name} (${runsWord(count)})`);
  return `Minutes compare on the same device only. These were measured on ${each.join(", ")}.`;
}

/** @param {Run} run */
function minutesOf({ wall_time_s }) {
  return wall_time_s === null ? null : wall_time_s / 60;
}

/** @param {number | null} minutes */
function spent(minutes) {
  return minutes === null ? "time not measured" : `${figure(minutes)} minutes`;
}

/**
 * @param {number} times
 * @param {Run} reference
 */
function timesWords(times, reference) {
  const name = reference.id === "baseline" ? "baseline" : reference.title;
  if (Math.abs(times - 1) < ABOUT_THE_SAME) return `about as many minutes as ${name}`;
  return `${figure(times)} times ${name}'s minutes`;
}

/**
 * @param {Run} run
 * @param {Run} reference
 * @param {number | null} change
 */
function changeWords(run, reference, change) {
  if (change === null) return incomparable(run, reference);
  const measure =
    perCharacter(run) && perCharacter(reference) ? "validation loss" : "bits per character";
  if (Math.abs(change) < SMALLEST_CHANGE) return `${measure} the same`;
  return `${measure} ${Math.abs(100 * change).toFixed(1)} % ${change < 0 ? "lower" : "higher"}`;
}

/**
 * @param {Run} run
 * @param {Run} reference
 */
function incomparable(run, reference) {
  if (run.val_loss === null) return "no validation loss yet";
  if (!run.corpus || !reference.corpus) return "a text nobody knows, so its loss does not compare";
  if (!sameText(run, reference)) return "another text, so its loss does not compare";
  const unknown = bitsPerCharacter(run) === null;
  return unknown ? "other tokens, so its loss does not compare" : "nothing to compare it with";
}

/** @param {number} perMinute */
function rateWords(perMinute) {
  return ` (${figure(100 * perMinute)} % for each minute)`;
}

/**
 * @param {number} value
 * @returns {string} two digits, or all before the point: "0.034", "1.9", "12", "1,426"
 */
function figure(value) {
  return value >= 10 ? grouped(Math.round(value)) : String(Number(value.toPrecision(2)));
}

/** @param {number} count */
function runsWord(count) {
  return count === 1 ? "1 run" : `${count} runs`;
}
