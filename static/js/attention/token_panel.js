// "One token, every head": what a token looks at, in all heads at once.

import { part } from "../parts.js";
import { headCell, rowOf, textCell } from "./bar_cell.js";
import { about, HeadRows } from "./head_rows.js";
import { HeadStrips } from "./head_strips.js";
import { ShadedText } from "./shaded_text.js";
import { tokenAt } from "./token_name.js";

/**
 * @typedef {import("./panel_context.js").PanelContext} PanelContext
 * @typedef {import("./head_strips.js").Cell} Cell
 */

const LISTED = 3;

export class TokenPanel {
  /** @type {HeadRows | null} */
  #rows = null;
  /** what is drawn, to draw it only once */
  #drawn = "";
  /** @type {import("../attention_api.js").AttentionMaps | null} */
  #maps = null;

  /**
   * @param {HTMLElement} element
   * @param {PanelContext} context
   */
  constructor(element, context) {
    this.element = element;
    this.context = context;
    const look = (/** @type {number} */ query) => context.state.set({ query, key: null });
    this.all = new ShadedText(this.#part("all"), look);
    this.one = new ShadedText(this.#part("one"), look);
    this.strips = new HeadStrips(this.#part("strips"), {
      onMove: (cell) => this.#move(cell),
      onChoose: (row) => this.#rows && context.state.set(this.#rows.place(row)),
    });
    this.#part("across").addEventListener("input", ({ target }) => {
      const { value } = /** @type {HTMLInputElement} */ (target);
      context.state.set({ across: value === "max" ? "max" : "mean" });
    });
    this.#part("details").addEventListener("toggle", () => this.#fillTable());
  }

  show() {
    const maps = this.context.maps();
    this.#part("waiting").hidden = maps !== null;
    this.#part("body").hidden = maps === null;
    if (!maps) {
      const { read } = this.context.state;
      this.#part("waiting").textContent = read
        ? "It shows the maps above, once they are there."
        : "Type a text to see it read.";
      this.#drawn = "";
      return;
    }
    const { layer, head, across, key } = this.context.state.shown;
    const scale = this.context.colouring();
    const drawn = [this.#query, layer, head, across, scale.name].join(" ");
    if (maps !== this.#maps || drawn !== this.#drawn) {
      this.#maps = maps;
      this.#drawn = drawn;
      this.#draw(maps, scale);
    }
    const row = this.strips.cell?.row ?? this.#chosenRow;
    this.strips.point(key === null ? null : { row, key });
    this.#describe();
  }

  /**
   * @param {import("../attention_api.js").AttentionMaps} maps
   * @param {import("../colour_scale.js").Colouring} scale
   */
  #draw(maps, scale) {
    const { tokens } = maps.header;
    const query = this.#query;
    const rows = (this.#rows = new HeadRows(maps, query));
    const { across, layer, head } = this.context.state.shown;
    const share = (/** @type {number} */ value) => scale.share(value);
    this.#part("title").textContent = `What ${tokenAt(tokens, query)} looks at`;
    this.#part("head-name").textContent = `Layer ${layer}, head ${head}`;
    for (const radio of this.#part("across").querySelectorAll("input")) {
      radio.checked = radio.value === across;
    }
    const merged = rows.across(across);
    const look = (/** @type {(key: number) => number} */ value) => (/** @type {number} */ key) => {
      if (key > query) return { share: 0, title: "comes later", faint: true };
      return { share: share(value(key)), title: about(value(key)) };
    };
    this.all.show(
      tokens,
      query,
      look((key) => merged[key]),
    );
    this.one.show(
      tokens,
      query,
      look((key) => rows.value(this.#chosenRow, key)),
    );
    const pixel = (/** @type {number} */ value) => scale.pixel(value);
    this.strips.show({ rows, tokens, pixel, chosen: this.#chosenRow });
    this.#fillTable();
  }

  get #query() {
    const last = this.context.tokens().length - 1;
    return Math.min(this.context.state.shown.query ?? last, last);
  }

  get #chosenRow() {
    const { layer, head } = this.context.state.shown;
    const { n_head = 1, n_layer = 1 } = this.#maps?.header ?? {};
    return Math.min(layer * n_head + head, n_layer * n_head - 1);
  }

  /** @param {Cell} cell */
  #move({ key }) {
    this.context.state.set({ query: this.#query, key });
    this.#describe();
  }

  #describe() {
    const { cell } = this.strips;
    if (!cell || !this.#rows) {
      this.#part("readout").textContent = "Point at a cell, or move with the arrow keys.";
      return;
    }
    const tokens = this.context.tokens();
    const { layer, head } = this.#rows.place(cell.row);
    const value = about(this.#rows.value(cell.row, cell.key));
    const [query, key] = [this.#query, cell.key].map((index) => tokenAt(tokens, index));
    this.#part("readout").textContent =
      `Layer ${layer}, head ${head}: ${query} looks at ${key} with ${value}`;
  }

  #fillTable() {
    const details = /** @type {HTMLDetailsElement} */ (this.#part("details"));
    const body = this.#part("table").querySelector("tbody");
    const rows = this.#rows;
    if (!details.open || !rows || !body) return;
    const tokens = this.context.tokens();
    const lines = Array.from({ length: rows.count }, (_, row) => {
      const { layer, head } = rows.place(row);
      const cells = rows.strongest(row, LISTED).map((key) => {
        return textCell(`${tokenAt(tokens, key)}: ${about(rows.value(row, key))}`);
      });
      return rowOf(headCell(`L${layer} H${head}`), ...cells);
    });
    body.replaceChildren(...lines);
  }

  /** @param {string} name */
  #part(name) {
    return part(this.element, name);
  }
}
