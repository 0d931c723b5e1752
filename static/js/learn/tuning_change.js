// The form to change one thing: a base, a setting, a value, and a hypothesis before the start.
import { ApiError } from "../api.js";
import { clearProblems, focusFirstProblem, showProblem } from "../field_problem.js";
import { bytes, grouped } from "../format.js";
import { checkJob, hasEnded, listJobs, startJob } from "../jobs_api.js";
import { byId, part } from "../parts.js";
import { shownValue } from "../train/config_schema.js";
import { catalogue } from "./tuning_api.js";
import { baseOf, changedValue, jobRequest, settingsOf } from "./tuning_experiment.js";
import { JobStates } from "./tuning_jobs.js";

/** @typedef {import("../jobs_api.js").JobCheck} JobCheck */
/** @typedef {import("../jobs_api.js").JobRequest} JobRequest */
/** @typedef {import("./tuning_api.js").Catalogue} Catalogue */
/** @typedef {import("./tuning_experiment.js").Base} Base */
/** @typedef {import("../train/config_schema.js").ConfigField} ConfigField */

/**
 * @typedef {object} Plan what the form says, as far as it can be read
 * @property {Base | null} base
 * @property {ConfigField | undefined} field
 * @property {string} baseProblem
 * @property {string} valueProblem
 * @property {JobRequest | null} request null where there is a problem
 */

const BETWEEN = "~"; // in the address, a job and what its run is compared with

export class ChangeForm {
  #lesson;
  #figure = byId("change-figure");
  #button = /** @type {HTMLButtonElement} */ (byId("start-change"));
  #states;
  #starting = false;
  /** What was started last: the same is not started again by a second press. */
  #started = "";

  /** @param {import("./lesson.js").Lesson} lesson with the fields of FIELDS in tuning.js */
  constructor(lesson) {
    this.#lesson = lesson;
    this.#states = new JobStates(part(this.#figure, "jobs"), {
      ask: () => this.#jobs(),
      reference: ({ id }) => this.#references().get(id) ?? "",
      onUpdate: (jobs) => {
        const ended = jobs.filter(hasEnded).length;
        const words = jobs.length ? `${ended} of ${jobs.length} have ended.` : "";
        part(this.#figure, "job-words").textContent = words;
      },
    });
    // Before the lesson follows: a value belongs to its setting.
    byId("setting").addEventListener("input", () => lesson.set("value", ""));
    lesson.figure(this.#figure, {
      follows: ["base", "setting", "value", "hypothesis"],
      ask: (_, signal) => this.#ask(signal),
      show: ({ plan, check, refusal }) => this.#show(plan, check, refusal),
    });
    this.#button.addEventListener("click", () => this.#start());
    if (lesson.state.jobs.length) void this.#states.follow();
  }

  /** @param {AbortSignal} signal */
  async #ask(signal) {
    const plan = this.#plan(await catalogue());
    if (!plan.request) return { plan, check: null, refusal: null };
    try {
      return { plan, check: await checkJob(plan.request, signal), refusal: null };
    } catch (error) {
      if (!(error instanceof ApiError) || error.disconnected) throw error;
      return { plan, check: null, refusal: error };
    }
  }

  /** @param {Catalogue} known @returns {Plan} */
  #plan(known) {
    const { base: word, setting, value, hypothesis } = this.#lesson.state;
    const base = baseOf(word, known, this.#lesson.runs);
    this.#offerBases(known);
    if (!base) {
      const baseProblem = "there is no such preset or run: choose another base";
      return { base, field: undefined, baseProblem, valueProblem: "", request: null };
    }
    const fields = settingsOf(base, known);
    const field = fields.find(({ path }) => path === setting) ?? fields[0];
    this.#offerSettings(fields, field, base);
    const changed = changedValue(base, field, value);
    const valueProblem = "problem" in changed ? changed.problem : "";
    const fine = "value" in changed && !base.problem;
    const request = fine ? jobRequest(base, field, changed.value, hypothesis) : null;
    return { base, field, baseProblem: base.problem, valueProblem, request };
  }

  /** @param {Catalogue} known */
  #offerBases({ presets }) {
    const select = /** @type {HTMLSelectElement} */ (byId("base"));
    if (!select.options.length) {
      const runs = this.#lesson.runs.filter(({ config, training }) => config.train && !training);
      select.append(
        options("Presets", "preset", presets),
        options("Runs", "run", /** @type {{ id: string, title: string }[]} */ (runs)),
      );
    }
    select.value = this.#lesson.state.base;
  }

  /**
   * @param {ConfigField[]} fields
   * @param {ConfigField} field
   * @param {Base} base
   */
  #offerSettings(fields, field, base) {
    const select = /** @type {HTMLSelectElement} */ (byId("setting"));
    select.replaceChildren(...fields.map(({ name, path }) => new Option(name, path)));
    select.value = field.path;
    this.#lesson.state.setting = field.path;
    part(this.#figure, "setting-words").textContent = field.description;
    const now = shownValue(base.values.get(field.path));
    part(this.#figure, "value-words").textContent = `${base.title} has ${now}.`;
    const [typed, chosen] = [byId("value"), byId("value-choice")];
    const choices = field.type === "boolean" ? ["true", "false"] : field.choices;
    typed.hidden = choices.length > 0;
    chosen.hidden = choices.length === 0;
    /** @type {HTMLSelectElement} */ (chosen).replaceChildren(
      new Option("choose", ""),
      ...choices.map((choice) => new Option(choice, choice)),
    );
    /** @type {HTMLSelectElement} */ (chosen).value = this.#lesson.state.value;
    const label = /** @type {HTMLLabelElement} */ (part(this.#figure, "value-label"));
    label.htmlFor = choices.length > 0 ? chosen.id : typed.id;
  }

  /**
   * @param {Plan} plan
   * @param {JobCheck | null} check
   * @param {ApiError | null} refusal
   */
  #show(plan, check, refusal) {
    clearProblems(this.#figure);
    this.#complain("");
    if (plan.baseProblem) showProblem(byId("base-field"), plan.baseProblem);
    if (plan.valueProblem && this.#lesson.state.value !== "") {
      showProblem(byId("value-field"), plan.valueProblem);
    }
    if (refusal) this.#refuse(refusal);
    part(this.#figure, "check").textContent = check ? checkWords(check) : "";
    this.#enable(plan.request);
  }

  async #start() {
    if (this.#starting || this.#button.disabled) return;
    this.#starting = true; // from the first press on, whatever has to be asked for first
    this.#enable(null);
    let request = null;
    try {
      request = await this.#startable();
      if (request) {
        const { id } = await startJob(request);
        this.#started = JSON.stringify(request);
        this.#remember(id);
      }
    } catch (error) {
      if (error instanceof ApiError && this.#refuse(error)) focusFirstProblem(this.#figure);
      else this.#complain(/** @type {Error} */ (error).message);
    } finally {
      this.#starting = false;
      this.#enable(request);
    }
  }

  /** @returns {Promise<JobRequest | null>} null where something is missing, which is told */
  async #startable() {
    clearProblems(this.#figure);
    this.#complain("");
    const { baseProblem, valueProblem, request } = this.#plan(await catalogue());
    if (baseProblem) showProblem(byId("base-field"), baseProblem);
    if (valueProblem) showProblem(byId("value-field"), valueProblem);
    if (!this.#lesson.state.hypothesis.trim()) {
      const words =
        "Write down first what you expect, and why. Afterwards everything looks expected";
      showProblem(byId("hypothesis-field"), words);
    }
    return focusFirstProblem(this.#figure) ? null : request;
  }

  /** @param {string} job its id */
  #remember(job) {
    const { base } = this.#lesson.state;
    const reference = base.slice(base.indexOf(":") + 1);
    const there = this.#lesson.runs.some(({ id }) => id === reference);
    const word = there ? job + BETWEEN + reference : job;
    this.#lesson.set("jobs", [...this.#lesson.state.jobs, word]);
    void this.#states.follow();
  }

  /** @returns {Map<string, string>} the jobs that were started here, and what each is compared with */
  #references() {
    return new Map(this.#lesson.state.jobs.map((/** @type {string} */ it) => it.split(BETWEEN)));
  }

  /** @returns {Promise<import("../jobs_api.js").Job[]>} newest first */
  async #jobs() {
    const mine = this.#references();
    return (await listJobs()).jobs.filter(({ id }) => mine.has(id));
  }

  /** @param {JobRequest | null} request */
  #enable(request) {
    const again = request !== null && JSON.stringify(request) === this.#started;
    this.#button.disabled = this.#starting || again;
    this.#button.setAttribute("aria-busy", String(this.#starting));
    const words = again ? "It has been started. Change something to start another." : "";
    part(this.#figure, "start-words").textContent = words;
  }

  /** @param {ApiError} error @returns {boolean} whether it stands at a field now */
  #refuse({ param, message }) {
    const fields = {
      corpus: "base-field",
      tokenizer: "base-field",
      hypothesis: "hypothesis-field",
    };
    const field = /** @type {Record<string, string>} */ (fields)[param ?? ""];
    const place = param?.startsWith("config") ? "value-field" : field;
    if (!place) {
      this.#complain(message);
      return false;
    }
    showProblem(byId(place), message.replace(/^config\.\w+\./, ""), { aloud: true });
    return true;
  }

  /** @param {string} message */
  #complain(message) {
    const alert = part(this.#figure, "start-alert");
    alert.textContent = message;
    alert.hidden = message === "";
  }
}

/** @param {JobCheck} check */
function checkWords({ run_id, params, tokens_per_step, config, memory_bytes, device }) {
  const steps = Number(config.train.max_iters);
  const size = params ? `${grouped(params)} parameters` : "counts of the text";
  return `It would be the run ${run_id}: ${size}, ${grouped(steps)} steps of ${grouped(tokens_per_step)} tokens on ${device}, with about ${bytes(memory_bytes)} of memory.`;
}

/**
 * @param {string} label
 * @param {string} from
 * @param {readonly { id: string, title: string }[]} each
 */
function options(label, from, each) {
  const group = document.createElement("optgroup");
  group.label = label;
  group.append(...each.map(({ id, title }) => new Option(`${title} (${id})`, `${from}:${id}`)));
  return group;
}
