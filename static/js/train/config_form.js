// Every hyperparameter of a kind of model, in groups, with marks at what was changed.

import { copyOf, part } from "../parts.js";
import { ConfigFieldRow } from "./config_field.js";
import { isUsed, missingFor } from "./config_relevance.js";
import { flat, VOCABULARY } from "./config_schema.js";

/** @typedef {import("./config_schema.js").Kind} Kind */
/** @typedef {import("./config_schema.js").Value} Value */

const OPEN_GROUPS = 3;

/**
 * @typedef {object} Reference what the form starts from
 * @property {string} name
 * @property {Kind} kind
 * @property {Map<string, Value>} values
 */

export class ConfigForm {
  /** @type {Reference} */
  #reference = { name: "", kind: "gpt", values: new Map() };
  /** @type {Map<string, ConfigFieldRow>} */
  #rows = new Map();
  /** @type {Kind | null} */
  #built = null;
  #element;
  #schema;
  #vocabularyPlace;
  #onChange;

  /**
   * @param {HTMLElement} element
   * @param {import("./config_schema.js").ConfigSchema} schema
   * @param {HTMLElement} vocabularyPlace where the vocabulary's size goes; hidden means unused
   * @param {() => void} onChange
   */
  constructor(element, schema, vocabularyPlace, onChange) {
    this.#element = element;
    this.#schema = schema;
    this.#vocabularyPlace = vocabularyPlace;
    this.#onChange = () => {
      this.refresh();
      onChange();
    };
    part(element, "reset-all").addEventListener("click", () => {
      this.show(this.#reference);
      this.#onChange();
    });
  }

  get kind() {
    return this.#reference.kind;
  }

  /** @returns {Map<string, Value>} all that can be read, the unused ones as they were */
  get values() {
    const values = new Map(this.#reference.values);
    for (const [path, { parsed }] of this.#rows) {
      if ("value" in parsed) values.set(path, parsed.value);
    }
    if (this.#vocabularyPlace.hidden) values.delete(VOCABULARY);
    return values;
  }

  /** @returns {Map<string, Value>} what is not as in the reference */
  get changes() {
    const changed = [...this.#used()].filter(([, row]) => row.changed);
    /** @type {Map<string, Value>} */
    const changes = new Map();
    for (const [path, { parsed }] of changed) {
      if ("value" in parsed) changes.set(path, parsed.value);
    }
    return changes;
  }

  /** @returns {import("./config_schema.js").FieldGroup[]} what has a use, as it is shown */
  get groups() {
    const groups = this.#schema.groups(this.kind).map(({ title, fields }) => ({
      title,
      fields: fields.filter(({ path }) => isUsed(this.kind, path)),
    }));
    const size = this.#schema.fields(this.kind).get(VOCABULARY);
    if (size && !this.#vocabularyPlace.hidden) groups.push({ title: "Text", fields: [size] });
    return groups.filter(({ fields }) => fields.length > 0);
  }

  /** Whether something cannot be read. */
  get unreadable() {
    return [...this.#used()].some(([, { parsed }]) => "problem" in parsed);
  }

  /**
   * @param {Reference} reference
   * @param {Map<string, Value>} [changes] to make to it at once
   */
  show(reference, changes = new Map()) {
    this.#reference = reference;
    if (this.#built !== reference.kind) this.#build(reference.kind);
    for (const [path, row] of this.#rows) {
      const value = reference.values.get(path);
      const usual = value === undefined ? row.field.default : value;
      row.refer(usual, reference.name);
      row.show(/** @type {Value} */ (changes.has(path) ? changes.get(path) : usual));
    }
    this.refresh();
  }

  /**
   * @param {string} path
   * @param {Value} value
   */
  set(path, value) {
    this.#rows.get(path)?.show(value);
    this.refresh();
  }

  showOwnProblems() {
    for (const [, row] of this.#used()) row.showOwnProblem();
  }

  /** Show anew what depends on other fields. */
  refresh() {
    const { values } = this;
    for (const [path, row] of this.#rows) row.showNeeds(missingFor(path, values));
    const count = [...this.#used()].filter(([, row]) => row.changed).length;
    const words = count === 0 ? `as in ${this.#reference.name}` : `${count} changed`;
    part(this.#element, "changes").textContent = words;
    part(this.#element, "reset-all").hidden = count === 0;
    for (const group of this.#element.querySelectorAll(".config-group")) {
      const changed = group.querySelectorAll(".is-changed").length;
      part(group, "count").textContent = `${changed} changed`;
      part(group, "count").hidden = changed === 0;
    }
  }

  #used() {
    const hidden = this.#vocabularyPlace.hidden;
    return [...this.#rows].filter(([path]) => path !== VOCABULARY || !hidden);
  }

  /** @param {Kind} kind */
  #build(kind) {
    this.#built = kind;
    this.#rows.clear();
    const groups = this.groups
      .filter(({ fields }) => fields[0].path !== VOCABULARY)
      .map(({ title, fields }, index) => this.#group(title, fields, index < OPEN_GROUPS));
    part(this.#element, "groups").replaceChildren(...groups);
    const vocabulary = this.#schema.fields(kind).get(VOCABULARY);
    if (vocabulary) this.#vocabularyPlace.replaceChildren(this.#row(vocabulary));
  }

  /**
   * @param {string} title
   * @param {import("./config_schema.js").ConfigField[]} fields
   * @param {boolean} open
   */
  #group(title, fields, open) {
    const group = /** @type {HTMLDetailsElement} */ (copyOf(this.#template("config-group")));
    group.open = open;
    part(group, "title").textContent = title;
    part(group, "names").textContent = fields.map(({ name }) => name).join(", ");
    part(group, "fields").append(...fields.map((field) => this.#row(field)));
    return group;
  }

  /** @param {import("./config_schema.js").ConfigField} field */
  #row(field) {
    const row = new ConfigFieldRow(this.#template("config-field"), field, this.#onChange);
    this.#rows.set(field.path, row);
    return row.element;
  }

  /** @param {string} name */
  #template(name) {
    const template = this.#element.querySelector(`#${name}-template`);
    return /** @type {HTMLTemplateElement} */ (template);
  }
}

/**
 * @param {string} name
 * @param {{ model: Record<string, unknown>, train: Record<string, unknown> | null }} config
 * @returns {Reference}
 */
export function referenceTo(name, config) {
  return { name, kind: /** @type {Kind} */ (config.model.kind), values: flat(config) };
}
