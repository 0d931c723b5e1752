// Several runs at once: which hyperparameters vary, and how.
import { part } from "../parts.js";
import { SweepRow } from "./sweep_row.js";

/** @typedef {import("./config_schema.js").ConfigField} ConfigField */
/** @typedef {import("./config_schema.js").FieldGroup} FieldGroup */
/** @typedef {import("./config_schema.js").Value} Value */
/** @typedef {"one" | "grid" | "random"} Runs */

/**
 * @typedef {object} Sweeping as the address has it
 * @property {Runs} runs
 * @property {string[]} vary
 * @property {number} count
 * @property {number} draws the seed of the draws
 * @property {number} limit
 */

const ABOUT = {
  one: "",
  grid: "One run for every combination of the values, all else as above.",
  random: "Each run draws a value of every field, all else as above. Good where many fields vary.",
};

export class SweepForm {
  #element;
  #onChange;
  #add;
  /** @type {Map<string, SweepRow>} */
  #rows = new Map();
  /** @type {FieldGroup[]} */
  #groups = [];
  /** @type {Map<string, ConfigField>} */
  #fields = new Map();
  #current;

  /**
   * @param {HTMLElement} element
   * @param {(path: string) => Value} current what a field is now
   * @param {() => void} onChange
   */
  constructor(element, current, onChange) {
    this.#element = element;
    this.#current = current;
    this.#onChange = onChange;
    this.#add = /** @type {HTMLSelectElement} */ (part(element, "add"));
    this.#add.addEventListener("change", () => {
      const row = this.#addRow(this.#add.value);
      if (!row) return;
      row.suggest(current(row.field.path));
      row.element.querySelector("input")?.focus();
      onChange();
    });
    for (const radio of this.#radios()) {
      radio.addEventListener("change", () => {
        this.#look();
        onChange();
      });
    }
    for (const name of ["count", "seed", "limit"]) {
      part(element, name).addEventListener("input", onChange);
    }
  }

  /** @returns {Runs} */
  get runs() {
    const checked = [...this.#radios()].find((radio) => radio.checked);
    return /** @type {Runs} */ (checked?.value ?? "one");
  }

  /** Whether something cannot be read, or nothing varies yet. */
  get incomplete() {
    const rows = [...this.#rows.values()];
    return rows.length === 0 || rows.some(({ parsed }) => "problem" in parsed);
  }

  showOwnProblems() {
    for (const row of this.#rows.values()) row.showOwnProblem();
  }

  /** @returns {Pick<import("../jobs_api.js").SweepRequest, "grid" | "random" | "limit">} */
  request() {
    /** @type {Record<string, import("./sweep_row.js").Draw>} */
    const fields = {};
    for (const [path, { parsed }] of this.#rows) if ("draw" in parsed) fields[path] = parsed.draw;
    const limit = this.#number("limit", 32);
    if (this.runs === "random") {
      const [count, seed] = [this.#number("count", 8), this.#number("seed", 0)];
      return { random: { count, seed, fields }, limit };
    }
    const grid = Object.entries(fields).map(([path, draw]) => [
      path,
      "values" in draw ? draw.values : [],
    ]);
    return { grid: Object.fromEntries(grid), limit };
  }

  /** @returns {Sweeping} */
  read() {
    return {
      runs: this.runs,
      vary: [...this.#rows].map(([path, { text }]) => `${path}:${text}`),
      count: this.#number("count", 8),
      draws: this.#number("seed", 0),
      limit: this.#number("limit", 32),
    };
  }

  /** @param {Sweeping} sweeping */
  show({ runs, vary, count, draws, limit }) {
    for (const radio of this.#radios()) radio.checked = radio.value === runs;
    for (const path of [...this.#rows.keys()]) this.#removeRow(path);
    for (const word of vary) {
      const [path, ...rest] = word.split(":");
      this.#addRow(path)?.show(rest.join(":"));
    }
    this.#input("count").value = String(count);
    this.#input("seed").value = String(draws);
    this.#input("limit").value = String(limit);
    this.#look();
  }

  /** @param {FieldGroup[]} groups what may vary */
  setFields(groups) {
    this.#groups = groups;
    this.#fields = new Map(groups.flatMap(({ fields }) => fields.map((each) => [each.path, each])));
    for (const path of [...this.#rows.keys()]) if (!this.#fields.has(path)) this.#removeRow(path);
    this.#fillAdd();
  }

  /** @param {string} path */
  #addRow(path) {
    const field = this.#fields.get(path);
    if (!field || this.#rows.has(path)) return null;
    const template = /** @type {HTMLTemplateElement} */ (
      this.#element.querySelector("#vary-template")
    );
    const row = new SweepRow(template, field, {
      onChange: this.#onChange,
      onRemove: () => {
        this.#removeRow(path);
        this.#add.focus();
        this.#onChange();
      },
    });
    row.setKind(this.runs === "random" ? "random" : "grid");
    this.#rows.set(path, row);
    part(this.#element, "fields").append(row.element);
    this.#fillAdd();
    return row;
  }

  /** @param {string} path */
  #removeRow(path) {
    this.#rows.get(path)?.element.remove();
    this.#rows.delete(path);
    this.#fillAdd();
  }

  #fillAdd() {
    const groups = this.#groups.map(({ title, fields }) => {
      const group = document.createElement("optgroup");
      group.label = title;
      const rest = fields.filter(({ path }) => !this.#rows.has(path));
      group.append(...rest.map(({ name, path }) => new Option(name, path)));
      return group;
    });
    this.#add.replaceChildren(new Option("choose a field", ""), ...groups);
  }

  #look() {
    const { runs } = this;
    part(this.#element, "settings").hidden = runs === "one";
    part(this.#element, "about").textContent = ABOUT[runs];
    for (const name of ["count-field", "seed-field"]) {
      part(this.#element, name).hidden = runs !== "random";
    }
    for (const row of this.#rows.values()) row.setKind(runs === "random" ? "random" : "grid");
    if (runs !== "one" && this.#rows.size === 0) this.#suggestRow();
  }

  /** Something to begin with: what is worth trying first. */
  #suggestRow() {
    const path = ["train.learning_rate", "model.order"].find((each) => this.#fields.has(each));
    if (path) this.#addRow(path)?.suggest(this.#current(path));
  }

  #radios() {
    return /** @type {NodeListOf<HTMLInputElement>} */ (
      this.#element.querySelectorAll("[name=runs]")
    );
  }

  /** @param {string} name */
  #input(name) {
    return /** @type {HTMLInputElement} */ (part(this.#element, name));
  }

  /**
   * @param {string} name
   * @param {number} usual
   */
  #number(name, usual) {
    const { value } = this.#input(name);
    return value === "" || !Number.isFinite(Number(value)) ? usual : Number(value);
  }
}
