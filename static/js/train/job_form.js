// The form to start a run, or several: all its parts together, and what they say.
import { announce } from "../announce.js";
import { byId } from "../parts.js";
import { choice, flag, integer, list, optional, text } from "../state.js";
import { ConfigForm, referenceTo } from "./config_form.js";
import { ConfigSchema, nested, parseValue, shownValue, VOCABULARY } from "./config_schema.js";
import { CorpusPicker } from "./corpus_picker.js";
import { JobWords } from "./job_words.js";
import { StartingPoint } from "./starting_point.js";
import { SweepForm } from "./sweep_form.js";

/** @typedef {import("./config_schema.js").Value} Value */

/** What a vocabulary of byte pairs begins with: the 256 bytes, and as many pairs. */
const BYTE_PAIRS = 512;
const LARGEST = 2 ** 31 - 1;
const TOLD_CHANGES = 3;

/** The form in the page's address. What is null is as the starting point has it. */
export const FORM_FIELDS = {
  preset: text("baseline"),
  from: text(""),
  weights: flag(false),
  step: optional(integer(0, 0, LARGEST)),
  set: list([]),
  corpus: optional(text("")),
  tokenizer: optional(text("")),
  hypothesis: optional(text("")),
  title: optional(text("")),
  id: text(""),
  device: text("auto"),
  runs: choice("one", /** @type {const} */ (["one", "grid", "random"])),
  vary: list([]),
  count: integer(8, 1, LARGEST),
  draws: integer(0, 0, LARGEST),
  limit: integer(32, 1, LARGEST),
};

/** @typedef {import("../state.js").State<typeof FORM_FIELDS>} FormState */

/**
 * @typedef {object} Usual what the chosen starting point says of itself
 * @property {string} hypothesis
 * @property {string} title
 * @property {string} corpus
 * @property {string} tokenizer
 */

export class JobForm {
  #schema;
  #starting;
  #config;
  #corpus;
  #sweep;
  #words;
  #onChange;
  /** @type {Usual} */
  #usual = { hypothesis: "", title: "", corpus: "", tokenizer: "character" };

  /**
   * @param {import("../page_data.js").TrainingData} data
   * @param {(undoable: boolean) => void} onChange a person has changed something; undoable: so
   *   much that a way back is due
   */
  constructor(data, onChange) {
    this.#schema = new ConfigSchema(data.schema);
    this.#onChange = onChange;
    const changed = () => onChange(false);
    this.#starting = new StartingPoint(byId("starting-point"), data.presets, data.runs, {
      onStart: () => this.#startFrom(),
      onWeights: () => {
        this.#showTokenizer(this.#usual.tokenizer);
        changed();
      },
    });
    const vocabulary = byId("vocabulary-field");
    this.#config = new ConfigForm(byId("config-form"), this.#schema, vocabulary, changed);
    this.#corpus = new CorpusPicker(byId("corpus-picker"), data.corpora, changed);
    const current = (/** @type {string} */ path) => this.#config.values.get(path) ?? null;
    this.#sweep = new SweepForm(byId("sweep-form"), current, () => {
      this.#showSeveral();
      changed();
    });
    this.#words = new JobWords(changed);
    this.#words.setDevices(data.devices);
    for (const radio of this.#tokenizers()) {
      radio.addEventListener("change", () => {
        this.#showTokenizer(radio.value);
        changed();
      });
    }
  }

  /** @param {FormState} state as the address has it; what is not there counts as left out */
  show(state) {
    this.#starting.show(state);
    if (state.from && this.#starting.read().from !== state.from) {
      announce(`There is no run ${state.from}; this is ${this.#starting.chosen.title}`);
    }
    this.#readUsual();
    const reference = this.#reference();
    this.#config.show(reference, this.#parsedChanges(reference.kind, state.set));
    this.#showTokenizer(state.tokenizer ?? this.#usual.tokenizer);
    this.#corpus.show(state.corpus ?? this.#usual.corpus);
    this.#words.show({
      hypothesis: state.hypothesis ?? this.#usual.hypothesis,
      title: state.title ?? this.#usual.title,
      id: state.id,
      device: state.device,
    });
    this.#sweep.show(state);
    this.#showSeveral();
  }

  /** @returns {FormState} */
  read() {
    const { hypothesis, title, id, device } = this.#words.read();
    const changes = [...this.#config.changes].map(([path, value]) => `${path}=${value ?? ""}`);
    /** @type {(name: keyof Usual, value: string) => string | null} */
    const unusual = (name, value) => (value === this.#usual[name] ? null : value);
    return {
      ...this.#starting.read(),
      set: changes,
      corpus: unusual("corpus", this.#corpus.value),
      tokenizer: unusual("tokenizer", this.#tokenizer),
      hypothesis: unusual("hypothesis", hypothesis),
      title: unusual("title", title),
      id,
      device,
      ...this.#sweep.read(),
    };
  }

  /** @returns {import("./job_check.js").Plan | null} null where something cannot be read */
  plan() {
    if (this.#config.unreadable) return null;
    const several = this.#sweep.runs !== "one";
    if (several && this.#sweep.incomplete) return null;
    const { hypothesis, title, id, device } = this.#words.read();
    const base = this.#base();
    // What is undefined is left out on the way.
    const request = {
      ...base,
      hypothesis,
      device,
      tokenizer: this.#tokenizer,
      title: title || ("config" in base ? this.#ownTitle(several) : undefined),
      run_id: id || undefined,
      corpus: this.#corpus.value || undefined,
    };
    if (several) return { sweep: { ...request, ...this.#sweep.request() } };
    const { from, weights, step } = this.#starting.read();
    const init_from = weights ? { run: from, step } : undefined;
    return { job: { ...request, init_from } };
  }

  /** Say at each field that cannot be read why. */
  showOwnProblems() {
    this.#config.showOwnProblems();
    if (this.#sweep.runs !== "one") this.#sweep.showOwnProblems();
  }

  /** @param {{ title: string, id: string }} words what holds where a person says nothing */
  suggest(words) {
    this.#words.suggest(words);
  }

  /** @param {import("../jobs_api.js").Device[]} devices */
  setDevices(devices) {
    this.#words.setDevices(devices);
  }

  /** @param {import("../api.js").Run[]} runs */
  setRuns(runs) {
    this.#starting.setRuns(runs);
  }

  /** Another preset or run is chosen: its settings come, a person's own words stay. */
  #startFrom() {
    const before = { ...this.#usual };
    const changes = this.#config.changes.size > 0;
    const { hypothesis, title, id, device } = this.#words.read();
    this.#readUsual();
    this.#config.show(this.#reference());
    this.#showTokenizer(this.#usual.tokenizer);
    if (this.#starting.read().from) this.#corpus.show(this.#usual.corpus);
    this.#words.show({
      hypothesis: hypothesis === before.hypothesis ? this.#usual.hypothesis : hypothesis,
      title: title === before.title ? this.#usual.title : title,
      id,
      device,
    });
    this.#onChange(changes);
  }

  #readUsual() {
    const { chosen } = this.#starting;
    const usual = { hypothesis: chosen.hypothesis, title: "", tokenizer: tokenizerOf(chosen) };
    if ("corpus" in chosen) usual.title = chosen.title;
    const text = "corpus" in chosen ? chosen.corpus : null; // null, too, where nobody knows it
    const corpus = text && this.#corpus.idOf(text);
    if (text && !corpus) announce(`The text of ${chosen.id}, ${text.name}, is not here`);
    this.#usual = { ...usual, corpus: corpus || this.#corpus.usual };
  }

  #reference() {
    const { chosen } = this.#starting;
    const reference = referenceTo(chosen.title, chosen.config);
    if (tokenizerOf(chosen) !== "bpe") reference.values.set(VOCABULARY, BYTE_PAIRS);
    return reference;
  }

  /** The unchanged preset by its name, so that the run is known to come from it. */
  #base() {
    const { preset } = this.#starting.read();
    if (preset && this.#config.changes.size === 0 && this.#tokenizer !== "bpe") return { preset };
    return { config: nested(this.#config.kind, this.#config.values) };
  }

  /**
   * What a configuration is called by itself: where it comes from, and what was changed.
   * @param {boolean} several each adds what it is apart in
   */
  #ownTitle(several) {
    const { title } = this.#starting.chosen;
    if (several) return title;
    const changes = [...this.#config.changes].map(
      ([path, value]) => `${path.split(".").at(-1)} ${shownValue(value)}`,
    );
    const more = changes.length > TOLD_CHANGES ? [`${changes.length - TOLD_CHANGES} more`] : [];
    return [title, ...changes.slice(0, TOLD_CHANGES), ...more].join(", ");
  }

  /** Show what is different for several runs. */
  #showSeveral() {
    const several = this.#sweep.runs !== "one";
    this.#words.setSeveral(several);
    this.#starting.setSeveral(several);
    this.#showTokenizer(this.#tokenizer);
  }

  /**
   * @param {import("./config_schema.js").Kind} kind
   * @param {string[]} words such as "train.learning_rate=0.003"
   */
  #parsedChanges(kind, words) {
    const fields = this.#schema.fields(kind);
    /** @type {Map<string, Value>} */
    const changes = new Map();
    for (const word of words) {
      const [path, raw = ""] = word.split("=");
      const field = fields.get(path);
      const parsed = field && parseValue(field, raw);
      if (parsed && "value" in parsed) changes.set(path, parsed.value);
    }
    return changes;
  }

  get #tokenizer() {
    return [...this.#tokenizers()].find(({ checked }) => checked)?.value ?? "character";
  }

  #tokenizers() {
    return /** @type {NodeListOf<HTMLInputElement>} */ (
      byId("tokenizers").querySelectorAll("input")
    );
  }

  /** @param {string} tokenizer where it can be chosen: weights come with their tokens */
  #showTokenizer(tokenizer) {
    const { weights } = this.#starting.read();
    const shown = weights ? this.#usual.tokenizer : tokenizer;
    for (const radio of this.#tokenizers()) radio.checked = radio.value === shown;
    /** @type {HTMLFieldSetElement} */ (byId("tokenizers")).disabled = weights;
    const own = this.#tokenizer === "bpe" && !weights;
    byId("vocabulary-field").hidden = !own;
    this.#config.refresh();
    this.#sweep.setFields(this.#config.groups);
  }
}

/** @param {object} chosen a run or a preset */
function tokenizerOf(chosen) {
  return "tokenizer" in chosen ? String(chosen.tokenizer) : "character";
}
