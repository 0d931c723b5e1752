// The heads of a run while it trains: a picture of each, at any snapshot so far.
import { attentionMaps } from "../attention_api.js";
import { Colouring } from "../colour_scale.js";
import { hasEnded } from "../jobs_api.js";
import { part } from "../parts.js";
import { Thumbnails } from "../thumbnails.js";
import { StepSlider } from "./step_slider.js";

/** @typedef {import("../job_stream.js").Known} Known */
/** @typedef {import("./step_slider.js").Step} Step */
/** @typedef {import("../thumbnails.js").Place} Place */

const LONGEST_TEXT = 32;
const TYPING_MS = 400;
/** The weight that gets the strongest colour: a head that is not sure yet is seen too. */
const BRIGHTEST = 0.6;

export class FormingHeads {
  /** @type {import("../jobs_api.js").Job | null} */
  #job = null;
  /** @type {Step[]} */
  #steps = [];
  /** of the text that is shown @type {Map<Step, import("../attention_api.js").AttentionMaps>} */
  #maps = new Map();
  #text = "";
  #asking = false;
  /** @type {Step | undefined} one that the server would not answer for */
  #failed;
  #place = { layer: 0, head: 0 };
  #textOf;

  /**
   * @param {HTMLElement} element
   * @param {(corpus: string) => string} textOf the beginning of a text that runs are trained on;
   *   empty when it is not known
   */
  constructor(element, textOf) {
    this.element = element;
    this.#textOf = textOf;
    this.slider = new StepSlider(this.#part("slider"), () => this.#draw());
    this.thumbnails = new Thumbnails(this.#part("thumbnails"), (place) => this.#choose(place));
    this.#part("thumbnails").addEventListener("click", ({ target }) => {
      if (/** @type {Element} */ (target).closest("button")) location.assign(this.#address());
    });
    this.input = /** @type {HTMLInputElement} */ (this.#part("text"));
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let typing;
    this.input.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.#read(this.input.value), TYPING_MS);
    });
    document.addEventListener("themechange", () => this.#draw());
  }

  /** @param {Known} known */
  show({ job, snapshots, samples }) {
    if (!job) return;
    this.#job = job;
    const heads = job.config.model.kind === "gpt";
    const there = job.has_run || (snapshots.length > 0 && !hasEnded(job));
    this.#steps = heads && there ? stepsOf(job, snapshots) : [];
    if (!this.#text) this.#begin(samples.at(-1));
    const some = this.#steps.length > 0 && this.#text !== "";
    this.#part("shown").hidden = !some;
    this.#part("empty").hidden = some;
    this.#part("empty").textContent = heads ? whyNone(job) : "This kind of model has no heads.";
    if (!some) return;
    this.slider.show(this.#steps);
    this.#draw();
  }

  /** Another job, or one whose snapshots are made anew. */
  restart() {
    this.slider.follow();
    this.#job = null;
    this.#steps = [];
    this.#read("");
  }

  /**
   * A line of what it learns from; else of what it wrote itself: its vocabulary has both.
   * @param {import("../api.js").Sample | undefined} sample
   */
  #begin(sample) {
    const corpus = this.#textOf(this.#job?.corpus ?? "");
    const size = Number(this.#job?.config.model.block_size);
    const lines = (corpus || sample?.text || "").split("\n");
    const longest = lines.reduce((a, b) => (b.length > a.length ? b : a));
    this.#text = [...longest].slice(0, Math.min(size, LONGEST_TEXT)).join("");
    this.input.value = this.#text;
  }

  /** @param {string} text */
  #read(text) {
    this.#text = text;
    this.#maps.clear();
    this.#failed = undefined;
    if (text && this.#job) this.#draw();
  }

  #draw() {
    const step = this.#steps[this.slider.index];
    if (step === undefined) return;
    const maps = this.#maps.get(step);
    this.#part("waiting").hidden = maps !== undefined || step === this.#failed;
    if (maps) {
      this.#part("alert").hidden = true;
      this.thumbnails.show(maps, new Colouring(BRIGHTEST));
      this.element.dataset.shown = String(step ?? "final");
    } else if (step !== this.#failed) void this.#ask(step);
    this.#link();
  }

  /** One request at a time, and none twice. @param {Step} step */
  async #ask(step) {
    if (this.#asking || !this.#job) return;
    this.#asking = true;
    const [job, text] = [this.#job, this.#text];
    const current = () => job.id === this.#job?.id && text === this.#text;
    try {
      const maps = await attentionMaps({ run: job.run_id, step, text });
      if (current()) this.#maps.set(step, maps);
    } catch (error) {
      if (current()) {
        this.#failed = step;
        this.#part("alert").textContent = /** @type {Error} */ (error).message;
        this.#part("alert").hidden = false;
      }
    }
    this.#asking = false;
    this.#draw(); // what is wanted by now
  }

  /** @param {Place} place */
  #choose(place) {
    this.#place = place;
    this.#link();
  }

  #link() {
    const link = /** @type {HTMLAnchorElement} */ (this.#part("open"));
    const { layer, head } = this.#place;
    link.textContent = `Open layer ${layer}, head ${head}`;
    link.href = this.#address();
  }

  #address() {
    const step = this.#steps[this.slider.index];
    const query = new URLSearchParams({ run: this.#job?.run_id ?? "" });
    if (step !== null && step !== undefined) query.set("step", String(step));
    query.set("layer", String(this.#place.layer));
    query.set("head", String(this.#place.head));
    query.set("text", this.#text);
    return `/attention?${query}`;
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return part(this.element, name);
  }
}

/**
 * @param {import("../jobs_api.js").Job} job
 * @param {number[]} snapshots
 * @returns {Step[]}
 */
function stepsOf(job, snapshots) {
  return job.state === "done" ? [...snapshots, null] : snapshots;
}

/** @param {import("../jobs_api.js").Job} job */
function whyNone(job) {
  switch (job.state) {
    case "queued":
      return "They can be seen from the first snapshot on, soon after training begins.";
    case "running":
      return "Waiting for the first snapshot.";
    default:
      return "It ended before the first snapshot.";
  }
}
