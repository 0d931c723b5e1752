// What sets a run apart from another one.

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
]);

/**
 * @param {Run} run
 * @param {Run} other
 * @returns {Difference[]} the settings that differ, the model's before the training's; only the
 *   kind where the kinds differ, since nothing else can then be compared
 */
export function differences(run, other) {
  if (run.kind !== other.kind) return [{ name: "kind", value: run.kind, other: other.kind }];
  const [mine, theirs] = [settings(run), settings(other)];
  return [...new Set([...Object.keys(mine), ...Object.keys(theirs)])]
    .filter((name) => !ASIDE.has(name) && shown(mine[name]) !== shown(theirs[name]))
    .map((name) => ({ name, value: shown(mine[name]), other: shown(theirs[name]) }));
}

/** @param {Run} run */
function settings(run) {
  return { ...run.config.model, ...run.config.train };
}

/** @param {unknown} value */
function shown(value) {
  if (value === undefined || value === null) return "none";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
