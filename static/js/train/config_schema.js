// The hyperparameters, as the server's JSON schemas describe them.

/**
 * @typedef {"gpt" | "bigram" | "ngram"} Kind
 * @typedef {number | string | boolean | null} Value
 *
 * @typedef {object} FormSchema
 * @property {any} model JSON schema of a GPT
 * @property {any} bigram
 * @property {any} ngram
 * @property {any} train
 * @property {{ title: string, fields: string[] }[]} groups
 *
 * @typedef {object} ConfigField one hyperparameter
 * @property {string} path such as "train.learning_rate"
 * @property {string} name such as "learning_rate"
 * @property {string} description
 * @property {"integer" | "number" | "boolean" | "choice"} type
 * @property {boolean} nullable whether it may be off
 * @property {Value} default
 * @property {string[]} choices of a choice
 * @property {{ value: number, inclusive: boolean } | null} min of a number, like the next
 * @property {{ value: number, inclusive: boolean } | null} max
 *
 * @typedef {{ title: string, fields: ConfigField[] }} FieldGroup
 */

/** The one that the text decides, unless its tokens are byte pairs. */
export const VOCABULARY = "model.vocab_size";

/** @type {Record<Kind, "model" | "bigram" | "ngram">} */
const SCHEMA_OF = { gpt: "model", bigram: "bigram", ngram: "ngram" };

export class ConfigSchema {
  #schema;

  /** @param {FormSchema} schema */
  constructor(schema) {
    this.#schema = schema;
  }

  /**
   * @param {Kind} kind
   * @returns {FieldGroup[]} what a model of this kind has, without empty groups
   */
  groups(kind) {
    const fields = this.fields(kind);
    return this.#schema.groups
      .map(({ title, fields: paths }) => ({
        title,
        fields: paths.flatMap((path) => fields.get(path) ?? []),
      }))
      .filter((group) => group.fields.length > 0);
  }

  /**
   * @param {Kind} kind
   * @returns {Map<string, ConfigField>} every field by its path, the vocabulary's size too
   */
  fields(kind) {
    const parts = { model: this.#schema[SCHEMA_OF[kind]], train: this.#schema.train };
    /** @type {Map<string, ConfigField>} */
    const fields = new Map();
    for (const [part, schema] of Object.entries(parts)) {
      for (const [name, about] of Object.entries(schema.properties)) {
        const path = `${part}.${name}`;
        if (name !== "kind") fields.set(path, field(path, name, about));
      }
    }
    return fields;
  }
}

/**
 * @param {{ model: Record<string, unknown>, train: Record<string, unknown> | null }} config
 * @returns {Map<string, Value>} its values by path, but for the kind
 */
export function flat({ model, train }) {
  /** @type {[string, Value][]} */
  const values = [];
  for (const [part, fields] of Object.entries({ model, train: train ?? {} })) {
    for (const [name, value] of Object.entries(fields)) {
      if (name !== "kind") values.push([`${part}.${name}`, /** @type {Value} */ (value)]);
    }
  }
  return new Map(values);
}

/**
 * @param {Kind} kind
 * @param {Map<string, Value>} values
 * @returns {{ model: Record<string, Value>, train: Record<string, Value> }}
 */
export function nested(kind, values) {
  /** @type {{ model: Record<string, Value>, train: Record<string, Value> }} */
  const config = { model: { kind }, train: {} };
  for (const [path, value] of values) {
    const [part, name] = path.split(".");
    config[/** @type {"model" | "train"} */ (part)][name] = value;
  }
  return config;
}

/**
 * @param {ConfigField} field
 * @param {string} text as a person types it
 * @returns {{ value: Value } | { problem: string }}
 */
export function parseValue(field, text) {
  const word = text.trim();
  if (word === "" || word === "off") {
    return field.nullable ? { value: null } : { problem: "a value is missing" };
  }
  if (field.type === "boolean") {
    if (["true", "false"].includes(word)) return { value: word === "true" };
    return { problem: "must be true or false" };
  }
  if (field.type === "choice") {
    if (field.choices.includes(word)) return { value: word };
    return { problem: `must be one of ${field.choices.join(", ")}` };
  }
  return parseNumber(field, word);
}

/**
 * @param {ConfigField} field
 * @param {string} word
 * @returns {{ value: number } | { problem: string }}
 */
function parseNumber({ type, min, max }, word) {
  const value = Number(word);
  if (!Number.isFinite(value)) return { problem: "must be a number" };
  if (type === "integer" && !Number.isInteger(value)) return { problem: "must be a whole number" };
  if (min && (min.inclusive ? value < min.value : value <= min.value)) {
    return { problem: `must be ${min.inclusive ? "at least" : "above"} ${min.value}` };
  }
  if (max && (max.inclusive ? value > max.value : value >= max.value)) {
    return { problem: `must be ${max.inclusive ? "at most" : "below"} ${max.value}` };
  }
  return { value };
}

/**
 * @param {Value | undefined} value
 * @returns {string} as a person reads it
 */
export function shownValue(value) {
  if (value === null || value === undefined) return "off";
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value);
}

/**
 * @param {string} path
 * @param {string} name
 * @param {any} about its JSON schema
 * @returns {ConfigField}
 */
function field(path, name, about) {
  /** @type {any[]} */
  const branches = about.anyOf ?? [about];
  const branch = branches.find(({ type }) => type !== "null");
  return {
    path,
    name,
    description: about.description ?? "",
    type: branch.enum ? "choice" : branch.type,
    nullable: branches.length > 1,
    default: about.default,
    choices: branch.enum ?? [],
    min: bound(branch.minimum, branch.exclusiveMinimum),
    max: bound(branch.maximum, branch.exclusiveMaximum),
  };
}

/**
 * @param {number | undefined} inclusive
 * @param {number | undefined} exclusive
 */
function bound(inclusive, exclusive) {
  if (inclusive !== undefined) return { value: inclusive, inclusive: true };
  return exclusive === undefined ? null : { value: exclusive, inclusive: false };
}
