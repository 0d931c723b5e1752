// All of the attention page: one text, one run or two beside one another, one scale, one cursor.

import { palette } from "../colour_scale.js";
import { tokenUnit } from "../losses.js";
import { byId, part } from "../parts.js";
import { AttentionSide } from "./attention_side.js";
import { PANELS } from "./attention_state.js";
import { scoreOf } from "./head_order.js";
import { linkedCell } from "./linked_cursor.js";
import { LiveSteps } from "./live_steps.js";
import { strongestKey } from "./map_facts.js";
import { MapOptions } from "./map_options.js";
import { PanelContext } from "./panel_context.js";
import { PanelTabs } from "./panel_tabs.js";
import { knownRun } from "./shown_runs.js";
import { WindowBar } from "./window_bar.js";

/** @typedef {import("./heatmap.js").Cell} Cell */
/** @typedef {import("../attention_api.js").Roles} Roles */

/** @type {Record<string, -1 | 1>} */
const STEPPED = { ",": -1, ".": 1 };
const TYPED_IN =
  "input:not([type=range], [type=checkbox], [type=radio]), textarea, select, [contenteditable]";

export class AttentionPage {
  #state;
  #runs;
  #steps;
  #options;
  #window;
  #tabs;
  #sides;
  #context;
  /** of side 1, once a panel has them @type {Roles | null} */
  #roles = null;

  /**
   * @param {import("./attention_state.js").AttentionState} state
   * @param {import("../api.js").Run[]} runs
   * @param {import("./maps_store.js").MapsStore} store
   */
  constructor(state, runs, store) {
    this.#state = state;
    this.#runs = runs;
    this.#steps = new LiveSteps(runs, () => this.#load());
    this.#options = new MapOptions(state, () => knownRun(runs, "", 1));
    this.#window = new WindowBar(byId("window-bar"), (end) => state.set({ end }));
    this.#tabs = new PanelTabs(byId("panels"), (name) => {
      state.set({ panel: PANELS.find((panel) => panel === name) });
    });
    const page = {
      ...{ state, runs, store, steps: this.#steps },
      onMaps: () => this.#paint(),
      onHead: () => this.#tabs.changed(),
      onMove: (/** @type {Cell | null} */ cell, /** @type {AttentionSide} */ side) =>
        this.#move(cell, side),
    };
    const elements = /** @type {HTMLElement[]} */ ([...byId("sides").children]);
    this.#sides = [
      new AttentionSide(elements[0], 0, page),
      new AttentionSide(elements[1], 1, page),
    ];
    const onRoles = (/** @type {Roles | null} */ roles) => this.#arrange(roles);
    this.#context = new PanelContext({ state, runs, sides: this.#sides, onRoles });
  }

  /** Resolves when the maps are shown; what is below them comes after. */
  async start() {
    const { view, off, panel } = this.#state.shown;
    this.#options.show();
    for (const side of this.#sides) side.view.choose(view);
    this.#sides[0].thumbnails.cross(off);
    this.#listen();
    this.#load();
    this.#tabs.open(panel);
    palette(); // to know the colours takes a layout of the page: better while the maps are on their way
    await this.#sides[0].settled;
    const { addPanels } = await import("./attention_panels.js");
    addPanels(this.#tabs, this.#context, this.#sides);
    this.#tabs.changed();
  }

  #listen() {
    const state = this.#state;
    state.on(["run", "step", "run2", "step2", "text", "end", "kind", "merge"], () => this.#load());
    state.on(["layer", "head", "merged", "layer2", "head2"], () =>
      this.#shown.forEach((side) => void side.showHead()),
    );
    state.on(["sink", "log"], () => this.#paint());
    state.on(["query", "key"], () => this.#mark());
    state.on(["view"], () => this.#sides.forEach(({ view }) => view.choose(state.shown.view)));
    state.on(["order", "least", "uncorrected"], () => this.#arrange(this.#roles));
    state.on(["off"], () => this.#sides[0].thumbnails.cross(state.shown.off));
    state.on(["panel"], () => this.#tabs.open(state.shown.panel));
    state.onAny(() => {
      this.#options.show();
      this.#tabs.changed();
    });
    document.addEventListener("themechange", () => this.#paint());
    document.addEventListener("keydown", (event) => this.#onKey(event));
  }

  get #shown() {
    return this.#context.two ? this.#sides : this.#sides.slice(0, 1);
  }

  #load() {
    const { run, run2 } = this.#state.shown;
    this.#steps.watch(run2 ? [run, run2] : [run]);
    this.#sides[1].element.hidden = !this.#context.two;
    if (!this.#context.two) this.#sides[1].leave();
    for (const side of this.#shown) side.load();
    this.#showWindow();
  }

  /** The scale is one for all, so all are painted anew. */
  #paint() {
    const colouring = this.#context.colouring();
    this.#options.legend(colouring);
    for (const side of this.#shown) side.paint(colouring);
    this.#mark();
    this.#showWindow();
    this.#tabs.changed();
  }

  #showWindow() {
    const { text, end, run } = this.#state.shown;
    const header = this.#sides[0].maps?.header;
    const known = this.#runs.find(({ id }) => id === run);
    const length = this.#context.request().length ?? known?.block_size;
    const size = `${length} ${tokenUnit(known)}`;
    this.#window.show({ text, end, offset: header?.text_offset ?? null, size });
  }

  /** @param {Cell | null} cell @param {AttentionSide} side in whose window it is */
  #move(cell, side) {
    const [one, two] = [this.#context.tokens(0), this.#context.tokens(1)];
    const own = side === this.#sides[0] ? cell : linkedCell(cell, two, one);
    if (cell && !own) return; // before the first token of side 1
    this.#state.set({ query: own?.query ?? null, key: own?.key ?? null });
  }

  #mark() {
    const { query, key } = this.#state.shown;
    const [one, two] = this.#sides;
    const tokens = this.#context.tokens(0);
    const T = tokens.length;
    const known = query !== null && query < T;
    const strongest = () => strongestKey(one.view.weights, T, query ?? 0);
    const cell = known ? { query, key: key ?? strongest() } : null;
    one.mark(cell);
    if (this.#context.two) two.mark(linkedCell(cell, tokens, this.#context.tokens(1)));
  }

  /** @param {Roles | null} roles */
  #arrange(roles) {
    this.#roles = roles;
    const { order, least, uncorrected } = this.#state.shown;
    const { thumbnails, element } = this.#sides[0];
    /** @param {import("../thumbnails.js").Place} place */
    const of = ({ layer, head }) =>
      roles?.heads.find((each) => each.layer === layer && each.head === head);
    const role = roles?.roles.find(({ name }) => name === order);
    const score = (/** @type {import("../thumbnails.js").Place} */ place) => {
      const scores = of(place);
      return scores ? scoreOf(scores, order, uncorrected) : 0;
    };
    const badge = (/** @type {import("../thumbnails.js").Place} */ place) =>
      of(place)?.badges[0] ?? "";
    thumbnails.arrange({ score: role ? score : null, least, badge });
    const note = part(element, "arranged");
    note.hidden = !role;
    note.textContent = role ? `The most “${role.title}” first.` : "";
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const by = STEPPED[event.key];
    const target = /** @type {Element} */ (event.target);
    if (!by || event.ctrlKey || event.metaKey || event.altKey || target.closest(TYPED_IN)) return;
    const side = this.#shown.find(({ element }) => element.contains(target)) ?? this.#sides[0];
    side.scrubber.move(by);
  }
}
