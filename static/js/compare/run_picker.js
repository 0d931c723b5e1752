// Choosing a run, with what one needs to know to choose.
import { differences } from "../differences.js";
import { millions } from "../format.js";
import { originName } from "../run_origin.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {import("../api.js").RunList} RunList */

const REFERENCE = "baseline";
const MANY_DIFFERENCES = 6;

/**
 * @param {HTMLSelectElement} select
 * @param {RunList} list
 * @param {string} chosen a run's id; one that is gone stays in the list, so that it can be seen
 */
export function fillRunPicker(select, { runs, broken }, chosen) {
  const options = runs.map((run) => new Option(optionText(run, runs), run.id));
  for (const { id, reason } of broken) {
    const option = new Option(`${id} – cannot be read: ${reason}`, id);
    option.disabled = true;
    options.push(option);
  }
  if (![...runs, ...broken].some(({ id }) => id === chosen)) {
    options.push(new Option(`${chosen} – there is no such run`, chosen));
  }
  select.replaceChildren(...options);
  select.value = chosen;
}

/**
 * @param {Run} run
 * @param {number | null} step of its training
 * @returns {string} loss at the end, or where it was brought in from, parameters, context
 */
export function runFacts(run, step) {
  const loss =
    run.val_loss === null || step !== null ? [] : [`val loss ${run.val_loss.toFixed(4)}`];
  const from = run.imported ? [`from ${originName(run.imported)}`] : [];
  return [...loss, ...from, millions(run.params), `context ${run.block_size}`].join(" · ");
}

/**
 * @param {Run} run
 * @param {readonly Run[]} runs
 * @returns {HTMLElement[]} a chip for each setting that is not the baseline's
 */
export function runDifferences(run, runs) {
  return apart(run, runs).map(chip);
}

/**
 * @param {Run} run
 * @param {readonly Run[]} runs
 * @returns {string[]} how the run differs from the baseline, if it is there
 */
function apart(run, runs) {
  const reference = runs.find(({ id }) => id === REFERENCE);
  if (!reference || reference === run) return [];
  const all = differences(run, reference).map(({ name, value }) => `${name} ${value}`);
  const shown = all.slice(0, MANY_DIFFERENCES);
  return all.length > shown.length ? [...shown, `${all.length - shown.length} more`] : shown;
}

/**
 * @param {Run} run
 * @param {readonly Run[]} runs
 */
function optionText(run, runs) {
  const loss = run.val_loss === null ? "" : ` · val ${run.val_loss.toFixed(4)}`;
  const [first, ...more] = apart(run, runs);
  const different = first ? ` · ${first}${more.length ? ", …" : ""}` : "";
  return `${run.id} – ${run.title} · ${millions(run.params)}${loss}${different}`;
}

/** @param {string} text */
function chip(text) {
  const element = document.createElement("li");
  element.className = "chip is-different";
  element.textContent = text;
  return element;
}
