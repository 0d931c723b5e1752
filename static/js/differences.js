// What sets a run apart from another one.
import { grouped } from "./format.js";

/** @typedef {import("./api.js").Run} Run */
/** @typedef {{ name: string, value: string, other: string }} Difference */

/** Settings that say how a run is watched or stored, not what it learns. */
const ASIDE = new Set([
  "eval_interval",
  "eval_iters",
  "eval_batch",
  "snapshots",
  "compile",
  "device",
  "grad_accum",
  "parameters",
  "text_sha256",
]);

/**
 * @param {Run} run
 * @param {Run} other
 * @returns {Difference[]} the settings that differ, the model's before the training's; only the
 *   kind where the kinds differ, since nothing else can then be compared
 */
export function differences(run, other) {
  if (run.kind !== other.kind) return [{ name: "kind", value: run.kind, other: other.kind }];
  const [mine, theirs] = [allSettings(run), allSettings(other)];
  return [...new Set([...Object.keys(mine), ...Object.keys(theirs)])]
    .filter((name) => !ASIDE.has(name) && shown(mine[name]) !== shown(theirs[name]))
    .map((name) => ({ name, value: shown(mine[name]), other: shown(theirs[name]) }));
}

/**
 * All that a run was made from.
 * @param {Run} run
 * @returns {Record<string, Record<string, unknown>>} settings by name, in groups
 */
export function settings(run) {
  return {
    Model: { ...run.config.model, parameters: grouped(run.params) },
    Training: { ...run.config.train },
    Origin: {
      text: run.corpus.name,
      text_sha256: run.corpus.sha256.slice(0, 8),
      tokenizer: run.tokenizer ?? "character",
      init_from: origin(run),
      device: run.device ?? "not recorded",
    },
  };
}

/**
 * @param {unknown} value
 * @returns {string}
 */
export function shown(value) {
  if (value === undefined) return "–";
  if (value === null) return "none";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** @param {Run} run */
function allSettings(run) {
  return Object.assign({}, ...Object.values(settings(run)));
}

/** @param {Run} run */
function origin({ init_from }) {
  if (!init_from) return null;
  return init_from.step === null ? init_from.run : `${init_from.run} at ${init_from.step}`;
}
