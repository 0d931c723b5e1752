// The notes of one run, being written. What was typed is never lost in silence: not when the server
// refuses, not when somebody else has written meanwhile, not when the form is left.
import { editNotes, getRun } from "../api.js";
import { clearProblem, fieldOf, showProblem } from "../field_problem.js";
import { part } from "../parts.js";
import { verdictWords } from "../runs/verdict.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {import("../api.js").Notes} Notes */
/** @typedef {import("../api.js").ApiError} ApiError */
/** @typedef {keyof Notes} Name */

const NAMES = /** @type {const} */ (["hypothesis", "outcome", "verdict"]);

export class NoteForm {
  #form;
  #id;
  #leave;
  #onNews;
  /** @type {Notes} as they were read */
  #read = { hypothesis: "", outcome: "", verdict: null };
  #sending = false;

  /**
   * @param {HTMLFormElement} form
   * @param {string} id of its run
   * @param {{ leave: (saved: Run | null) => void, onNews: (run: Run) => void }} listeners leave: it is
   *   over; null where nothing was saved. onNews: the run as somebody else has changed it
   */
  constructor(form, id, { leave, onNews }) {
    this.#form = form;
    this.#id = id;
    this.#leave = leave;
    this.#onNews = onNews;
    for (const radio of this.#radios()) radio.name = `verdict-${id}`;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    form.addEventListener("keydown", (event) => this.#key(event));
    part(form, "cancel").addEventListener("click", () => this.#leave(null));
    for (const name of NAMES) {
      this.#theirs(name).addEventListener("click", (event) => {
        if (event.target instanceof HTMLButtonElement) this.#take(name);
      });
    }
  }

  /** What is in it now. @returns {Notes} */
  get draft() {
    const checked = this.#radios().find((radio) => radio.checked);
    return {
      hypothesis: this.#text("hypothesis").value,
      outcome: this.#text("outcome").value,
      verdict: /** @type {Notes["verdict"]} */ (checked?.value || null),
    };
  }

  /** Whether there is something in it that the server does not have. */
  get isDirty() {
    return !this.#form.hidden && this.#changed().length > 0;
  }

  /**
   * @param {Run} run
   * @param {Notes} [draft] what to write on from; else what the run has
   */
  open(run, draft) {
    this.#read = notesOf(run);
    this.#fill(draft ?? this.#read);
    this.#say("");
    for (const name of NAMES) {
      this.#theirs(name).hidden = true;
      clearProblem(this.#field(name));
    }
    this.#form.hidden = false;
    this.#text("hypothesis").focus();
  }

  close() {
    this.#form.hidden = true;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.#form.requestSubmit();
    } else if (event.key === "Escape" && !this.#sending) {
      event.preventDefault();
      this.#leave(null);
    }
  }

  async #save() {
    const changed = this.#changed();
    if (this.#sending) return;
    if (!changed.length) return this.#leave(null);
    this.#send(true);
    this.#say("");
    for (const name of NAMES) clearProblem(this.#field(name));
    const { draft } = this;
    try {
      const saved = await editNotes(this.#id, only(draft, changed), only(this.#read, changed));
      this.#send(false);
      this.#leave(saved);
    } catch (error) {
      this.#send(false);
      await this.#refused(/** @type {ApiError} */ (error));
    }
  }

  /** Nothing typed is touched. @param {ApiError} error */
  async #refused(error) {
    if (error.code === "notes_changed") {
      try {
        const run = await getRun(this.#id);
        this.#showTheirs(run);
        return this.#onNews(run);
      } catch {
        return this.#say(error.message); // and the next try is refused again
      }
    }
    const field = error.status === 422 ? fieldOf(this.#form, error.param) : null;
    if (field) showProblem(field, error.reason, { aloud: true });
    else this.#say(`Not saved: ${error.message}`);
  }

  /** Somebody else was quicker. From here on, saving is to replace what they wrote. @param {Run} run */
  #showTheirs(run) {
    const [before, theirs, { draft }] = [this.#read, notesOf(run), this];
    const typed = this.#changed();
    this.#read = theirs;
    const others = NAMES.filter((name) => theirs[name] !== before[name]);
    this.#fill({ ...theirs, ...only(draft, typed) });
    const disputed = others.filter((name) => this.#changed().includes(name));
    for (const name of NAMES) {
      const block = this.#theirs(name);
      block.hidden = !disputed.includes(name);
      part(block, "their-words").textContent = worded(theirs, name);
    }
    const names = others.join(" and the ");
    this.#say(
      disputed.length
        ? `Not saved: somebody has changed the ${names} meanwhile. Theirs stands below yours; take it, or save again to put yours in its place.`
        : `Somebody has changed the ${names} meanwhile, as it is now in this form. Save again to keep the rest.`,
    );
  }

  /** Let theirs stand. @param {Name} name */
  #take(name) {
    this.#fill({ ...this.draft, [name]: this.#read[name] });
    this.#theirs(name).hidden = true;
    this.#control(name).focus();
  }

  /** @returns {Name[]} those that are not as they were read */
  #changed() {
    const { draft } = this;
    return NAMES.filter((name) => draft[name] !== asTyped(this.#read[name]));
  }

  /** @param {Notes} notes */
  #fill({ hypothesis, outcome, verdict }) {
    this.#text("hypothesis").value = hypothesis;
    this.#text("outcome").value = outcome;
    for (const radio of this.#radios()) radio.checked = radio.value === (verdict ?? "");
  }

  /** @param {boolean} sending meanwhile nothing can be typed that would not be sent */
  #send(sending) {
    this.#sending = sending;
    this.#form.setAttribute("aria-busy", String(sending));
    for (const name of /** @type {const} */ (["hypothesis", "outcome"])) {
      this.#text(name).readOnly = sending;
    }
    const save = /** @type {HTMLButtonElement} */ (part(this.#form, "save"));
    save.disabled = sending;
    save.textContent = sending ? "Saving …" : "Save";
  }

  /** @param {string} message a problem of the whole; empty for none */
  #say(message) {
    const alert = part(this.#form, "alert");
    alert.textContent = message;
    alert.hidden = message === "";
  }

  /** @param {Name} name */
  #field(name) {
    return /** @type {HTMLElement} */ (fieldOf(this.#form, name));
  }

  /** @param {Name} name */
  #theirs(name) {
    return part(this.#field(name), "theirs");
  }

  /** @param {Name} name */
  #control(name) {
    if (name !== "verdict") return this.#text(name);
    return this.#radios().find((radio) => radio.checked) ?? this.#radios()[0];
  }

  /** @param {"hypothesis" | "outcome"} name */
  #text(name) {
    return /** @type {HTMLTextAreaElement} */ (part(this.#form, name));
  }

  /** @returns {HTMLInputElement[]} */
  #radios() {
    return [...this.#form.querySelectorAll("input")];
  }
}

/** @param {Run} run @returns {Notes} */
export function notesOf({ hypothesis, outcome, verdict }) {
  return { hypothesis, outcome, verdict: verdict ?? null };
}

/**
 * @param {Notes} notes
 * @param {readonly Name[]} names
 * @returns {Partial<Notes>}
 */
function only(notes, names) {
  return Object.fromEntries(names.map((name) => [name, notes[name]]));
}

/** A text field knows one kind of line end. @param {string | null} value */
function asTyped(value) {
  return value?.replace(/\r\n?/g, "\n") ?? null;
}

/** @param {Notes} notes @param {Name} name */
function worded(notes, name) {
  if (name === "verdict") return verdictWords(notes.verdict) || "No verdict";
  return notes[name] || "Nothing: it was emptied.";
}
