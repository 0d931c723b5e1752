// Every run's hypothesis, what became of it, and the loss gained for the minutes spent.
import { listRuns } from "../api.js";
import { pageData } from "../page_data.js";
import { byId, copyOf } from "../parts.js";
import { deviceWarning, outcomes } from "../runs/cost_gain.js";
import { showOutcomes } from "../runs/cost_list.js";
import { usualReference } from "../runs/reference.js";
import { choice, flag, text } from "../state.js";
import { CostScatter } from "./cost_scatter.js";
import { Lesson } from "./lesson.js";
import { NoteCard } from "./notes_card.js";
import { showCosts } from "./notes_cost.js";
import { spreads, spreadWords } from "./notes_seeds.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {import("../runs/cost_gain.js").Outcome} Outcome */

const REFRESH_MS = 5000;

export function start() {
  const { runs } = pageData();
  byId("no-runs").hidden = runs.length > 0;
  for (const section of document.querySelectorAll("[data-needs-runs]")) {
    /** @type {HTMLElement} */ (section).hidden = runs.length === 0;
  }
  if (runs.length) new Hypotheses(runs).start();
}

class Hypotheses {
  #lesson;
  /** @type {Map<string, NoteCard>} */
  #cards = new Map();
  /** @type {Map<string, number>} which number, and so which colour, each run has */
  #numbers;
  #plot = new CostScatter(byId("cost"));
  #timer = 0;

  /** @param {Run[]} runs at least one */
  constructor(runs) {
    this.#numbers = new Map(runs.map(({ id }, i) => [id, i]));
    this.#lesson = new Lesson({
      run: text(""),
      against: text(usualReference(runs).id),
      only: flag(false),
      sort: choice("listed", ["listed", "gain", "loss"]),
      log: flag(false),
    });
  }

  start() {
    const lesson = this.#lesson;
    const asked = lesson.state.run;
    lesson.figure(byId("notes"), {
      follows: ["against", "only", "sort"],
      ask: () => undefined,
      show: () => this.#showCards(),
    });
    lesson.figure(byId("worth"), {
      follows: ["against", "log"],
      ask: () => undefined,
      show: () => this.#showWorth(),
    });
    lesson.start();
    this.#showCards();
    if (asked) this.#open(asked);
    this.#watch();
  }

  #watch() {
    addEventListener("beforeunload", (event) => {
      if ([...this.#cards.values()].some((card) => card.isDirty)) event.preventDefault();
    });
    document.addEventListener("visibilitychange", () => this.#refresh());
    this.#schedule();
  }

  /** What the others are measured against. @returns {Run} */
  get #reference() {
    return this.#lesson.run("against") ?? usualReference(this.#lesson.runs);
  }

  /** @returns {Outcome[]} the largest gain for each minute first */
  get #outcomes() {
    return outcomes(this.#lesson.runs, this.#reference);
  }

  #showCards() {
    const reference = this.#reference;
    const all = this.#outcomes;
    for (const outcome of all) this.#card(outcome.run).show(outcome, reference);
    const { only } = this.#lesson.state;
    const shown = this.#sorted(all)
      .filter((run) => !only || run.hypothesis || this.#card(run).isOpen)
      .map((run) => this.#card(run).element);
    const list = byId("note-cards");
    const same = shown.length === list.children.length;
    // A card that is moved loses the focus.
    if (!same || shown.some((card, i) => card !== list.children[i])) list.replaceChildren(...shown);
    byId("no-hypothesis").hidden = shown.length > 0;
  }

  /** @param {Outcome[]} all @returns {Run[]} */
  #sorted(all) {
    const { sort } = this.#lesson.state;
    if (sort === "gain") return all.map(({ run }) => run);
    if (sort === "listed") return this.#lesson.runs;
    const last = Number.POSITIVE_INFINITY;
    return [...all]
      .sort((a, b) => (a.change ?? last) - (b.change ?? last) || 0)
      .map(({ run }) => run);
  }

  /** @param {Run} run */
  #card(run) {
    const known = this.#cards.get(run.id);
    if (known) return known;
    const template = /** @type {HTMLTemplateElement} */ (byId("note-template"));
    const card = new NoteCard(copyOf(template), run, {
      onOpen: (open) => this.#remember(run.id, open),
      onNews: (news) =>
        this.#take(this.#lesson.runs.map((old) => (old.id === news.id ? news : old))),
    });
    this.#cards.set(run.id, card);
    return card;
  }

  /** The address leads to what is being edited. @param {string} id @param {boolean} open */
  #remember(id, open) {
    if (open) this.#lesson.set("run", id);
    else if (this.#lesson.state.run === id) this.#lesson.set("run", "");
  }

  /** @param {string} id of a run that a link leads to */
  #open(id) {
    const run = this.#lesson.runs.find((one) => one.id === id);
    const missing = byId("no-such-run");
    missing.hidden = run !== undefined;
    missing.textContent = `There is no run ${id} any more.`;
    if (!run) return this.#lesson.set("run", "");
    const card = this.#card(run);
    card.edit();
    this.#showCards(); // it may have no hypothesis yet
    card.element.scrollIntoView({ block: "start" });
    if (!card.isOpen) card.element.focus({ preventScroll: true });
  }

  /** @param {Run[]} runs the newest */
  #take(runs) {
    // Words that are being written outlive their run's folder.
    const gone = this.#lesson.runs.filter(
      (run) => this.#card(run).isOpen && !runs.some(({ id }) => id === run.id),
    );
    this.#lesson.runs = [...runs, ...gone];
    for (const { id } of runs) {
      if (!this.#numbers.has(id)) this.#numbers.set(id, this.#numbers.size);
    }
    this.#showCards();
    this.#showWorth();
  }

  #showWorth() {
    const reference = this.#reference;
    const all = this.#outcomes;
    const numberOf = (/** @type {Run} */ run) => this.#numberOf(run);
    showOutcomes(byId("outcomes"), all, reference, numberOf);
    showCosts(/** @type {any} */ (byId("costs")), all);
    tell("device-warning", deviceWarning(this.#lesson.runs));
    const found = spreads(this.#lesson.runs);
    byId("no-seeds").hidden = found.length > 0;
    byId("seeds").replaceChildren(
      ...found.map((spread) => {
        const item = document.createElement("li");
        item.textContent = spreadWords(spread);
        return item;
      }),
    );
    const sweep = new URLSearchParams({
      from: reference.id,
      runs: "grid",
      vary: "train.seed:values:1;2;3",
    });
    for (const link of document.querySelectorAll("a[data-seed-sweep]")) {
      /** @type {HTMLAnchorElement} */ (link).href = `/train?${sweep}`;
    }
    this.#plot.show(all, reference, { logX: this.#lesson.state.log, numberOf });
  }

  /** @param {Run} run */
  #numberOf(run) {
    return this.#numbers.get(run.id) ?? 0;
  }

  /** A run that is still training goes on while the page is open. */
  #schedule() {
    clearTimeout(this.#timer);
    if (document.hidden || !this.#lesson.runs.some(({ training }) => training)) return;
    this.#timer = setTimeout(() => this.#refresh(), REFRESH_MS);
  }

  /** See what others have written meanwhile, and how far training is. */
  async #refresh() {
    if (document.hidden) return;
    const before = this.#lesson.runs;
    const runs = (await listRuns().catch(() => null))?.runs ?? before;
    const changed = JSON.stringify(runs) !== JSON.stringify(this.#lesson.runs);
    // What was saved while the question was on its way is newer than the answer.
    if (changed && before === this.#lesson.runs) this.#take(runs);
    this.#schedule();
  }
}

/** @param {string} id @param {string} words empty: nothing is said */
function tell(id, words) {
  const element = byId(id);
  element.textContent = words;
  element.hidden = words === "";
}
