// One experiment: a base, one setting with another value, and a job made from them.
import { flat, nested, parseValue, shownValue } from "../train/config_schema.js";

/**
 * @typedef {import("../api.js").Run} Run
 * @typedef {import("../jobs_api.js").Preset} Preset
 * @typedef {import("../train/config_schema.js").ConfigField} ConfigField
 * @typedef {import("../train/config_schema.js").Kind} Kind
 * @typedef {import("../train/config_schema.js").Value} Value
 * @typedef {import("./tuning_api.js").Catalogue} Catalogue
 *
 * @typedef {{ base: string, setting: string, value: string, hypothesis: string }} Wanted
 *
 * @typedef {object} Base
 * @property {string} title
 * @property {Kind} kind
 * @property {Map<string, Value>} values by path
 * @property {string} tokenizer
 * @property {string} corpus id of its text; "" where the usual one holds, or where it is not here
 * @property {string} reference id of the run to compare with; "" where there is none
 * @property {string} problem why nothing can start from it; "" where something can
 */

/** A title has room for what was changed, too. */
const LONGEST_BASE = 150;

/** Those that tell most, in the order to try them. */
export const SETTINGS = [
  "train.learning_rate",
  "train.max_iters",
  "train.batch_size",
  "train.optimizer",
  "train.schedule",
  "model.n_layer",
  "model.n_head",
  "model.n_embd",
  "model.block_size",
  "model.position",
  "model.norm",
  "model.dropout",
  "train.seed",
];

/**
 * @param {string} word "preset:case-1" or "run:my-run"
 * @param {Catalogue} catalogue
 * @param {readonly Run[]} runs
 * @returns {Base | null} null where there is no such one
 */
export function baseOf(word, { presets, corpora }, runs) {
  const [from, id] = [word.slice(0, word.indexOf(":")), word.slice(word.indexOf(":") + 1)];
  if (from === "preset") {
    const preset = presets.find((each) => each.id === id);
    const made = runs.find((run) => run.id === id && !run.training);
    return preset ? based(preset, { reference: made?.id ?? "" }) : null;
  }
  const run = from === "run" ? runs.find((each) => each.id === id) : undefined;
  if (!run) return null;
  const text = corpora.find(({ sha256 }) => sha256 === run.corpus?.sha256);
  const named = run.corpus ? `The text of ${run.title}, ${run.corpus.name},` : "Its text";
  const problem = text ? "" : `${named} is not here. Choose another base, or bring the text in.`;
  return based(run, { corpus: text?.id ?? "", reference: run.id, problem });
}

/**
 * @param {Run | Preset} from
 * @param {{ reference: string, corpus?: string, problem?: string }} about
 * @returns {Base}
 */
function based(from, { reference, corpus = "", problem = "" }) {
  return {
    title: from.title,
    kind: /** @type {Kind} */ (from.config.model.kind),
    values: flat(from.config),
    tokenizer: from.tokenizer ?? "character",
    corpus,
    reference,
    problem,
  };
}

/**
 * @param {Base} base
 * @param {Catalogue} catalogue
 * @returns {ConfigField[]} the settings on offer that such a model has
 */
export function settingsOf(base, { schema }) {
  const fields = schema.fields(base.kind);
  return SETTINGS.flatMap((path) => fields.get(path) ?? []);
}

/**
 * @param {Base} base
 * @param {ConfigField} field
 * @param {string} text as it was typed or chosen
 * @returns {{ value: Value } | { problem: string }}
 */
export function changedValue(base, field, text) {
  const parsed = parseValue(field, text);
  const now = base.values.get(field.path) ?? null;
  if ("value" in parsed && parsed.value === now) {
    return { problem: `${base.title} has ${shownValue(now)} already: choose another value` };
  }
  return parsed;
}

/**
 * @param {Base} base
 * @param {ConfigField} field
 * @param {Value} value
 * @param {string} hypothesis
 * @returns {import("../jobs_api.js").JobRequest}
 */
export function jobRequest(base, field, value, hypothesis) {
  const values = new Map(base.values).set(field.path, value);
  return {
    config: nested(base.kind, values),
    title: `${base.title.slice(0, LONGEST_BASE)}, ${field.name} ${shownValue(value)}`,
    hypothesis: hypothesis.trim(),
    tokenizer: base.tokenizer,
    ...(base.corpus && { corpus: base.corpus }),
  };
}
