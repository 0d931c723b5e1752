// Choosing the text to learn from, and bringing an own one.
import { announce } from "../announce.js";
import { ApiError, isAbort } from "../api.js";
import { listenToDrops } from "../drop_area.js";
import { bytes, grouped } from "../format.js";
import { listCorpora, removeCorpus, uploadCorpus } from "../jobs_api.js";
import { part } from "../parts.js";
import { UploadBar } from "../upload_bar.js";
import { CorpusFacts } from "./corpus_facts.js";

/** @typedef {import("../jobs_api.js").Corpus} Corpus */

const ASKS_FOR_MS = 5000;

export class CorpusPicker {
  /** @type {Corpus[]} */
  #corpora;
  #maxBytes = 50_000_000;
  #element;
  #onChange;
  #select;
  #facts;
  #bar;
  #wanted = "";
  /** @type {AbortController | null} */
  #uploading = null;

  /**
   * @param {HTMLElement} element
   * @param {Corpus[]} corpora
   * @param {() => void} onChange another text is chosen
   */
  constructor(element, corpora, onChange) {
    this.#element = element;
    this.#corpora = corpora;
    this.#onChange = onChange;
    this.#select = /** @type {HTMLSelectElement} */ (part(element, "select"));
    this.#facts = new CorpusFacts(part(element, "facts"));
    this.#bar = new UploadBar(part(element, "upload"), () => this.#uploading?.abort());
    this.#fill();
    this.#listen();
    void this.refresh();
  }

  /** The chosen text's id; empty while none is known. */
  get value() {
    return this.#select.value || this.#wanted;
  }

  /** @returns {Corpus | undefined} */
  get chosen() {
    return this.#corpora.find(({ id }) => id === this.value);
  }

  /** @param {string} id of a text, which may only be known once the list is there */
  show(id) {
    this.#wanted = id;
    this.#fill();
  }

  /** The id of the text that is usually learned from; empty while none is known. */
  get usual() {
    return this.#corpora[0]?.id ?? "";
  }

  /**
   * @param {{ sha256: string }} text as a run names it
   * @returns {string} the id of the same text, if it is here
   */
  idOf({ sha256 }) {
    return this.#corpora.find((each) => each.sha256 === sha256)?.id ?? "";
  }

  /** Ask the server which texts there are. */
  async refresh() {
    try {
      const { corpora, max_bytes } = await listCorpora();
      this.#corpora = corpora;
      this.#maxBytes = max_bytes;
      part(this.#element, "limit").textContent = `at most ${bytes(max_bytes)}`;
      this.#complain("");
      this.#fill();
    } catch (error) {
      this.#complain(/** @type {Error} */ (error).message);
    }
  }

  #listen() {
    this.#select.addEventListener("change", () => this.#choose(this.#select.value));
    const file = /** @type {HTMLInputElement} */ (part(this.#element, "file"));
    file.addEventListener("change", () => {
      if (file.files?.[0]) void this.#upload(file.files[0]);
      file.value = "";
    });
    part(this.#element, "remove").addEventListener("click", () => this.#remove());
    listenToDrops(part(this.#element, "drop"), ({ files: [dropped] }) => {
      if (dropped) void this.#upload(dropped);
    });
  }

  /** @param {File} file */
  async #upload(file) {
    this.#uploading?.abort();
    this.#complain("");
    if (file.size > this.#maxBytes) {
      const [size, most] = [bytes(file.size), bytes(this.#maxBytes)];
      return this.#complain(`${file.name} has ${size}, and a text may have ${most}: shorten it.`);
    }
    const uploading = (this.#uploading = new AbortController());
    this.#showUpload(file.name, 0);
    try {
      const corpus = await uploadCorpus(file, {
        signal: uploading.signal,
        onProgress: (share) => this.#showUpload(file.name, share),
      });
      const known = this.#corpora.some(({ id }) => id === corpus.id);
      if (!known) this.#corpora = [...this.#corpora, corpus];
      this.#choose(corpus.id);
      announce(known ? `The same text is here as ${corpus.name}` : `${corpus.name} is here`);
    } catch (error) {
      if (!isAbort(error)) this.#complain(`${file.name}: ${reasonOf(error)}`);
    } finally {
      if (this.#uploading === uploading) this.#uploading = null;
      if (!this.#uploading) this.#hideUpload();
    }
  }

  /**
   * @param {string} name of what is on its way
   * @param {number} share of it that has gone
   */
  #showUpload(name, share) {
    part(this.#element, "drop-hint").hidden = true;
    this.#bar.show(name, share);
  }

  #hideUpload() {
    part(this.#element, "drop-hint").hidden = false;
    this.#bar.hide();
  }

  /** @param {string} id */
  #choose(id) {
    this.#complain("");
    this.show(id);
    this.#onChange();
  }

  async #remove() {
    const corpus = this.chosen;
    const button = part(this.#element, "remove");
    if (!corpus) return;
    if (button.dataset.asks !== corpus.id) return this.#ask(button, corpus.id);
    try {
      await removeCorpus(corpus.id);
      this.#corpora = this.#corpora.filter(({ id }) => id !== corpus.id);
      this.#choose(this.#corpora[0]?.id ?? "");
      this.#select.focus();
      announce(`${corpus.name} is deleted`);
    } catch (error) {
      this.#complain(/** @type {Error} */ (error).message);
    }
  }

  /**
   * What cannot be taken back is pressed twice.
   * @param {HTMLElement} button
   * @param {string} id
   */
  #ask(button, id) {
    button.dataset.asks = id;
    this.#showRemove("Press again to delete it for good");
    setTimeout(() => {
      delete button.dataset.asks;
      this.#showRemove("Delete this text");
    }, ASKS_FOR_MS);
  }

  /** @param {string} words */
  #showRemove(words) {
    part(this.#element, "remove-words").textContent = words;
  }

  /** @param {string} message */
  #complain(message) {
    const alert = part(this.#element, "alert");
    alert.textContent = message;
    alert.hidden = message === "";
  }

  #fill() {
    const options = this.#corpora.map(({ id, name, characters, problem }) => {
      const about = problem ? "cannot be used" : `${grouped(characters)} characters`;
      return new Option(`${name} – ${about}`, id);
    });
    const known = this.#corpora.some(({ id }) => id === this.#wanted);
    if (this.#wanted && !known) {
      options.push(new Option(`${this.#wanted} – there is no such text`, this.#wanted));
    }
    this.#select.replaceChildren(...options);
    if (this.#wanted) this.#select.value = this.#wanted;
    const corpus = this.chosen ?? null;
    this.#facts.show(corpus?.problem ? null : corpus);
    if (corpus?.problem) this.#complain(corpus.problem);
    part(this.#element, "remove").hidden = !corpus || corpus.builtin;
  }
}

/** @param {unknown} error */
function reasonOf(error) {
  return error instanceof ApiError ? error.reason : String(error);
}
