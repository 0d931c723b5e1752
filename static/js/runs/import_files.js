// The files that a person brings in: dropped, chosen, listed, taken away again.
import { listenToDrops } from "../drop_area.js";
import { bytes } from "../format.js";
import { copyOf, part } from "../parts.js";
import { modelFiles, recognised, withAdded } from "./model_files.js";
import { pickedByChoice, pickedByDrop } from "./picked_files.js";

/** @typedef {import("./model_files.js").NamedFile} NamedFile */
/** @typedef {import("./model_files.js").ModelFiles} ModelFiles */

/** So many of those that stay are called by their names. */
const NAMED = 4;

export class ImportFiles {
  /** what there is to send; null while nothing is chosen @type {ModelFiles | null} */
  model = null;
  #element;
  #onChange;
  /** @type {NamedFile[]} */
  #chosen = [];
  #folder = "";
  #locked = false;

  /**
   * @param {HTMLElement} element
   * @param {() => void} onChange other files are chosen
   */
  constructor(element, onChange) {
    this.#element = element;
    this.#onChange = onChange;
    for (const name of ["choose-files", "choose-folder"]) {
      const input = /** @type {HTMLInputElement} */ (part(element, name));
      input.addEventListener("change", () => {
        this.#add(pickedByChoice(input.files ?? []));
        input.value = "";
      });
    }
    listenToDrops(part(element, "drop"), async (dropped) => {
      if (!this.#locked) this.#add(await pickedByDrop(dropped));
    });
  }

  /** How many bytes are sent. */
  get size() {
    return (this.model?.sent ?? []).reduce((sum, { file }) => sum + file.size, 0);
  }

  /** @param {boolean} locked whether they are on their way, and stay what they are */
  lock(locked) {
    this.#locked = locked;
    for (const control of this.#element.querySelectorAll("input, button")) {
      /** @type {HTMLInputElement} */ (control).disabled = locked;
    }
  }

  focus() {
    part(this.#element, "choose-files").focus();
  }

  clear() {
    this.#show([], "");
  }

  /** @param {import("./picked_files.js").Picked} picked */
  #add({ files, folder }) {
    if (!files.length && !folder) return;
    const chosen = withAdded(this.#chosen, files, folder !== "");
    this.#show(chosen, folder || (chosen.length > files.length ? this.#folder : ""));
    this.#onChange();
  }

  /** @param {NamedFile} file */
  #remove(file) {
    this.#show(
      this.#chosen.filter((one) => one !== file),
      this.#folder,
    );
    this.#onChange();
    this.focus();
  }

  /**
   * @param {NamedFile[]} chosen
   * @param {string} folder
   */
  #show(chosen, folder) {
    this.#chosen = chosen;
    this.#folder = folder;
    this.model = chosen.length || folder ? modelFiles(chosen, folder) : null;
    const { sent = [], leftOut = [] } = this.model ?? {};
    const list = part(this.#element, "list");
    list.hidden = sent.length === 0;
    list.replaceChildren(...sent.map((one) => this.#item(one)));
    const words = part(this.#element, "left-out");
    words.hidden = leftOut.length === 0;
    words.textContent = leftOutWords(leftOut.map(({ name }) => name));
  }

  /** @param {NamedFile} named */
  #item(named) {
    const template = this.#element.querySelector("template");
    const item = copyOf(/** @type {HTMLTemplateElement} */ (template));
    part(item, "name").textContent = named.name;
    part(item, "as").textContent = recognised(named.name);
    part(item, "size").textContent = bytes(named.file.size);
    const remove = part(item, "remove");
    remove.title = `Leave out ${named.name}`;
    remove.setAttribute("aria-label", remove.title);
    remove.addEventListener("click", () => this.#remove(named));
    return item;
  }
}

/** @param {readonly string[]} names */
function leftOutWords(names) {
  const more = names.length - NAMED;
  const shown = more > 0 ? [...names.slice(0, NAMED), `${more} more`] : names;
  return `Not needed, so not sent: ${shown.join(", ")}.`;
}
