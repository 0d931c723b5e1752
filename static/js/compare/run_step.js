// A run, or a run as it was at a training step, in a word: "baseline", "baseline@388".
import { grouped } from "../format.js";

/** @typedef {{ run: string, step: number | null }} RunStep step null: its final weights */

/**
 * @param {string} word
 * @returns {RunStep}
 */
export function runStep(word) {
  const [run, step] = word.split("@");
  return { run, step: /^\d+$/.test(step ?? "") ? Number(step) : null };
}

/**
 * @param {RunStep} choice
 * @returns {string}
 */
export function runStepWord({ run, step }) {
  return step === null ? run : `${run}@${step}`;
}

/**
 * @param {HTMLSelectElement} select
 * @param {import("../api.js").Run | undefined} run
 * @param {number | null} chosen one that is gone stays in the list, so that it can be seen
 */
export function fillStepPicker(select, run, chosen) {
  const steps = [...(run?.steps ?? [])];
  if (chosen !== null && !steps.includes(chosen)) steps.push(chosen);
  const options = steps.map((step) => new Option(`step ${grouped(step)}`, String(step)));
  options.push(new Option(run?.training ? "the newest weights" : "trained to the end", ""));
  select.replaceChildren(...options);
  select.value = chosen === null ? "" : String(chosen);
}
