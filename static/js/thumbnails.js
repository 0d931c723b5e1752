// Every head of every layer as a small picture, and merged maps beside them. One is chosen; arrow
// keys move the choice.
import { bytePixels, paintTriangle, triangleOf } from "./compact_maps.js";

/** @typedef {import("./attention_api.js").AttentionMaps} AttentionMaps */
/** @typedef {import("./colour_scale.js").Colouring} Colouring */
/**
 * @typedef {object} Place a head, or a merged map
 * @property {number} layer
 * @property {number} head
 * @property {"" | "layer" | "all"} [merged] the merged map of the layer, or that of all layers
 *
 * @typedef {object} Merged
 * @property {AttentionMaps | null} layer a map for each layer
 * @property {AttentionMaps | null} all one map
 *
 * @typedef {object} Order
 * @property {((place: Place) => number) | null} score heads are ordered by it, the largest first;
 *   null: each in its place
 * @property {number} least heads with less are left out
 * @property {(place: Place) => string} badge a word on the head; empty for none
 *
 * @typedef {{ place: Place, button: HTMLButtonElement, canvas: HTMLCanvasElement,
 *   badge: HTMLElement }} Tile
 */

/** More pixels would be lost on so small a picture, and take long to paint. */
const LARGEST_PICTURE = 128;

/** @type {Order} */
const IN_PLACE = { score: null, least: 0, badge: () => "" };

export class Thumbnails {
  /** @type {Place} */
  chosen = { layer: 0, head: 0, merged: "" };
  /** in the order in which they are shown @type {Tile[]} */
  #tiles = [];
  #shape = "";
  #columns = 1;
  #order = IN_PLACE;
  /** @type {ReadonlySet<string>} */
  #off = new Set();

  /**
   * @param {HTMLElement} element the grid to fill
   * @param {(place: Required<Place>) => void} onChoose
   */
  constructor(element, onChoose) {
    this.element = element;
    this.onChoose = onChoose;
    /** the pointer is over one, which may be chosen next @type {((place: Place) => void) | null} */
    this.onNear = null;
    element.addEventListener("click", (event) => this.#onClick(event));
    element.addEventListener("pointerover", (event) => this.#onOver(event));
    element.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /**
   * @param {AttentionMaps} maps of all layers and heads
   * @param {Colouring} colouring
   * @param {Merged} [merged]
   */
  show(maps, colouring, merged = { layer: null, all: null }) {
    const { n_layer, n_head, length } = maps.header;
    const shape = `${n_layer} ${n_head} ${merged.layer?.header.merge_by ?? ""}`;
    if (shape !== this.#shape) this.#build(n_layer, n_head, merged.layer?.header.merge_by ?? null);
    this.#shape = shape;
    this.element.classList.toggle("is-fine", length > 64);
    const pixels = new Map(
      [maps, merged.layer, merged.all].map((each) => [
        each,
        each ? bytePixels(each.header, colouring) : new Uint32Array(256),
      ]),
    );
    for (const { place, canvas } of this.#tiles) {
      const source = { "": maps, layer: merged.layer, all: merged.all }[place.merged ?? ""];
      const index = { "": place.layer * n_head + place.head, layer: place.layer, all: 0 };
      const own = pixels.get(source);
      if (!source || !own) continue;
      const triangle = triangleOf(source, index[place.merged ?? ""]);
      paintTriangle(canvas, triangle, length, own, LARGEST_PICTURE);
    }
  }

  /** @param {Place} place the one that is marked as chosen */
  choose(place) {
    this.chosen = place;
    for (const tile of this.#tiles) {
      const is = same(tile.place, place);
      if (is === (tile.button.getAttribute("aria-pressed") === "true")) continue;
      tile.button.setAttribute("aria-pressed", String(is));
      tile.button.tabIndex = is ? 0 : -1;
    }
    // The chosen one may be left out by the order: something must take the keys.
    const reachable = this.#shown.some(({ place: other }) => same(other, place));
    if (!reachable && this.#shown.length > 0) this.#shown[0].button.tabIndex = 0;
  }

  /** @param {Partial<Order>} order */
  arrange(order) {
    this.#order = { ...IN_PLACE, ...order };
    this.#place();
  }

  /** @param {readonly string[]} off heads that are switched off, as "layer.head" */
  cross(off) {
    this.#off = new Set(off);
    for (const { place, button } of this.#tiles) {
      const is = !place.merged && this.#off.has(`${place.layer}.${place.head}`);
      button.classList.toggle("is-off", is);
    }
  }

  /**
   * @param {number} nLayer
   * @param {number} nHead
   * @param {"mean" | "max" | null} mergedBy
   */
  #build(nLayer, nHead, mergedBy) {
    /** @type {Place[]} */
    const places = [];
    for (let layer = 0; layer < nLayer; layer++) {
      for (let head = 0; head < nHead; head++) places.push({ layer, head, merged: "" });
      if (mergedBy) places.push({ layer, head: 0, merged: "layer" });
    }
    if (mergedBy) places.push({ layer: 0, head: 0, merged: "all" });
    this.#columns = nHead + (mergedBy ? 1 : 0);
    this.element.style.setProperty("--columns", String(this.#columns));
    this.element.classList.toggle("is-many", this.#columns > 8);
    this.element.classList.toggle("is-dense", this.#columns > 10);
    this.#tiles = places.map((place) => tileOf(place, mergedBy));
    this.#place();
    this.cross([...this.#off]);
  }

  /** Put them where the order says. */
  #place() {
    const { score, least, badge } = this.#order;
    for (const tile of this.#tiles) {
      const word = tile.place.merged ? "" : badge(tile.place);
      tile.badge.textContent = tile.badge.title = word;
      tile.badge.hidden = !word;
      tile.button.setAttribute(
        "aria-label",
        [titleOf(tile.place), word].filter(Boolean).join(", "),
      );
      tile.button.hidden = Boolean(score && !tile.place.merged && score(tile.place) < least);
    }
    const rank = (/** @type {Place} */ place) => (place.merged ? -1e9 : (score?.(place) ?? 0));
    const byPlace = (/** @type {Tile} */ a, /** @type {Tile} */ b) =>
      a.place.layer - b.place.layer ||
      Number(a.place.merged !== "") - Number(b.place.merged !== "") ||
      a.place.head - b.place.head;
    const last = this.#tiles.filter(({ place }) => place.merged === "all");
    const rest = this.#tiles.filter(({ place }) => place.merged !== "all").sort(byPlace);
    if (score) rest.sort((a, b) => rank(b.place) - rank(a.place));
    this.#tiles = [...rest, ...last];
    this.element.classList.toggle("is-ordered", score !== null);
    if (this.#tiles.some(({ button }, i) => this.element.children[i] !== button)) {
      const focused = document.activeElement;
      this.element.replaceChildren(...this.#tiles.map(({ button }) => button));
      if (focused instanceof HTMLElement && this.element.contains(focused)) focused.focus();
    }
    this.choose(this.chosen);
  }

  get #shown() {
    return this.#tiles.filter(({ button }) => !button.hidden);
  }

  /** @param {MouseEvent} event */
  #onClick({ target }) {
    const tile = this.#tileOf(target);
    if (tile) this.#pick(tile);
  }

  /** @param {PointerEvent} event */
  #onOver({ target, relatedTarget }) {
    const tile = this.#tileOf(target);
    if (tile && tile !== this.#tileOf(relatedTarget)) this.onNear?.(tile.place);
  }

  /** @param {EventTarget | null} target */
  #tileOf(target) {
    return this.#tiles.find(({ button }) => button.contains(/** @type {Node} */ (target)));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[
      event.key
    ];
    const tiles = this.#shown;
    const at = tiles.findIndex(({ button }) => button === event.target);
    if (!step || at < 0) return;
    event.preventDefault();
    const column = (at % this.#columns) + step[1];
    if (column < 0 || column >= this.#columns) return;
    let to = at + step[0] * this.#columns + step[1];
    if (to >= tiles.length && at < tiles.length - 1 && step[0] > 0 && column === this.#columns - 1)
      to = tiles.length - 1;
    // The map of all layers stands alone in the last row, beneath the merged ones.
    if (tiles[at].place.merged === "all" && step[0] < 0) to = at - 1;
    if (!tiles[to]) return;
    this.#pick(tiles[to]);
    tiles[to].button.focus();
  }

  /** @param {Tile} tile */
  #pick({ place }) {
    this.choose(place);
    this.onChoose({ merged: "", ...place });
  }
}

/** @param {Place} a @param {Place} b */
function same(a, b) {
  const merged = a.merged ?? "";
  if (merged !== (b.merged ?? "")) return false;
  return merged === "all" || (a.layer === b.layer && (merged !== "" || a.head === b.head));
}

/** @param {Place} place */
function titleOf({ layer, head, merged }) {
  if (merged === "all") return "All layers merged";
  return merged ? `Layer ${layer} merged` : `Layer ${layer}, head ${head}`;
}

/**
 * @param {Place} place
 * @param {"mean" | "max" | null} mergedBy
 * @returns {Tile}
 */
function tileOf(place, mergedBy) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = place.merged ? `thumbnail is-merged is-${place.merged}` : "thumbnail";
  if (!place.merged) {
    button.dataset.layer = String(place.layer);
    button.dataset.head = String(place.head);
  }
  button.setAttribute("aria-pressed", "false");
  button.tabIndex = -1;
  button.title = titleOf(place);
  const canvas = document.createElement("canvas");
  const label = document.createElement("span");
  label.className = "thumbnail-label";
  const short = { "": `L${place.layer} H${place.head}`, layer: `L${place.layer} ${mergedBy}` };
  label.textContent = place.merged === "all" ? `all ${mergedBy}` : short[place.merged ?? ""];
  label.setAttribute("aria-hidden", "true");
  const badge = document.createElement("span");
  badge.className = "thumbnail-badge";
  badge.setAttribute("aria-hidden", "true");
  button.append(canvas, badge, label);
  return { place, button, canvas, badge };
}
