// A lesson: controls that hold its state, also in the address, and figures that follow it.
//
//   const lesson = new Lesson({ run: text("baseline"), text: text("To be") });
//   lesson.figure(byId("scores"), {
//     follows: ["run", "text"],
//     ask: (state, signal) => askSomething(state, signal),
//     show: (reply, state) => { … },
//   });
//   lesson.start();
//
// A control names its field in `data-state`. A select with `data-runs` offers the runs, those of
// "all", "attention", "ngram"… kinds; one with `data-steps-of="run"` the snapshots of that run; one
// with `data-places-of="run"` and `data-places="n_layer"`, or "n_head", that run's layers, or heads.

import { isAbort } from "../api.js";
import { pageData } from "../page_data.js";
import { readAddress, writeAddress } from "../state.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {import("../state.js").Fields} Fields */
/** @typedef {Record<string, any>} State */
/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control */

/**
 * @template T
 * @typedef {object} Following
 * @property {string[]} follows names of the fields that change the figure
 * @property {(state: State, signal: AbortSignal) => Promise<T> | T} ask
 * @property {(reply: T, state: State) => void | Promise<void>} show
 */

const TYPING_MS = 250;

export class Lesson {
  /** @type {Run[]} */
  runs = pageData().runs;
  /** @type {State} */
  state;
  #fields;
  /** @type {LessonFigure<any>[]} */
  #figures = [];
  #typing = 0;

  /** @param {Fields} fields */
  constructor(fields) {
    this.#fields = fields;
    this.state = readAddress(fields);
  }

  /**
   * @param {string} [name] of the field with the run's id
   * @returns {Run | undefined}
   */
  run(name = "run") {
    return this.runs.find(({ id }) => id === this.state[name]);
  }

  /**
   * @template T
   * @param {HTMLElement} element with a `data-part="alert"` inside
   * @param {Following<T>} following
   */
  figure(element, following) {
    this.#figures.push(new LessonFigure(element, following));
  }

  /** Fill and bind the controls, then draw. */
  start() {
    for (const select of selects("[data-runs]")) this.#offerRuns(select);
    for (const select of selects("[data-steps-of]")) this.#offerSteps(select);
    for (const select of selects("[data-places-of]")) this.#offerPlaces(select);
    for (const control of controls()) {
      show(control, this.state);
      const type = control instanceof HTMLTextAreaElement || control.type === "text" ? 1 : 0;
      control.addEventListener("input", () => this.#changed(control, type ? TYPING_MS : 0));
    }
    this.#remember();
    for (const figure of this.#figures) figure.draw(this.state);
  }

  /**
   * Change a field as if a control had.
   * @param {string} name
   * @param {unknown} value
   */
  set(name, value) {
    this.state[name] = value;
    for (const control of controls(name)) show(control, this.state);
    this.#follow(name);
  }

  /** Draw a figure that follows `name` anew, whatever is said. @param {string} name */
  #follow(name) {
    const changed = [name];
    for (const select of selects(`[data-steps-of="${name}"]`)) {
      this.#offerSteps(select);
      changed.push(select.dataset.state ?? "");
    }
    for (const select of selects(`[data-places-of="${name}"]`)) {
      this.#offerPlaces(select);
      changed.push(select.dataset.state ?? "");
    }
    this.#remember();
    for (const figure of this.#figures) {
      if (changed.some((field) => figure.follows(field))) figure.draw(this.state);
    }
  }

  #remember() {
    writeAddress(this.#fields, this.state);
  }

  /**
   * @param {Control} control
   * @param {number} wait in milliseconds
   */
  #changed(control, wait) {
    const name = control.dataset.state ?? "";
    this.state[name] = read(control, this.state[name]);
    for (const other of controls(name)) if (other !== control) show(other, this.state);
    showOutput(control);
    clearTimeout(this.#typing);
    if (wait) this.#typing = setTimeout(() => this.#follow(name), wait);
    else this.#follow(name);
  }

  /** @param {HTMLSelectElement} select */
  #offerRuns(select) {
    const name = select.dataset.state ?? "";
    const kind = select.dataset.runs ?? "all";
    const fitting = this.runs.filter((run) => fits(run, kind));
    select.replaceChildren(...fitting.map(({ id, title }) => new Option(`${title} (${id})`, id)));
    const chosen = this.state[name];
    if (fitting.some(({ id }) => id === chosen)) return;
    if (chosen !== this.#fields[name].initial) {
      const why = this.run(name) ? "cannot show this" : "there is no such run";
      select.append(new Option(`${chosen}: ${why}`, chosen));
    } else if (fitting.length) this.state[name] = fitting[0].id;
  }

  /** @param {HTMLSelectElement} select */
  #offerSteps(select) {
    const name = select.dataset.state ?? "";
    const steps = this.run(select.dataset.stepsOf)?.steps ?? [];
    select.replaceChildren(
      new Option("the end", ""),
      ...steps.map((step) => new Option(`step ${step.toLocaleString("en-US")}`, String(step))),
    );
    if (!steps.includes(this.state[name])) this.state[name] = null;
    show(select, this.state);
  }

  /** @param {HTMLSelectElement} select */
  #offerPlaces(select) {
    const name = select.dataset.state ?? "";
    const which = /** @type {"n_layer" | "n_head"} */ (select.dataset.places);
    const count = this.run(select.dataset.placesOf)?.[which] ?? 0;
    const places = Array.from({ length: count }, (_, place) => String(place));
    select.replaceChildren(...places.map((place) => new Option(place, place)));
    if (count) this.state[name] = Math.min(this.state[name], count - 1);
    show(select, this.state);
  }
}

/**
 * A figure that is drawn from an answer of the server; a later question overtakes an earlier one.
 * @template T
 */
class LessonFigure {
  /** @type {AbortController | null} */
  #asking = null;

  /**
   * @param {HTMLElement} element
   * @param {Following<T>} following
   */
  constructor(element, following) {
    this.element = element;
    this.following = following;
  }

  /** @param {string} field */
  follows(field) {
    return this.following.follows.includes(field);
  }

  /** @param {State} state */
  async draw(state) {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    this.element.setAttribute("aria-busy", "true");
    try {
      const reply = await this.following.ask({ ...state }, asking.signal);
      if (asking.signal.aborted) return;
      this.#say("");
      await this.following.show(reply, state);
    } catch (error) {
      if (asking.signal.aborted || isAbort(error)) return;
      this.#say(/** @type {Error} */ (error).message);
    }
    this.element.setAttribute("aria-busy", "false");
  }

  /** @param {string} message a problem; the figure stays as it was, but is not shown with one */
  #say(message) {
    const alert = this.element.querySelector('[data-part="alert"]');
    const shown = this.element.querySelector('[data-part="shown"]');
    if (alert instanceof HTMLElement) {
      alert.textContent = message;
      alert.hidden = message === "";
    }
    if (shown instanceof HTMLElement) shown.hidden = message !== "";
  }
}

/** @param {Run} run @param {string} kind */
function fits(run, kind) {
  return kind === "all" || (kind === "attention" ? run.attention : run.kind === kind);
}

/** @param {string} [name] of the field @returns {Control[]} */
function controls(name) {
  const which = name === undefined ? "[data-state]" : `[data-state="${name}"]`;
  return [...document.querySelectorAll(`:is(input, select, textarea)${which}`)].map(
    (element) => /** @type {Control} */ (element),
  );
}

/** @param {string} which @returns {HTMLSelectElement[]} */
function selects(which) {
  return /** @type {HTMLSelectElement[]} */ ([...document.querySelectorAll(`select${which}`)]);
}

/**
 * @param {Control} control
 * @param {unknown} before the field's value, whose type it keeps
 */
function read(control, before) {
  if (control.type === "checkbox") return /** @type {HTMLInputElement} */ (control).checked;
  if (control.dataset.stepsOf !== undefined) return control.value ? Number(control.value) : null;
  if (typeof before === "number") {
    return control.value.trim() === "" || !control.validity.valid ? before : Number(control.value);
  }
  return control.value;
}

/** @param {Control} control @param {State} state */
function show(control, state) {
  const value = state[control.dataset.state ?? ""];
  const input = /** @type {HTMLInputElement} */ (control);
  if (control.type === "checkbox") input.checked = value;
  else if (control.type === "radio") input.checked = control.value === String(value);
  else control.value = value === null ? "" : String(value);
  showOutput(control);
}

/** @param {Control} control */
function showOutput(control) {
  const output = control.id ? document.querySelector(`output[for="${control.id}"]`) : null;
  if (output) output.textContent = control.value;
}
