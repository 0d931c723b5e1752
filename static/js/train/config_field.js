// One hyperparameter in the form: name, control, explanation, and what it was.

import { clearProblem, showProblem } from "../field_problem.js";
import { copyOf, part } from "../parts.js";
import { controlOf } from "./config_control.js";
import { parseValue, shownValue } from "./config_schema.js";

/** @typedef {import("./config_schema.js").ConfigField} ConfigField */
/** @typedef {import("./config_schema.js").Value} Value */

export class ConfigFieldRow {
  #control;
  /** @type {Value} */
  #reference = null;
  #referenceName = "";

  /**
   * @param {HTMLTemplateElement} template
   * @param {ConfigField} field
   * @param {() => void} onChange
   */
  constructor(template, field, onChange) {
    this.field = field;
    this.element = copyOf(template);
    this.#control = controlOf(field, `field-${field.path}`);
    this.#fill();
    this.element.addEventListener("input", () => this.#changed(onChange));
    part(this.element, "reset").addEventListener("click", () => {
      this.show(this.#reference);
      this.#changed(onChange);
      this.#control.main.focus();
    });
  }

  /** @returns {ReturnType<typeof parseValue>} */
  get parsed() {
    return parseValue(this.field, this.#control.read());
  }

  /** Whether it is not what the form started from; what cannot be read counts as changed. */
  get changed() {
    const { parsed } = this;
    return "problem" in parsed || parsed.value !== this.#reference;
  }

  /** @param {Value} value */
  show(value) {
    this.#control.show(value);
    clearProblem(this.element);
    this.#showChanged();
  }

  /**
   * @param {Value} value what a reset goes back to
   * @param {string} name where that comes from
   */
  refer(value, name) {
    this.#reference = value;
    this.#referenceName = name;
    this.#showChanged();
  }

  /** @param {string} needs what it would need to have an effect; empty when it has one */
  showNeeds(needs) {
    this.element.classList.toggle("is-idle", needs !== "");
    part(this.element, "needs").textContent = needs ? `Needs ${needs}.` : "";
  }

  showOwnProblem() {
    const { parsed } = this;
    if ("problem" in parsed) showProblem(this.element, parsed.problem);
    else clearProblem(this.element);
  }

  /** @param {() => void} onChange */
  #changed(onChange) {
    this.showOwnProblem();
    this.#showChanged();
    onChange();
  }

  #fill() {
    const { field, element } = this;
    element.dataset.param = `config.${field.path}`;
    element.dataset.type = field.type;
    part(element, "name").textContent = field.name;
    /** @type {HTMLLabelElement} */ (part(element, "label")).htmlFor = this.#control.main.id;
    part(element, "control").append(this.#control.element);
    part(element, "description").textContent = field.description;
    part(element, "default").textContent = `Default ${shownValue(field.default)}.`;
    const about = part(element, "about");
    about.id = `about-${field.path}`;
    this.#control.main.setAttribute("aria-describedby", about.id);
  }

  #showChanged() {
    const { changed, element, field } = this;
    const back = shownValue(this.#reference);
    element.classList.toggle("is-changed", changed);
    const reset = part(element, "reset");
    reset.hidden = !changed;
    reset.title = `${this.#referenceName} has ${back}`;
    reset.setAttribute("aria-label", `Set ${field.name} back to ${back}`);
    part(element, "reset-to").textContent = back;
  }
}
