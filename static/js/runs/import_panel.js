// Bringing in a model: the part of the page that is opened for it.
import { announce } from "../announce.js";
import { ApiError, isAbort, listRuns } from "../api.js";
import {
  clearProblem,
  clearProblems,
  fieldOf,
  focusFirstProblem,
  problemOf,
  showProblem,
} from "../field_problem.js";
import { bytes } from "../format.js";
import { listCorpora } from "../jobs_api.js";
import { byId, part } from "../parts.js";
import { UploadBar } from "../upload_bar.js";
import { ImportFields } from "./import_fields.js";
import { ImportFiles } from "./import_files.js";
import { sendModel } from "./model_upload.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {import("./model_upload.js").Stage} Stage */

/** @type {Record<Stage, string>} */
const STAGES = {
  packing: "Packing",
  sending: "Sending",
  reading: "the server reads and checks it",
};

export class ImportPanel {
  #element = byId("import-panel");
  #opener;
  #onRun;
  #files;
  #fields;
  #bar;
  #maxBytes = Number.POSITIVE_INFINITY;
  /** @type {AbortController | null} */
  #sending = null;

  /**
   * @param {HTMLElement} opener the button that opens it
   * @param {(run: Run) => void} onRun there is a new one
   */
  constructor(opener, onRun) {
    this.#opener = opener;
    this.#onRun = onRun;
    this.#files = new ImportFiles(this.#part("files"), () => this.#filesChanged());
    this.#fields = new ImportFields(this.#part("fields"));
    this.#bar = new UploadBar(this.#part("upload"), () => this.#sending?.abort());
    opener.addEventListener("click", () => (this.#element.hidden ? this.#open() : this.#close()));
    this.#part("close").addEventListener("click", () => this.#close());
    this.#element.addEventListener("keydown", ({ key }) => key === "Escape" && this.#close());
    for (const name of ["id", "title", "vocabulary"]) {
      // At once: words that come when a field is left push away the button that was meant.
      this.#part(name).addEventListener("input", () =>
        this.#complain(name, name === "id" ? this.#fields.idProblem : ""),
      );
    }
    this.#part("form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
  }

  #open() {
    this.#show(true);
    this.#element.scrollIntoView({ block: "nearest" });
    this.#files.focus();
    void this.#ask();
  }

  /** What is filled in stays for the next time; what is on its way has to be stopped first. */
  #close() {
    if (this.#sending) return this.#part("stop").focus();
    this.#show(false);
    this.#opener.focus();
  }

  /** @param {boolean} open */
  #show(open) {
    this.#element.hidden = !open;
    this.#opener.setAttribute("aria-expanded", String(open));
  }

  /** Which ids are taken, which texts there are, how much may come in. */
  async #ask() {
    try {
      const [{ runs, broken, max_import_bytes }, { corpora }] = await Promise.all([
        listRuns(),
        listCorpora(),
      ]);
      this.#fields.setTaken([...runs, ...broken].map(({ id }) => id));
      this.#fields.setTexts(corpora);
      this.#maxBytes = max_import_bytes;
      this.#part("limit").textContent = bytes(max_import_bytes);
      this.#alert("");
      // Files may have been chosen before the answer.
      this.#complain("file", this.#fileProblem());
      this.#complain("id", this.#fields.idProblem);
    } catch (error) {
      this.#alert(/** @type {Error} */ (error).message);
    }
  }

  async #filesChanged() {
    clearProblems(this.#element);
    this.#alert("");
    this.#complain("file", this.#fileProblem());
    await this.#fields.suggest(this.#files.model);
    this.#complain("id", this.#fields.idProblem);
  }

  #fileProblem() {
    const { model, size } = this.#files;
    if (!model) return "";
    if (model.problem || size <= this.#maxBytes) return model.problem;
    return `${model.name} has ${bytes(size)}, and at most ${bytes(this.#maxBytes)} may come in`;
  }

  async #send() {
    const { model } = this.#files;
    if (this.#sending) return;
    clearProblems(this.#element);
    this.#alert("");
    this.#complain("file", model ? this.#fileProblem() : "Choose the files first");
    this.#complain("id", this.#fields.idProblem);
    if (!model || focusFirstProblem(this.#element)) return;
    const sending = (this.#sending = new AbortController());
    const about = { name: model.name, ...this.#fields.read() };
    const onStage = this.#onStage(about.id || model.name);
    this.#lock(true);
    onStage("packing", 0);
    this.#part("stop").focus();
    try {
      const { signal } = sending;
      const run = await sendModel(model.sent, about, { signal, onStage });
      this.#lock(false);
      this.#done(run);
    } catch (error) {
      this.#lock(false);
      this.#failed(error);
    }
  }

  /**
   * @param {string} name
   * @returns {(stage: Stage, share: number) => void}
   */
  #onStage(name) {
    return (stage, share) => {
      const words = STAGES[stage];
      const reading = stage === "reading";
      this.#bar.show(reading ? name : `${words} ${name}`, reading ? null : share, words);
      if (this.#part("stage").textContent !== words) this.#part("stage").textContent = words;
      if (!reading || this.#part("stop").hidden) return;
      // From here on nothing stops it: the server has all of it.
      this.#part("stop").hidden = true;
      this.#part("upload-name").focus();
    };
  }

  /** @param {boolean} sending */
  #lock(sending) {
    if (!sending) this.#sending = null;
    this.#element.classList.toggle("is-sending", sending);
    this.#files.lock(sending);
    /** @type {HTMLFieldSetElement} */ (this.#part("fields")).disabled = sending;
    /** @type {HTMLButtonElement} */ (this.#part("close")).disabled = sending;
    this.#part("send").hidden = sending;
    this.#part("stop").hidden = false;
    this.#part("stage").textContent = "";
    this.#bar.hide();
    if (sending) addEventListener("beforeunload", warn);
    else removeEventListener("beforeunload", warn);
  }

  /** @param {Run} run */
  #done(run) {
    this.#show(false);
    this.#files.clear();
    this.#fields.clear();
    announce(`${run.title} is here`);
    this.#onRun(run);
  }

  /** What was filled in stays. @param {unknown} error */
  #failed(error) {
    if (isAbort(error)) {
      announce("Stopped: nothing has been brought in");
      return this.#part("send").focus();
    }
    if (!(error instanceof ApiError)) {
      this.#complain("file", unreadable(error));
    } else if (error.status >= 400 && error.status < 500) {
      const field = fieldOf(this.#element, error.param);
      this.#complain(field?.dataset.param ?? "file", error.reason);
    } else {
      this.#alert(error.message);
      this.#part("send").focus();
    }
    focusFirstProblem(this.#element);
  }

  /**
   * @param {string} param
   * @param {string} message empty: nothing is wrong
   */
  #complain(param, message) {
    const field = fieldOf(this.#element, param);
    if (!field || problemOf(field) === message) return; // it is read out once
    if (message) showProblem(field, message, { aloud: true });
    else clearProblem(field);
  }

  /** @param {string} message of what is no field's; empty: there is nothing to say */
  #alert(message) {
    this.#part("alert").textContent = message;
    this.#part("alert").hidden = message === "";
  }

  /** @param {string} name */
  #part(name) {
    return part(this.#element, name);
  }
}

/** @param {BeforeUnloadEvent} event */
function warn(event) {
  event.preventDefault();
}

/** @param {unknown} error */
function unreadable(error) {
  const changed = error instanceof DOMException && error.name === "NotReadableError";
  return changed ? "A file has changed since it was chosen: choose it anew" : String(error);
}
