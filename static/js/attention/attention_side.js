// One run on the attention page: its training, its heads, and the map of the chosen one.
import { isAbort } from "../api.js";
import { largestWithoutFirst, weightsOf } from "../compact_maps.js";
import { part } from "../parts.js";
import { Thumbnails } from "../thumbnails.js";
import { HeadView } from "./head_view.js";
import { Scrubber } from "./scrubber.js";
import { mapRequestOf, NAMES, readingOf, requestsOf, selectionOf } from "./side_request.js";

/**
 * @typedef {import("../api.js").Run} Run
 * @typedef {import("../attention_api.js").AttentionMaps} AttentionMaps
 * @typedef {import("../attention_api.js").AttentionRequest} AttentionRequest
 * @typedef {import("./attention_state.js").AttentionState} AttentionState
 * @typedef {import("../colour_scale.js").Colouring} Colouring
 * @typedef {import("./heatmap.js").Cell} Cell
 * @typedef {import("./side_request.js").Step} Step
 *
 * @typedef {object} Page what a side knows of it
 * @property {AttentionState} state
 * @property {Run[]} runs
 * @property {import("./maps_store.js").MapsStore} store
 * @property {import("./live_steps.js").LiveSteps} steps
 * @property {() => void} onMaps there are other maps, or none
 * @property {() => void} onHead the exact numbers of another map are here
 * @property {(cell: Cell | null, side: AttentionSide) => void} onMove the cursor, in its window
 */

const WORTH_SAYING_MS = 300; // so long nothing is said of waiting

export class AttentionSide {
  /** of all heads @type {AttentionMaps | null} */
  maps = null;
  /** the exact numbers of what is chosen, (T, T) @type {Float32Array | null} */
  exact = null;
  /** resolves when what was asked for is shown, or what went wrong */
  settled = Promise.resolve();
  /** @type {import("../thumbnails.js").Merged} */
  #merged = { layer: null, all: null };
  #asked = "";
  #drawn = "";
  /** @type {AbortController | null} */
  #abort = null;
  /** @type {AbortController | null} */
  #refining = null;
  /** @type {Colouring | null} */
  #colouring = null;

  /**
   * @param {HTMLElement} element
   * @param {0 | 1} index
   * @param {Page} page
   */
  constructor(element, index, page) {
    this.element = element;
    this.page = page;
    this.index = index;
    this.names = NAMES[index];
    this.thumbnails = new Thumbnails(this.#part("thumbnails"), ({ layer, head, merged }) => {
      const { names } = this;
      const place = merged === "all" ? {} : { [names.layer]: layer };
      page.state.set({ ...place, ...(!merged && { [names.head]: head }), merged });
    });
    this.thumbnails.onNear = (place) =>
      page.store.prefetchHead(mapRequestOf(page.state, page.runs, index, place));
    this.view = new HeadView(element, (cell) => page.onMove(cell, this));
    this.scrubber = new Scrubber(this.#part("scrubber"), {
      onMove: (step) => {
        page.state.set({ [this.names.step]: step });
        return this.settled;
      },
      onNear: (step) => this.#requestsAt(step).forEach((request) => page.store.prefetch(request)),
    });
    const select = /** @type {HTMLSelectElement} */ (this.#part("run"));
    select.addEventListener("change", () => {
      this.scrubber.pause();
      page.state.set({ [this.names.run]: select.value, [this.names.step]: null });
    });
    this.#fillRuns(select);
  }

  get selection() {
    return selectionOf(this.page.state, this.index);
  }

  /** @returns {Run | undefined} */
  get run() {
    return this.page.runs.find(({ id }) => id === this.selection.run);
  }

  get reading() {
    const { state, runs } = this.page;
    return readingOf(state, runs, this.index, this.selection.step);
  }

  /** The request for the chosen map. */
  get chosenRequest() {
    return mapRequestOf(this.page.state, this.page.runs, this.index);
  }

  /** What is chosen: "baseline", "step 50", "layer 1", "head 0". */
  get words() {
    const { kind, merged, merge } = this.page.state.shown;
    const { run, step, layer, head } = this.selection;
    const kindWords = kind === "raw" ? [] : [kind.replace("_", " ")];
    const start = [run, `step ${step ?? "final"}`];
    if (merged === "all") return [...start, "all layers", `${merge} of heads`, ...kindWords];
    const place = merged ? `${merge} of heads` : `head ${head}`;
    return [...start, `layer ${layer}`, place, ...kindWords];
  }

  /** The number that the strongest colour must reach; 0 while there are no maps. */
  get brightest() {
    if (!this.maps) return 0;
    const { kind, largest } = this.maps.header;
    if (this.page.state.shown.sink) return largestWithoutFirst(this.maps) || largest;
    return kind === "value_weighted" || kind === "output_weighted" ? largest : 1;
  }

  /** Ask for what the state says, unless it is here. */
  load() {
    this.#drawPickers();
    const requests = this.#requestsAt(this.selection.step);
    const asked = JSON.stringify(requests);
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#abort?.abort();
    this.#refining?.abort();
    this.settled = this.#ask(requests, (this.#abort = new AbortController()).signal);
  }

  /** Nothing is shown here: what was asked for is not wanted. */
  leave() {
    this.#abort?.abort();
    this.#refining?.abort();
    this.scrubber.pause();
    this.#asked = this.#drawn = "";
    this.maps = this.exact = null;
  }

  /** @param {Colouring} colouring */
  paint(colouring) {
    this.#colouring = colouring;
    if (!this.maps) return;
    this.thumbnails.show(this.maps, colouring, this.#merged);
    this.settled = this.showHead();
  }

  /** Draw the chosen map: at once from the compact ones, and again from the exact numbers. */
  async showHead() {
    if (!this.maps || !this.#colouring || this.#stepInside()) return;
    const { merged } = this.page.state.shown;
    this.thumbnails.choose({ ...this.selection, merged });
    this.#part("title").textContent = this.#title;
    const request = this.chosenRequest;
    this.exact = this.page.store.knownHead(request);
    this.#refining?.abort();
    try {
      if (!this.exact) {
        const { signal } = (this.#refining = new AbortController());
        const exact = this.page.store.head(request, signal);
        exact.catch(() => {}); // waited for below, once the rough one is drawn
        this.#draw(this.#roughly(), "rough");
        this.exact = await exact;
        if (signal.aborted) return;
      }
      this.#draw(this.exact, "exact");
      this.element.dataset.shown = this.#name;
      this.page.onHead();
    } catch (error) {
      if (!isAbort(error)) this.fail(/** @type {Error} */ (error));
    }
  }

  /** @param {Cell | null} cell in its window */
  mark(cell) {
    this.view.mark(cell);
  }

  /** @param {Error} error */
  fail(error) {
    this.#asked = "";
    this.maps = this.exact = null;
    delete this.element.dataset.shown;
    this.#part("alert").textContent = error.message;
    this.#part("alert").hidden = false;
    this.#part("waiting").hidden = true;
    this.#part("figures").hidden = true;
    this.page.onMaps();
  }

  /** Draw the run's steps anew. */
  #drawPickers() {
    const { run, step } = this.selection;
    /** @type {HTMLSelectElement} */ (this.#part("run")).value = run;
    this.scrubber.show(this.page.steps.of(run), step, this.run?.training ?? false);
  }

  /** @param {AttentionRequest[]} requests @param {AbortSignal} signal */
  async #ask(requests, signal) {
    const { store } = this.page;
    if (!this.reading.text) {
      this.maps = this.exact = null;
      this.#say("Type something to see what the heads make of it.");
      return this.page.onMaps();
    }
    const waits = setTimeout(() => this.#say("Loading…"), this.maps ? WORTH_SAYING_MS : 0);
    try {
      const answers = requests.map((request) => store.maps(request, signal));
      store.prefetchHead(this.chosenRequest);
      const [maps, layer = null, all = null] = await Promise.all(answers);
      if (signal.aborted) return;
      this.maps = maps;
      this.#merged = { layer, all };
      this.#part("alert").hidden = true;
      this.#part("figures").hidden = false;
      clearTimeout(waits);
      this.#part("waiting").hidden = true;
      this.page.onMaps();
      await this.settled; // painting has put another in place of this one
    } catch (error) {
      clearTimeout(waits);
      if (!isAbort(error) && !signal.aborted) this.fail(/** @type {Error} */ (error));
    }
  }

  /** @param {Step} step */
  #requestsAt(step) {
    return requestsOf(this.page.state, this.page.runs, this.index, step);
  }

  /** What is chosen, as the compact maps have it. */
  #roughly() {
    const { merged } = this.page.state.shown;
    const { layer, head } = this.selection;
    const { maps } = this;
    if (merged && this.#merged[merged])
      return weightsOf(
        /** @type {AttentionMaps} */ (this.#merged[merged]),
        merged === "all" ? 0 : layer,
      );
    return maps ? weightsOf(maps, layer * maps.header.n_head + head) : new Float32Array();
  }

  /**
   * @param {Float32Array} weights
   * @param {"rough" | "exact"} how
   */
  #draw(weights, how) {
    const { maps } = this;
    const colouring = this.#colouring;
    if (!maps || !colouring) return;
    const { kind, sink } = this.page.state.shown;
    const seen = kind === "rollout" ? 0 : Number(this.run?.config.model.attention_window);
    const drawn = JSON.stringify([this.chosenRequest, how, colouring.name, sink]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.element.dataset.painted = this.#name;
    this.view.show(weights, maps.header.tokens, colouring, {
      withoutFirst: sink,
      rough: how === "rough",
      seen: seen || undefined,
    });
  }

  get #title() {
    const { merged, merge } = this.page.state.shown;
    const { layer, head } = this.selection;
    const how = merge === "max" ? "largest" : "mean";
    if (merged === "all") return `All layers, ${how} of their heads`;
    return merged ? `Layer ${layer}, ${how} of its heads` : `Layer ${layer}, head ${head}`;
  }

  /** What is shown, in a word for each part: "baseline final 1 0", "baseline 50 all mean rollout". */
  get #name() {
    const { kind, merged, merge } = this.page.state.shown;
    const { run, step, layer, head } = this.selection;
    const place = merged ? `${merged === "all" ? "all" : layer} ${merge}` : `${layer} ${head}`;
    return [run, step ?? "final", place, ...(kind === "raw" ? [] : [kind])].join(" ");
  }

  /** @returns {boolean} whether the state named a head that is not there; another is shown then */
  #stepInside() {
    const header = this.maps?.header;
    const { layer, head } = this.selection;
    if (!header || (layer < header.n_layer && head < header.n_head)) return false;
    this.page.state.set({
      [this.names.layer]: Math.min(layer, header.n_layer - 1),
      [this.names.head]: Math.min(head, header.n_head - 1),
    });
    return true;
  }

  /** @param {HTMLSelectElement} select */
  #fillRuns(select) {
    const options = this.page.runs.map((run) => {
      const option = new Option(run.attention ? run.title : `${run.title} (has no heads)`, run.id);
      option.disabled = !run.attention;
      return option;
    });
    select.replaceChildren(...options);
  }

  /** @param {string} message shown above the figures, or in their place where there is no text */
  #say(message) {
    const waiting = this.#part("waiting");
    waiting.textContent = message;
    waiting.hidden = false;
    this.#part("alert").hidden = true;
    if (!this.reading.text) this.#part("figures").hidden = true;
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return part(this.element, name);
  }
}
