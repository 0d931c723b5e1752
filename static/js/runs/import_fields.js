// What a model is called that is brought in, and whose letters its tokens are.
import { part } from "../parts.js";
import { idFrom, idProblem, ownId, titleFrom } from "./run_naming.js";

/** @typedef {import("./model_files.js").ModelFiles} ModelFiles */

const ZIP = /\.zip$/i;
const KEEPS_ITS_OWN = "Left empty, a zipped run keeps its own.";

export class ImportFields {
  #element;
  /** @type {ReadonlySet<string>} */
  #taken = new Set();
  /** the id that the page has put there itself */
  #suggested = "";

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
  }

  /** @returns {{ id: string, title: string, vocabulary: string }} what is empty, the server finds out */
  read() {
    return {
      id: this.#control("id").value.trim(),
      title: this.#control("title").value.trim(),
      vocabulary: this.#control("vocabulary").value,
    };
  }

  /** What is wrong with the id; empty where nothing is. */
  get idProblem() {
    const { id } = this.read();
    return id && idProblem(id, this.#taken);
  }

  /** @param {Iterable<string>} ids that are taken */
  setTaken(ids) {
    this.#taken = new Set(ids);
  }

  /** @param {readonly import("../jobs_api.js").Corpus[]} corpora whose characters can be taken */
  setTexts(corpora) {
    const select = /** @type {HTMLSelectElement} */ (part(this.#element, "vocabulary"));
    const { value } = select;
    const texts = corpora
      .filter(({ problem }) => !problem)
      .map(({ id, name, distinct }) => new Option(`the ${distinct} characters of ${name}`, id));
    select.replaceChildren(select.options[0], ...texts);
    select.value = value;
    if (select.selectedIndex < 0) select.value = "";
  }

  /**
   * Call it as the server would, as long as nobody calls it otherwise.
   * @param {ModelFiles | null} model
   */
  async suggest(model) {
    const name = model?.name ?? "";
    const isZip = ZIP.test(name);
    this.#control("title").placeholder = name && titleFrom(name);
    this.#control("id").placeholder = name && idFrom(name);
    part(this.#element, "id-note").textContent = isZip ? KEEPS_ITS_OWN : "";
    part(this.#element, "id-note").hidden = !isZip;
    this.#put(name && !isZip ? idFrom(name) : "");
    const config = model?.sent.find((one) => one.name === "config.json");
    const own = config ? await ownId(config.file) : "";
    if (own) this.#put(own);
  }

  clear() {
    for (const name of ["id", "title", "vocabulary"]) this.#control(name).value = "";
    void this.suggest(null);
  }

  /** @param {string} id */
  #put(id) {
    const control = this.#control("id");
    if (control.value === this.#suggested) control.value = id;
    this.#suggested = id;
  }

  /** @param {string} name */
  #control(name) {
    return /** @type {HTMLInputElement} */ (part(this.#element, name));
  }
}
