// One hyperparameter that varies in a sweep, and the values it takes.

import { clearProblem, showProblem } from "../field_problem.js";
import { copyOf, part } from "../parts.js";
import { parseValue } from "./config_schema.js";

/** @typedef {import("./config_schema.js").ConfigField} ConfigField */
/** @typedef {import("./config_schema.js").Value} Value */
/** @typedef {"grid" | "random"} SweepKind */
/** @typedef {"values" | "range" | "log"} Shape */

/**
 * @typedef {{ values: Value[] } | { min: number, max: number, log: boolean }} Draw
 */

const SHAPES = /** @type {const} */ (["values", "range", "log"]);

export class SweepRow {
  /** @type {SweepKind} */
  #kind = "grid";
  #shape;
  #values;
  #min;
  #max;

  /**
   * @param {HTMLTemplateElement} template
   * @param {ConfigField} field
   * @param {{ onChange: () => void, onRemove: () => void }} listeners
   */
  constructor(template, field, { onChange, onRemove }) {
    this.field = field;
    this.element = copyOf(template);
    /** @type {(name: string, words: string) => HTMLInputElement} */
    const control = (name, words) => {
      const found = /** @type {HTMLInputElement} */ (part(this.element, name));
      found.setAttribute("aria-label", `${field.name}: ${words}`);
      return found;
    };
    this.#shape = control("shape", "how it is drawn");
    this.#values = control("values", "values, with commas between them");
    this.#min = control("min", "least");
    this.#max = control("max", "most");
    part(this.element, "name").textContent = field.name;
    const remove = control("remove", "leave as it is");
    remove.title = "Do not vary it";
    remove.addEventListener("click", onRemove);
    this.element.addEventListener("input", () => {
      this.#look();
      this.showOwnProblem();
      onChange();
    });
  }

  /** @param {SweepKind} kind */
  setKind(kind) {
    this.#kind = kind;
    const inside = kind === "grid" ? "grid" : "random.fields";
    clearProblem(this.element);
    this.element.dataset.param = `${inside}.${this.field.path}`;
    this.#look();
  }

  /** @param {Value} value what the field is now, to suggest others */
  suggest(value) {
    const { type, choices, max } = this.field;
    this.#shape.value = "values";
    if (type === "boolean") this.#values.value = "false, true";
    else if (type === "choice") this.#values.value = choices.join(", ");
    else {
      const least = Number(value) || (type === "integer" ? 1 : 0.1);
      const most = Math.min(2 * least, max?.inclusive ? max.value : Infinity);
      this.#values.value = [...new Set([value ?? "off", least, most])].join(", ");
    }
    this.#look();
  }

  /** @param {string} text what `text` gave once */
  show(text) {
    const [shape, values = ""] = text.split(":");
    this.#shape.value = SHAPES.find((each) => each === shape) ?? "values";
    this.#values.value = values.split(";").join(", ");
    [this.#min.value, this.#max.value = ""] = values.split(";");
    this.#look();
  }

  /** All of it in one word, for an address. */
  get text() {
    const shape = this.#shown;
    const values = shape === "values" ? this.#words : [this.#min.value, this.#max.value];
    return `${shape}:${values.join(";")}`;
  }

  /** @returns {{ draw: Draw } | { problem: string }} */
  get parsed() {
    return this.#shown === "values" ? this.#parsedValues() : this.#parsedRange();
  }

  showOwnProblem() {
    const { parsed } = this;
    if ("problem" in parsed) showProblem(this.element, parsed.problem);
    else clearProblem(this.element);
  }

  /** @returns {Shape} */
  get #shown() {
    return this.#kind === "grid" ? "values" : /** @type {Shape} */ (this.#shape.value);
  }

  get #words() {
    return this.#values.value.split(/[\s,;]+/).filter((word) => word !== "");
  }

  /** @returns {{ draw: Draw } | { problem: string }} */
  #parsedValues() {
    /** @type {Value[]} */
    const values = [];
    for (const word of this.#words) {
      const parsed = parseValue(this.field, word);
      if ("problem" in parsed) return { problem: `“${word}” ${parsed.problem}` };
      if (values.includes(parsed.value)) return { problem: `“${word}” is there twice` };
      values.push(parsed.value);
    }
    return values.length > 0 ? { draw: { values } } : { problem: "name a value, or several" };
  }

  /** @returns {{ draw: Draw } | { problem: string }} */
  #parsedRange() {
    const log = this.#shown === "log";
    const [min, max] = [this.#min, this.#max].map(({ value }) => parseValue(this.field, value));
    if ("problem" in min) return { problem: `from: ${min.problem}` };
    if ("problem" in max) return { problem: `to: ${max.problem}` };
    const [least, most] = [Number(min.value), Number(max.value)];
    if (min.value === null || max.value === null) return { problem: "both ends are needed" };
    if (least >= most) return { problem: `${least} must be below ${most}` };
    if (log && least <= 0) return { problem: "orders of magnitude begin above 0" };
    return { draw: { min: least, max: most, log } };
  }

  /** Show what this kind of sweep needs. */
  #look() {
    const numeric = this.field.type === "number" || this.field.type === "integer";
    this.#shape.hidden = this.#kind === "grid" || !numeric;
    if (!numeric) this.#shape.value = "values";
    const values = this.#shown === "values";
    this.#values.hidden = !values;
    part(this.element, "range").hidden = values;
  }
}
