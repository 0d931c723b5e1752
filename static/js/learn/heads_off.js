// Heads switched off: which, how much each is missed, and what the run is without them.
import { AblationView } from "../attention/ablation_view.js";
import { HeadGrid } from "../attention/head_grid.js";
import { signed } from "../attention/signed.js";
import { importance, switchOff } from "../attention_api.js";
import { lossUnit } from "../losses.js";
import { part } from "../parts.js";
import { readingOf } from "./heads_reading.js";

/**
 * @typedef {import("../api.js").Run} Run
 * @typedef {import("../attention_api.js").Importance} Importance
 * @typedef {import("../attention_api.js").Place} Place
 * @typedef {import("./lesson.js").Lesson} Lesson
 */

/** Heads times parameters: what is more takes longer than a page should without being asked. */
const QUICK = 1e9;

const CALM = 0.8; // temperature: unlikely characters hide what the heads are missed for

export class HeadsOff {
  /** @type {Importance | null} */
  #importance = null;
  /** of which run, as often as it is asked @type {string | null} */
  #wanted = null;
  #lesson;
  #switches;
  #results;

  /**
   * @param {Lesson} lesson
   * @param {HTMLElement} switches the figure with the heads
   * @param {HTMLElement} results the figure with what becomes of the run
   */
  constructor(lesson, switches, results) {
    this.#lesson = lesson;
    this.#switches = switches;
    this.#results = results;
    this.view = new AblationView(results);
    this.grid = new HeadGrid(
      part(switches, "heads"),
      ({ layer, head }) => this.#toggle([layer, head]),
      { idle: "·" },
    );
    part(switches, "measure").addEventListener("click", () => {
      this.#wanted = lesson.state.run;
      lesson.set("fill", lesson.state.fill);
    });
    part(switches, "none").addEventListener("click", () => this.#set([]));
    part(switches, "layer-off").addEventListener("click", () => this.#set(this.#wholeLayer()));
  }

  /** Let both figures follow the lesson's state. */
  bind() {
    this.#lesson.figure(this.#switches, {
      follows: ["run", "step", "text", "fill"],
      ask: (state, signal) => {
        this.#importance = null;
        this.showGrid();
        const question = { ...readingOf(state), fill: state.fill };
        const asks = this.#isQuick || this.#wanted === state.run;
        part(this.#switches, "measure").hidden = asks;
        return asks ? importance(question, signal) : null;
      },
      show: (answer) => {
        this.#importance = answer;
        this.showGrid();
        part(this.#switches, "importance").textContent = answer
          ? inWords(answer, this.#unit)
          : "How much each head is missed is measured by going without each in turn, which takes a while for so large a run.";
      },
    });
    this.#lesson.figure(this.#results, {
      follows: ["run", "step", "text", "fill", "off", "write", "seed"],
      ask: (state, signal) => this.#switchOff(state, signal),
      show: (answer) => {
        part(this.#results, "body").hidden = answer === null;
        part(this.#results, "nothing-off").hidden = answer !== null;
        part(this.#results, "nothing-off").textContent =
          "No head is switched off. Press one or more above.";
        if (answer) this.view.show(answer, this.#unit);
      },
    });
  }

  showGrid() {
    const { n_layer: nLayer, n_head: nHead } = this.#lesson.run() ?? {};
    if (!nLayer || !nHead) return;
    const off = new Set(this.#off().map(String));
    this.grid.show({
      nLayer,
      nHead,
      values: this.#importance?.changes ?? null,
      pressed: (layer, head) => off.has(String([layer, head])),
      name: ({ layer, head }) => `Switch off layer ${layer}, head ${head}`,
    });
  }

  /** @param {Record<string, any>} state @param {AbortSignal} signal */
  async #switchOff(state, signal) {
    this.showGrid();
    const heads = this.#off();
    const reading = readingOf(state);
    if (!heads.length) return null;
    const { fill, write: generate, seed } = state;
    return switchOff({ ...reading, heads, fill, generate, seed, temperature: CALM }, signal);
  }

  /** @returns {Place[]} the heads of the address that the run has */
  #off() {
    const { n_layer, n_head } = this.#lesson.run() ?? {};
    return this.#lesson.state.off
      .map((/** @type {string} */ word) => word.split(".").map(Number))
      .filter(
        (/** @type {Place} */ [layer, head]) => layer < (n_layer ?? 0) && head < (n_head ?? 0),
      );
  }

  /** @param {Place[]} heads */
  #set(heads) {
    const ordered = [...heads].sort(([a, b], [c, d]) => a - c || b - d);
    this.#lesson.set(
      "off",
      ordered.map((place) => place.join(".")),
    );
  }

  /** @param {Place} place */
  #toggle([layer, head]) {
    const before = this.#off();
    const others = before.filter(([a, b]) => a !== layer || b !== head);
    this.#set(others.length < before.length ? others : [...others, [layer, head]]);
  }

  /** @returns {Place[]} all heads of the layer that is chosen further up */
  #wholeLayer() {
    const { layer } = this.#lesson.state;
    return Array.from({ length: this.#lesson.run()?.n_head ?? 0 }, (_, head) => [layer, head]);
  }

  get #isQuick() {
    const { n_layer, n_head, params } = this.#lesson.run() ?? {};
    return (n_layer ?? 0) * (n_head ?? 0) * (params ?? 0) <= QUICK;
  }

  get #unit() {
    const run = this.#lesson.run();
    return lossUnit(run ? [run] : []);
  }
}

/**
 * @param {Importance} importance
 * @param {string} unit
 */
function inWords({ changes, loss }, unit) {
  const heads = changes.flatMap((row, layer) =>
    row.map((change, head) => ({ layer, head, change })),
  );
  const ordered = [...heads].sort((a, b) => b.change - a.change);
  const [most, least] = [ordered[0], ordered[ordered.length - 1]];
  const better = heads.filter(({ change }) => change < 0).length;
  const few =
    better === 0
      ? "Without any of the others the text is foretold worse too"
      : `Without ${better === 1 ? "one" : better} of the ${heads.length} the text is even foretold better`;
  return `With all heads the loss on your text is ${loss.toFixed(3)} ${unit}. The number on each head is what it rises by without that head alone. Layer ${most.layer}, head ${most.head} is missed most (${signed(most.change)}), layer ${least.layer}, head ${least.head} least (${signed(least.change)}). ${few}.`;
}
