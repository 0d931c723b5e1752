// From the form to the server: the check while it is changed, the start, and what is wrong.

import { clearProblems, fieldOf, focusFirstProblem, showProblem } from "../field_problem.js";
import { startJob, startSweep } from "../jobs_api.js";
import { byId, part } from "../parts.js";
import { JobCheck } from "./job_check.js";

/** @typedef {import("../api.js").ApiError} ApiError */

export class JobStart {
  #form = byId("train-form");
  #aside = byId("job-check");
  #button = /** @type {HTMLButtonElement} */ (byId("start"));
  #what;
  #listeners;
  #check;

  /**
   * @param {import("./job_form.js").JobForm} what
   * @param {object} listeners
   * @param {(id: string) => void} listeners.onJob one was started
   * @param {(id: string) => void} listeners.onSweep one was started
   */
  constructor(what, listeners) {
    this.#what = what;
    this.#listeners = listeners;
    this.#check = new JobCheck(this.#aside, {
      plan: () => what.plan(),
      onFine: (check) => {
        clearProblems(this.#form);
        if ("run_id" in check) what.suggest({ title: check.title, id: check.run_id });
        else what.suggest({ title: "", id: "" });
      },
      onRefused: (error) => this.#showRefusal(error),
    });
    // Enter in a field starts nothing: hours of computing should not begin by a slip.
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#button.addEventListener("click", () => this.#start());
    this.#form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void this.#start();
    });
  }

  /** The form has changed, or is shown again. */
  changed() {
    this.#complain("");
    this.#check.soon();
  }

  stop() {
    this.#check.stop();
  }

  async #start() {
    if (this.#button.disabled) return;
    const plan = this.#what.plan();
    if (!plan) {
      this.#what.showOwnProblems();
      if (!focusFirstProblem(this.#form)) this.#complain("Choose what varies first.");
      return;
    }
    this.#complain("");
    this.#showBusy(true);
    try {
      if ("job" in plan) this.#listeners.onJob((await startJob(plan.job)).id);
      else this.#listeners.onSweep((await startSweep(plan.sweep)).id);
    } catch (error) {
      const refusal = /** @type {ApiError} */ (error);
      if (this.#showRefusal(refusal)) focusFirstProblem(this.#form);
      else this.#complain(refusal.message);
    } finally {
      this.#showBusy(false);
    }
  }

  /**
   * @param {ApiError} error
   * @returns {boolean} whether it stands at a field now
   */
  #showRefusal({ param, reason }) {
    clearProblems(this.#form);
    const field = fieldOf(this.#form, param);
    if (!field || field.closest("[hidden]")) return false;
    showProblem(field, reason);
    return true;
  }

  /** @param {boolean} busy */
  #showBusy(busy) {
    this.#button.disabled = busy;
    this.#button.setAttribute("aria-busy", String(busy));
  }

  /** @param {string} message */
  #complain(message) {
    const alert = part(this.#aside, "alert");
    alert.textContent = message;
    alert.hidden = message === "";
  }
}
