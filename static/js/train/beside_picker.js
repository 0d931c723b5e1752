// Which runs are drawn beside the one that is watched.
import { part } from "../parts.js";

/** @typedef {{ id: string, title: string }} Named */

export class BesidePicker {
  /** @type {Set<string>} */
  #chosen = new Set();

  /**
   * @param {HTMLDetailsElement} element with the parts "beside-words" and "beside-runs"
   * @param {readonly Named[]} runs
   * @param {readonly string[]} chosen ids
   * @param {() => void} onChange called when a person has ticked one
   */
  constructor(element, runs, chosen, onChange) {
    this.element = element;
    this.runs = runs;
    this.onChange = onChange;
    this.#chosen = new Set(chosen);
    element.addEventListener("keydown", (event) => this.#onKey(event));
    document.addEventListener("pointerdown", ({ target }) => {
      if (!element.contains(/** @type {Node} */ (target))) element.open = false;
    });
  }

  /** @returns {string[]} ids, in the order in which they were ticked */
  get chosen() {
    return [...this.#chosen];
  }

  /** @param {string} own the id of the run that is watched: it is not offered */
  show(own) {
    const others = this.runs.filter(({ id }) => id !== own);
    this.element.hidden = others.length === 0;
    this.#part("beside-runs").replaceChildren(...others.map((run) => this.#choice(run)));
    this.#describe(own);
  }

  /** @param {Named} run */
  #choice({ id, title }) {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.value = id;
    box.checked = this.#chosen.has(id);
    box.addEventListener("change", () => {
      if (box.checked) this.#chosen.add(id);
      else this.#chosen.delete(id);
      this.#describe();
      this.onChange();
    });
    label.append(box, title || id);
    return label;
  }

  /** @param {string} [own] */
  #describe(own) {
    const count = this.chosen.filter((id) => id !== own).length;
    const words = count === 0 ? "No run beside it" : `${count} beside it`;
    this.#part("beside-words").textContent = words;
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key !== "Escape" || !this.element.open) return;
    event.stopPropagation();
    this.element.open = false;
    this.#part("beside-words").focus();
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return part(this.element, name);
  }
}
