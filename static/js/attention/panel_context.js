// What the panels and bars of the attention page know of the page.
import { Colouring } from "../colour_scale.js";

/**
 * @typedef {import("../api.js").Run} Run
 * @typedef {import("../attention_api.js").AttentionMaps} AttentionMaps
 * @typedef {import("../attention_api.js").RunReading} RunReading
 * @typedef {import("../attention_api.js").Roles} Roles
 * @typedef {import("./attention_side.js").AttentionSide} AttentionSide
 * @typedef {import("./heatmap.js").Cell} Cell positions in a side's window, from 0
 *
 * @typedef {object} Panel what a tab of the page shows
 * @property {() => void} show called whenever it is open and something that it shows may have
 *   changed; it compares with what it last showed, and ends its own outdated request
 * @property {() => void} [hide]
 */

export class PanelContext {
  #sides;
  #roles;

  /**
   * @param {object} page
   * @param {import("./attention_state.js").AttentionState} page.state
   * @param {Run[]} page.runs
   * @param {AttentionSide[]} page.sides both of them
   * @param {(roles: Roles | null) => void} page.onRoles
   */
  constructor({ state, runs, sides, onRoles }) {
    this.state = state;
    this.runs = runs;
    this.#sides = sides;
    this.#roles = onRoles;
  }

  /** Whether there are two sides. */
  get two() {
    return this.state.shown.run2 !== "";
  }

  /**
   * @param {0 | 1} side
   * @returns {AttentionMaps | null} the compact maps of all its heads, once they are here
   */
  maps(side = 0) {
    return this.#side(side)?.maps ?? null;
  }

  /** @param {0 | 1} side @returns {string[]} the tokens of its window */
  tokens(side = 0) {
    return this.maps(side)?.header.tokens ?? [];
  }

  /**
   * @param {0 | 1} side
   * @returns {Float32Array | null} T x T, query by query: the exact numbers of the map that is
   *   chosen on it, once they are here
   */
  weights(side = 0) {
    return this.#side(side)?.exact ?? null;
  }

  /** @returns {Cell | null} where the cursor is, in the window of side 1 */
  cursor() {
    const { query, key } = this.state.shown;
    const length = this.tokens().length;
    if (query === null || query >= length) return null;
    return { query, key: Math.min(key ?? query, length - 1) };
  }

  /** @param {0 | 1} side @returns {RunReading} what it reads, as the API takes it */
  request(side = 0) {
    return this.#sides[side].reading;
  }

  /** @returns {Colouring} the one scale of all maps on the page */
  colouring() {
    const { log } = this.state.shown;
    const largest = Math.max(this.#side(0)?.brightest ?? 0, this.#side(1)?.brightest ?? 0);
    return new Colouring(largest || 1, { log });
  }

  /** @param {0 | 1} side @returns {string} of what is chosen on it: "baseline, step 50, layer 1, head 0" */
  title(side = 0) {
    return this.#sides[side].words.join(", ");
  }

  /** @param {Roles | null} roles of side 1: badges and order of its thumbnails; null takes them away */
  setRoles(roles) {
    this.#roles(roles);
  }

  /** @param {0 | 1} side */
  #side(side) {
    return side === 0 || this.two ? this.#sides[side] : null;
  }
}
