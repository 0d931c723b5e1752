// The page of runs: the table, the curves, cost against gain, the settings, the samples.
import { announce } from "./announce.js";
import { listRuns } from "./api.js";
import { drawCurves } from "./curves.js";
import { isMeasured, tokensNote } from "./losses.js";
import { pageData } from "./page_data.js";
import { bindControls } from "./runs/bound_controls.js";
import { showSettings } from "./runs/config_diff.js";
import { drawCost } from "./runs/cost_figure.js";
import { deviceWarning, outcomes } from "./runs/cost_gain.js";
import { showOutcomes } from "./runs/cost_list.js";
import { ImportPanel } from "./runs/import_panel.js";
import { usualReference } from "./runs/reference.js";
import { RunHistories } from "./runs/run_histories.js";
import { RunRows } from "./runs/run_rows.js";
import { pageFields } from "./runs/runs_address.js";
import { columns } from "./runs/runs_table.js";
import { SampleColumns } from "./runs/sample_columns.js";
import { readAddress, writeAddress } from "./state.js";

/** @typedef {import("./api.js").Run} Run */
/** @typedef {import("./api.js").RunList} RunList */

const MOST_PROMPTED = 4;
const REFRESH_MS = 4000;

/** @type {<T extends HTMLElement>(id: string) => T} */
const byId = (id) => /** @type {any} */ (document.getElementById(id));

class RunsPage {
  #list;
  #fields;
  #state;
  #ticked;
  #histories = new RunHistories();
  /** @type {Map<string, number>} which number, and so which colour, each run has been given */
  #numbers;
  #rows = new RunRows(byId("runs"), {
    sort: (key) => this.#sortBy(key),
    tick: (id, on) => this.#tick([id], on),
    tickAll: (on) =>
      this.#tick(
        this.#runs.map((run) => run.id),
        on,
      ),
  });
  #samples = new SampleColumns(
    { columns: byId("samples"), template: byId("sample-template"), add: byId("add-sample") },
    (id) => this.#histories.get(id),
    () => this.#remember(),
  );
  #drawing = 0;
  #refreshing = false;
  #timer = 0;

  /** @param {RunList} list with at least one run */
  constructor(list) {
    this.#list = list;
    this.#fields = pageFields(this.#runs, this.#reference);
    this.#state = readAddress(this.#fields);
    this.#ticked = new Set(this.#state.runs);
    this.#numbers = new Map(this.#runs.map(({ id }, i) => [id, i]));
  }

  /** @returns {Run[]} */
  get #runs() {
    return this.#list.runs;
  }

  /** What the others are compared with. */
  get #reference() {
    return usualReference(this.#runs);
  }

  get #chosen() {
    return this.#runs.filter(({ id }) => this.#ticked.has(id));
  }

  start() {
    if (this.#state.time) Object.assign(this.#state, { x: "time", time: false });
    bindControls(this.#state, (name) => this.#changed(name));
    this.#samples.show(this.#runs, this.#state.samples);
    this.#remember();
    this.#showTable();
    this.#showChosen();
    this.#schedule();
    document.addEventListener("themechange", () => this.#showFigures());
    document.addEventListener("visibilitychange", () => this.#refresh());
    new ResizeObserver(() => this.#showCost()).observe(byId("cost"));
    byId("copy-link").addEventListener("click", () => this.#copyLink());
  }

  /** Show a run that has just been brought in. @param {Run} run */
  async welcome(run) {
    const others = this.#runs.filter(({ id }) => id !== run.id);
    this.#take(await listRuns().catch(() => ({ ...this.#list, runs: [...others, run] })));
    this.#tick([run.id], true);
    this.#rows.reveal(run.id);
  }

  /** @param {Run} run */
  #numberOf({ id }) {
    const number = this.#numbers.get(id) ?? this.#numbers.size;
    this.#numbers.set(id, number);
    return number;
  }

  #remember() {
    this.#state.runs = this.#chosen.map(({ id }) => id);
    this.#state.samples = this.#samples.words;
    writeAddress(this.#fields, this.#state);
  }

  async #copyLink() {
    writeAddress(this.#fields, this.#state, { whole: true });
    const link = location.href;
    this.#remember();
    try {
      await navigator.clipboard.writeText(link);
      announce("The link is copied.");
    } catch {
      announce("The browser does not let this page copy; the address bar has the link.");
    }
  }

  /** @param {string} key */
  #sortBy(key) {
    this.#state.descending = this.#state.sort === key && !this.#state.descending;
    this.#state.sort = key;
    this.#remember();
    this.#showTable();
  }

  /** @param {string[]} ids @param {boolean} on */
  #tick(ids, on) {
    for (const id of ids) {
      if (on) this.#ticked.add(id);
      else this.#ticked.delete(id);
    }
    this.#remember();
    this.#showTable();
    this.#showChosen();
  }

  /** @param {string} name of a field that a control has changed */
  #changed(name) {
    this.#remember();
    if (name === "settings") this.#showSettings();
    if (name === "cost" || name === "log") this.#showCost();
    if (["x", "log", "logy", "smooth"].includes(name)) this.#showCurves();
  }

  #showTable() {
    const { sort, descending } = this.#state;
    const { size } = this.#ticked;
    this.#rows.show({
      runs: this.#runs,
      columns: columns(this.#reference, this.#runs),
      reference: this.#reference,
      sort,
      descending,
      ticked: this.#ticked,
      numberOf: (run) => this.#numberOf(run),
    });
    tell("tokens-note", tokensNote(this.#runs));
    const link = /** @type {HTMLAnchorElement} */ (byId("prompt-them"));
    link.href = `/?runs=${this.#state.runs.slice(0, MOST_PROMPTED).join(",")}`;
    const which = size <= MOST_PROMPTED ? "the ticked runs" : `the first ${MOST_PROMPTED} runs`;
    link.textContent = `Prompt ${which} side by side`;
    link.hidden = size === 0;
    const report = /** @type {HTMLAnchorElement} */ (byId("tuning-report"));
    report.href = size ? `/runs/report?runs=${this.#state.runs.join(",")}` : "/runs/report";
  }

  /** All that shows the ticked runs. */
  #showChosen() {
    this.#showFigures();
    this.#showSettings();
  }

  #showFigures() {
    this.#showCurves();
    this.#showCost();
  }

  async #showCurves() {
    const turn = ++this.#drawing;
    const { x, log, logy, smooth } = this.#state;
    const chosen = this.#chosen.filter(isMeasured);
    byId("none-ticked").hidden = this.#chosen.length > 0;
    tell("curves-note", [tokensNote(chosen), withoutCurve(this.#chosen)].join(" ").trim());
    const asked = await Promise.allSettled(chosen.map(({ id }) => this.#histories.get(id)));
    if (turn !== this.#drawing) return;
    const curves = asked.flatMap((answer, i) =>
      answer.status === "fulfilled"
        ? [{ run: answer.value, number: this.#numberOf(chosen[i]) }]
        : [],
    );
    const failed = asked.find((answer) => answer.status === "rejected");
    try {
      await drawCurves(byId("curves"), curves, { x, logX: log, logY: logy, smoothing: smooth });
      tell("curves-alert", failed ? failed.reason.message : "");
    } catch (error) {
      tell("curves-alert", /** @type {Error} */ (error).message);
    }
  }

  async #showCost() {
    const reference = this.#reference;
    const chosen = this.#runs.filter(
      (run) => this.#state.cost || run === reference || this.#ticked.has(run.id),
    );
    const all = outcomes(chosen, reference);
    const numberOf = (/** @type {Run} */ run) => this.#numberOf(run);
    showOutcomes(byId("outcomes"), all, reference, numberOf);
    tell("device-warning", deviceWarning(chosen));
    try {
      await drawCost(byId("cost"), all, reference, { logX: this.#state.log, numberOf });
      tell("cost-alert", "");
    } catch (error) {
      tell("cost-alert", /** @type {Error} */ (error).message);
    }
  }

  #showSettings() {
    const all = this.#state.settings;
    showSettings(byId("settings"), this.#chosen, this.#reference, { all });
  }

  /** A run that is still training goes on while the page is open. */
  #schedule() {
    clearTimeout(this.#timer);
    if (document.hidden || !this.#runs.some(({ training }) => training)) return;
    this.#timer = setTimeout(() => this.#refresh(), REFRESH_MS);
  }

  async #refresh() {
    if (this.#refreshing || document.hidden) return;
    this.#refreshing = true;
    try {
      this.#take(await listRuns());
      tell("refresh-alert", "");
    } catch (error) {
      tell("refresh-alert", `The runs may have changed. ${/** @type {Error} */ (error).message}`);
    }
    this.#refreshing = false;
    this.#schedule();
  }

  /** @param {RunList} list the newest */
  #take(list) {
    const before = new Map(this.#runs.map((run) => [run.id, JSON.stringify(run)]));
    const changed = list.runs.filter((run) => before.get(run.id) !== JSON.stringify(run));
    const grown = new Set(changed.map(({ id }) => id));
    const gone = this.#runs.filter(({ id }) => !list.runs.some((run) => run.id === id));
    this.#list = list;
    showWhatThereIs(list);
    if (!list.runs.length || (!changed.length && !gone.length)) return;
    for (const { id } of [...changed, ...gone]) this.#histories.forget(id);
    this.#showTable();
    this.#showFigures();
    this.#samples.refresh(list.runs, grown);
    if (gone.length || changed.some(({ id }) => !before.has(id))) this.#showSettings();
  }
}

/** @param {string} id @param {string} words empty: nothing is said */
function tell(id, words) {
  const element = byId(id);
  element.textContent = words;
  element.hidden = words === "";
}

/**
 * @param {readonly Run[]} runs
 * @returns {string} which of them have no losses to draw; empty where all have
 */
function withoutCurve(runs) {
  const titles = runs.filter((run) => !isMeasured(run)).map(({ title }) => title);
  return titles.length ? `Brought in without losses, so no curve: ${titles.join(", ")}.` : "";
}

/** @param {RunList} list */
function showWhatThereIs({ runs, broken }) {
  byId("no-runs").hidden = runs.length > 0;
  for (const part of document.querySelectorAll("[data-with-runs]")) {
    /** @type {HTMLElement} */ (part).hidden = runs.length === 0;
  }
  byId("broken").hidden = broken.length === 0;
  byId("broken-list").replaceChildren(
    ...broken.map(({ id, reason }) => {
      const item = document.createElement("li");
      item.textContent = `${id}: ${reason}`;
      return item;
    }),
  );
}

/** @type {RunsPage | null} null as long as there are no runs */
let runsPage = null;

/** @param {RunList} list */
function begin(list) {
  showWhatThereIs(list);
  if (!list.runs.length) return;
  runsPage = new RunsPage(list);
  runsPage.start();
}

begin(pageData());
new ImportPanel(byId("bring-in"), async (run) => {
  if (!runsPage) begin({ runs: [run], broken: [] });
  await runsPage?.welcome(run);
});
