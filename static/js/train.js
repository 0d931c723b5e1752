// The page "/train": the form, what is training, and the view of one job or one sweep.

import { hasEnded, startSweep } from "./jobs_api.js";
import { trainingData } from "./page_data.js";
import { byId, part, showWords } from "./parts.js";
import { addressOf, list, readAddress, text, writeAddress } from "./state.js";
import { Activity } from "./train/activity.js";
import { FORM_FIELDS, JobForm } from "./train/job_form.js";
import { JobList } from "./train/job_list.js";
import { JobStart } from "./train/job_start.js";
import { JobView } from "./train/job_view.js";
import { SweepList } from "./train/sweep_list.js";
import { SweepView } from "./train/sweep_view.js";

const VIEW_FIELDS = { job: text(""), sweep: text(""), beside: list(["baseline"]) };
const EXERCISE = ["baseline", "case-1", "case-2", "case-3"];
const LONGEST_ADDRESS = 6000;
const TITLE = document.title;

class TrainPage {
  #data = trainingData();
  #form = new JobForm(this.#data, (undoable) => this.#changed(undoable));
  #start = new JobStart(this.#form, {
    onJob: (job) => this.#go({ job }),
    onSweep: (sweep) => this.#go({ sweep }),
  });
  #activity = new Activity({
    onUpdate: () => this.#showActivity(),
    onDevices: (devices) => this.#form.setDevices(devices),
    onRuns: (runs) => this.#form.setRuns(runs),
    onTrouble: (message) => showWords(byId("activity-alert"), message),
  });
  #jobs = new JobList(byId("job-list"), byId("more-jobs"), () => this.#activity.refresh());
  #sweeps = new SweepList(byId("sweep-list"), () => this.#activity.refresh());
  #jobView = new JobView(byId("job-view"), {
    runs: this.#data.runs,
    beside: readAddress(VIEW_FIELDS).beside,
    onBeside: (beside) => writeAddress(VIEW_FIELDS, { ...readAddress(VIEW_FIELDS), beside }),
    corpora: this.#data.corpora,
  });
  #sweepView = new SweepView(byId("sweep-view"));
  #sweepJobs = /** @type {HTMLInputElement} */ (byId("sweep-jobs"));

  start() {
    this.#form.show(readAddress(FORM_FIELDS));
    this.#listen();
    this.#showView();
  }

  #listen() {
    addEventListener("popstate", () => {
      const { job, sweep } = readAddress(VIEW_FIELDS);
      if (!job && !sweep && location.search !== this.#query()) {
        this.#form.show(readAddress(FORM_FIELDS));
      }
      this.#showView();
    });
    document.addEventListener("click", (event) => this.#follow(event));
    this.#sweepJobs.addEventListener("change", () => this.#showActivity());
    const repeat = /** @type {HTMLButtonElement} */ (part(byId("starting-point"), "repeat"));
    repeat.addEventListener("click", () => this.#repeat(repeat));
  }

  /** The views of this page are opened without leaving it. @param {MouseEvent} event */
  #follow(event) {
    const anchor = event.target instanceof Element ? event.target.closest("a") : null;
    const plain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey);
    if (!anchor || !plain || event.defaultPrevented || anchor.target) return;
    const address = new URL(anchor.href);
    if (address.origin + address.pathname !== location.origin + location.pathname) return;
    const { job, sweep } = readAddress(VIEW_FIELDS, address.search);
    const { job: watched, sweep: shown } = readAddress(VIEW_FIELDS);
    if (job || sweep) this.#go({ job, sweep });
    else if ((watched || shown) && !address.search) this.#goBack();
    else return;
    event.preventDefault();
  }

  /** @param {{ job?: string, sweep?: string }} view */
  #go(view) {
    this.#save();
    writeAddress(VIEW_FIELDS, view, { push: true });
    this.#begin();
  }

  /** To the form, as it was left. */
  #goBack() {
    history.pushState(null, "", location.pathname + this.#query());
    this.#begin();
  }

  /** What is shown now is read from its beginning. */
  #begin() {
    this.#showView();
    scrollTo(0, 0);
    byId("main").focus({ preventScroll: true });
  }

  #showView() {
    const { job, sweep } = readAddress(VIEW_FIELDS);
    const form = !job && !sweep;
    byId("form-view").hidden = !form;
    byId("job-view").hidden = !job;
    byId("sweep-view").hidden = !sweep || job !== "";
    document.title = TITLE;
    if (job) this.#jobView.show(job);
    else this.#jobView.close();
    if (sweep && !job) this.#sweepView.show(sweep);
    else this.#sweepView.close();
    if (form) {
      this.#activity.start();
      this.#start.changed();
    } else {
      this.#activity.stop();
      this.#start.stop();
    }
  }

  /** @param {boolean} undoable whether Back should lead to the form as it was before */
  #changed(undoable) {
    this.#save(undoable);
    this.#start.changed();
  }

  /** @param {boolean} [push] */
  #save(push = false) {
    const { job, sweep } = readAddress(VIEW_FIELDS);
    if (job || sweep) return;
    const address = location.pathname + this.#query();
    if (address === location.pathname + location.search) return;
    if (push) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
  }

  /** The form as the address has it; what would make that too long stays on the page only. */
  #query() {
    const state = this.#form.read();
    const whole = addressOf("", FORM_FIELDS, state);
    if (whole.length <= LONGEST_ADDRESS) return whole;
    return addressOf("", FORM_FIELDS, { ...state, hypothesis: null });
  }

  #showActivity() {
    const { jobs, sweeps } = this.#activity;
    const own = jobs.filter(({ sweep }) => sweep === null);
    byId("sweep-jobs-switch").hidden = own.length === jobs.length;
    this.#jobs.show(this.#sweepJobs.checked ? jobs : own);
    byId("no-jobs").hidden = jobs.length > 0;
    byId("sweeps").hidden = sweeps.length === 0;
    this.#sweeps.show(sweeps);
    const active = jobs.filter((job) => !hasEnded(job));
    const waiting = active.filter(({ state }) => state === "queued").length;
    const words = [`${active.length - waiting} training`, `${waiting} waiting`];
    byId("activity").textContent = waiting ? words.join(", ") : words[0];
    byId("activity").hidden = active.length === 0;
  }

  /** @param {HTMLButtonElement} button */
  async #repeat(button) {
    const alert = part(byId("starting-point"), "repeat-alert");
    button.disabled = true;
    showWords(alert, "");
    try {
      const { id } = await startSweep({ presets: EXERCISE, device: this.#form.read().device });
      this.#go({ sweep: id });
    } catch (error) {
      showWords(alert, /** @type {Error} */ (error).message);
    } finally {
      button.disabled = false;
    }
  }
}

new TrainPage().start();
