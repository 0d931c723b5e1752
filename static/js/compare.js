// The page "/": one prompt, several runs, side by side.
import { announce } from "./announce.js";
import { Composer, pageFields, randomSeed } from "./compare/composer.js";
import { Panel } from "./compare/panel.js";
import { attachProbabilityCard } from "./compare/probability_card.js";
import { pageData } from "./page_data.js";
import { addressOf, readAddress, writeAddress } from "./state.js";
import { TINT_FROM } from "./surprise.js";

const MOST_PANELS = 4;
const USUAL_RUNS = ["baseline", "case-1", "case-2", "case-3"];
const LONGEST_ADDRESS = 6000;
/** Switches that change how texts are shown. */
const LOOKS = /** @type {const} */ (["tint", "spaces"]);

/** @type {<T extends HTMLElement>(id: string) => T} */
const byId = (id) => {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return /** @type {any} */ (element);
};

class ComparePage {
  #list = pageData();
  #fields = pageFields(usualRuns(this.#list.runs.map(({ id }) => id)));
  #state = readAddress(this.#fields);
  #composer = new Composer(byId("composer"), () => this.#changed());
  #panels = byId("panels");
  #add = /** @type {HTMLButtonElement} */ (byId("add-panel"));
  /** @type {Panel[]} */
  #shown = [];
  #busy = false;

  start() {
    const typed = this.#composer.typed(); // while the page was being loaded
    this.#composer.show({ ...this.#state, ...typed });
    this.#panels.replaceChildren();
    for (const run of this.#state.runs.slice(0, MOST_PANELS)) this.#addPanel(run);
    byId("no-runs").hidden = this.#list.runs.length > 0;
    this.#listen();
    this.#showLook();
    this.#showBusy();
    attachProbabilityCard(this.#panels, byId("probability-card"), (text, index) => {
      return this.#shown.find((panel) => panel.writes(text))?.momentOf(index) ?? null;
    });
    if (Object.keys(typed).length > 0) this.#changed();
    else if (this.#state.go) this.#generate();
  }

  #listen() {
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#generate();
    });
    byId("stop").addEventListener("click", () => this.#stop());
    byId("again").addEventListener("click", () => {
      this.#composer.show({ seed: randomSeed() });
      this.#generate();
    });
    byId("copy-link").addEventListener("click", () => this.#copyLink());
    this.#add.addEventListener("click", () => this.#addUnused());
    for (const name of LOOKS) {
      byId(name).addEventListener("change", ({ target }) => {
        this.#save({ [name]: /** @type {HTMLInputElement} */ (target).checked });
        this.#showLook();
      });
    }
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape") this.#stop();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.#generate();
    }
  }

  #generate() {
    if (this.#shown.length === 0) return;
    const writing = this.#composer.read();
    this.#composer.show(writing);
    this.#save({ go: true });
    for (const panel of this.#shown) void panel.generate(writing);
    this.#bringIntoView();
  }

  #stop() {
    for (const panel of this.#shown) panel.stop();
  }

  /** On a small screen the texts begin below what can be seen. */
  #bringIntoView() {
    const text = this.#panels.querySelector(".token-text");
    const top = text?.getBoundingClientRect().top ?? 0;
    if (top > 0.8 * innerHeight) byId("panels-title").scrollIntoView();
  }

  #changed() {
    this.#save({ go: false });
  }

  /** @param {Partial<import("./state.js").State<ReturnType<typeof pageFields>>>} [changes] */
  #save(changes = {}) {
    const runs = this.#shown.map(({ choice }) => choice);
    this.#state = { ...this.#state, ...this.#composer.read(), runs, ...changes };
    const whole = this.#state.go;
    const address = addressOf(location.pathname, this.#fields, this.#state, { whole });
    // A browser refuses an address that is too long; the page then keeps the prompt to itself.
    const prompt = address.length > LONGEST_ADDRESS ? { prompt: undefined } : {};
    writeAddress(this.#fields, { ...this.#state, ...prompt }, { whole });
  }

  /** @param {string} run */
  #addPanel(run) {
    const panel = new Panel(byId("panel-template"), this.#list, run, {
      onRun: () => this.#save(),
      onRemove: (removed) => this.#remove(removed),
      onState: () => this.#showBusy(),
    });
    this.#shown.push(panel);
    this.#panels.append(panel.element);
    this.#showBusy();
    return panel;
  }

  #addUnused() {
    const shown = new Set(this.#shown.map(({ runId }) => runId));
    const run = this.#list.runs.find(({ id }) => !shown.has(id)) ?? this.#list.runs[0];
    if (!run) return;
    const panel = this.#addPanel(run.id);
    this.#save();
    panel.element.querySelector("select")?.focus();
  }

  /** @param {Panel} panel */
  #remove(panel) {
    panel.stop();
    panel.element.remove();
    this.#shown = this.#shown.filter((other) => other !== panel);
    this.#save();
    this.#showBusy();
    this.#add.focus();
  }

  #showBusy() {
    const busy = this.#shown.some((panel) => panel.busy);
    if (busy !== this.#busy) this.#tell(busy);
    const none = this.#shown.length === 0;
    setDisabled("stop", !busy);
    setDisabled("generate", none);
    setDisabled("again", none);
    this.#add.disabled = this.#shown.length >= MOST_PANELS || this.#list.runs.length === 0;
    this.#panels.dataset.count = String(this.#shown.length);
    byId("no-panels").hidden = !none || this.#list.runs.length === 0;
  }

  /** @param {boolean} busy */
  #tell(busy) {
    this.#busy = busy;
    const reports = this.#shown.map(({ report }) => report).join("; ");
    byId("progress").textContent = busy ? "Writing" : reports;
  }

  #showLook() {
    for (const name of LOOKS) {
      /** @type {HTMLInputElement} */ (byId(name)).checked = this.#state[name];
      this.#panels.classList.toggle(`shows-${name}`, this.#state[name]);
    }
    byId("legend").hidden = !this.#state.tint;
    byId("legend-steps").replaceChildren(...legendSteps());
  }

  async #copyLink() {
    this.#save();
    const whole = readAddress(this.#fields).prompt === this.#state.prompt;
    try {
      await navigator.clipboard.writeText(location.href);
      announce(whole ? "Copied the link" : "Copied the link, without the prompt: it is too long");
    } catch {
      announce("The browser does not let this page copy; the address bar has the link");
    }
  }
}

/** @param {string[]} ids */
function usualRuns(ids) {
  const usual = USUAL_RUNS.filter((id) => ids.includes(id));
  return usual.length > 0 ? usual : ids.slice(0, MOST_PANELS);
}

/** @returns {HTMLElement[]} */
function legendSteps() {
  return [0, ...TINT_FROM].map((from, index) => {
    const step = document.createElement("li");
    step.className = `legend-step tint-${index}`;
    step.textContent = index === TINT_FROM.length ? `${from}+` : String(from);
    return step;
  });
}

/**
 * @param {string} id
 * @param {boolean} disabled
 */
function setDisabled(id, disabled) {
  /** @type {HTMLButtonElement} */ (byId(id)).disabled = disabled;
}

new ComparePage().start();
