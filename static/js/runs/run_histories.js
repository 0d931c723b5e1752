// The runs' metrics and samples, asked for when they are first wanted.
import { getRun } from "../api.js";

/** @typedef {import("../api.js").RunWithHistory} RunWithHistory */

export class RunHistories {
  /** @type {Map<string, Promise<RunWithHistory>>} */
  #known = new Map();

  /**
   * @param {string} id
   * @returns {Promise<RunWithHistory>} what failed is asked for again the next time
   */
  get(id) {
    const known = this.#known.get(id) ?? getRun(id);
    this.#known.set(id, known);
    known.catch(() => this.#known.delete(id));
    return known;
  }

  /** @param {string} id of a run that has gone on since */
  forget(id) {
    this.#known.delete(id);
  }
}
