// What sets a run apart from another one.
import { grouped } from "./format.js";
import { originName } from "./run_origin.js";

/** @typedef {import("./api.js").Run} Run */
/** @typedef {{ name: string, value: string, other: string }} Difference */
/** @typedef {Record<string, unknown> | null} Group null: nobody knows them */

/** How a setting reads that nobody knows, as of a run that was brought in. */
export const UNKNOWN = "not known";

/** Settings that say how a run is watched, stored or came here, not what it learns. */
const ASIDE = new Set([
  "eval_interval",
  "eval_iters",
  "eval_batch",
  "snapshots",
  "compile",
  "device",
  "grad_accum",
  "imported",
  "parameters",
  "text_sha256",
]);

/**
 * @param {Run} run
 * @param {Run} other
 * @returns {Difference[]} the settings that are known to differ, the model's before the training's;
 *   only the kind where the kinds differ, since nothing else can then be compared
 */
export function differences(run, other) {
  if (run.kind !== other.kind) return [{ name: "kind", value: run.kind, other: other.kind }];
  const [mine, theirs] = [settings(run), settings(other)];
  return Object.keys(mine)
    .flatMap((group) =>
      settingNames([mine[group], theirs[group]]).map((name) => ({
        name,
        value: setting(mine[group], name),
        other: setting(theirs[group], name),
      })),
    )
    .filter(isWorthTelling);
}

/**
 * All that a run was made from.
 * @param {Run} run
 * @returns {Record<string, Group>} settings by name, in groups
 */
export function settings(run) {
  return {
    Model: { ...run.config.model, parameters: grouped(run.params) },
    Training: run.config.train,
    Origin: {
      text: run.corpus?.name ?? UNKNOWN,
      text_sha256: run.corpus?.sha256.slice(0, 8) ?? UNKNOWN,
      tokenizer: run.tokenizer ?? "character",
      init_from: origin(run),
      imported: run.imported ? originName(run.imported) : null,
      device: run.device ?? "not recorded",
    },
  };
}

/**
 * @param {readonly Group[]} groups the same one of several runs
 * @returns {string[]} each setting that one of them has
 */
export function settingNames(groups) {
  return [...new Set(groups.flatMap((group) => Object.keys(group ?? {})))];
}

/**
 * @param {Group} group
 * @param {string} name
 * @returns {string} as a person reads it; a dash for what such a run does not have
 */
export function setting(group, name) {
  return group === null ? UNKNOWN : shown(group[name]);
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

/** @param {Difference} difference */
function isWorthTelling({ name, value, other }) {
  return !ASIDE.has(name) && value !== other && value !== UNKNOWN && other !== UNKNOWN;
}

/** @param {Run} run */
function origin({ init_from }) {
  if (!init_from) return null;
  return init_from.step === null ? init_from.run : `${init_from.run} at ${init_from.step}`;
}
