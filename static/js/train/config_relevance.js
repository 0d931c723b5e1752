// Which hyperparameters do nothing under the present choices, and why.

/** @typedef {import("./config_schema.js").Kind} Kind */
/** @typedef {import("./config_schema.js").Value} Value */

/** What each kind of model has no use for, whatever the other choices are. */
const UNUSED = {
  gpt: new Set(),
  bigram: new Set(["train.optimizer", "train.muon_learning_rate"]),
  ngram: new Set([
    "train.max_iters",
    "train.batch_size",
    "train.grad_accum",
    "train.optimizer",
    "train.learning_rate",
    "train.muon_learning_rate",
    "train.beta1",
    "train.beta2",
    "train.weight_decay",
    "train.grad_clip",
    "train.schedule",
    "train.warmup_iters",
    "train.decay_fraction",
    "train.final_lr_ratio",
    "train.eval_interval",
    "train.snapshots",
    "train.patience",
    "train.weights",
    "train.precision",
    "train.compile",
  ]),
};

/** @type {Record<string, [other: string, works: (value: Value | undefined) => boolean, needs: string]>} */
const NEEDS = {
  "model.rope_base": ["model.position", (value) => value === "rotary", "position rotary"],
  "model.attention_window": ["model.position", (value) => value === "rotary", "position rotary"],
  "train.muon_learning_rate": ["train.optimizer", (value) => value === "muon", "optimizer muon"],
  "train.decay_fraction": ["train.schedule", (value) => value === "wsd", "schedule wsd"],
  "train.final_lr_ratio": [
    "train.schedule",
    (value) => value !== "constant",
    "a schedule that falls",
  ],
};

/**
 * @param {Kind} kind
 * @param {string} path
 * @returns {boolean} whether a model of this kind is made with it
 */
export function isUsed(kind, path) {
  return !UNUSED[kind].has(path);
}

/**
 * @param {string} path
 * @param {Map<string, Value>} values those of all fields
 * @returns {string} what the field would need to have an effect; empty when it has one
 */
export function missingFor(path, values) {
  const [other, works, needs] = NEEDS[path] ?? [];
  return other && works && needs && !works(values.get(other)) ? needs : "";
}
