// What one token looks at in every head, out of the compact maps.
import { byteValues, triangleOf } from "../compact_maps.js";

/** @typedef {import("../attention_api.js").AttentionMaps} AttentionMaps */

export class HeadRows {
  /**
   * @param {AttentionMaps} maps of all heads
   * @param {number} query
   */
  constructor(maps, query) {
    const { n_layer, n_head } = maps.header;
    const begin = (query * (query + 1)) / 2;
    this.query = query;
    this.nHead = n_head;
    this.count = n_layer * n_head;
    /** what each byte stands for */
    this.values = byteValues(maps.header);
    /** a row of bytes for each head, by layer and head; keys up to the query */
    this.bytes = Array.from({ length: this.count }, (_, row) =>
      triangleOf(maps, row).subarray(begin, begin + query + 1),
    );
  }

  /**
   * @param {number} row
   * @param {number} key
   * @returns {number} 0 for keys that come later
   */
  value(row, key) {
    return key > this.query ? 0 : this.values[this.bytes[row][key]];
  }

  /** @param {number} row */
  place(row) {
    return { layer: Math.floor(row / this.nHead), head: row % this.nHead };
  }

  /**
   * @param {"mean" | "max"} how
   * @returns {number[]} one number for each key up to the query
   */
  across(how) {
    return Array.from({ length: this.query + 1 }, (_, key) => {
      const values = this.bytes.map((bytes) => this.values[bytes[key]]);
      if (how === "max") return Math.max(...values);
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    });
  }

  /**
   * @param {number} row
   * @param {number} count
   * @returns {number[]} the keys that it looks at most, the first of them first
   */
  strongest(row, count) {
    const bytes = this.bytes[row];
    const keys = Array.from(bytes, (_, key) => key);
    return keys.sort((a, b) => bytes[b] - bytes[a] || a - b).slice(0, count);
  }
}

/**
 * @param {number} value as it comes out of a byte
 * @returns {string} no more digits than the byte has
 */
export function about(value) {
  return value === 0 ? "0" : `about ${Number(value.toPrecision(2))}`;
}
