// The server's calls around the parts of a model.
import { post, send } from "../api.js";

/**
 * @typedef {{ name: string, shape: number[], count: number, shared: boolean }} LearnedTensor
 *
 * @typedef {object} Part
 * @property {string} name
 * @property {number | null} layer from 0; of the counts of an n-gram model how long its sequences are
 * @property {string[]} shape symbols
 * @property {string[]} operations
 * @property {LearnedTensor[]} tensors
 * @property {number} count
 *
 * @typedef {object} Parts
 * @property {string} run
 * @property {string} kind
 * @property {Record<string, number>} dimensions by symbol
 * @property {number | null} n_layer
 * @property {number} block_size
 * @property {Part[]} parts in the order of the forward pass
 * @property {number} total
 *
 * @typedef {{ symbol: string, size: number, shown: number[], labels: string[] | null }} Axis
 * @typedef {(number | null)[][]} Grid
 *
 * @typedef {object} Activations
 * @property {string} part
 * @property {number | null} layer
 * @property {string[]} tokens
 * @property {number} text_offset
 * @property {number[]} shape
 * @property {Axis[]} axes
 * @property {Grid | Grid[]} values
 * @property {{ count: number, min: number, max: number, mean: number, std: number }} statistics
 *
 * @typedef {{ run: string, step: number | null, text: string, part: string, layer: number | null }} PartQuestion
 */

/** @type {Map<string, Promise<Parts>>} they do not change while the page is open */
const known = new Map();

/**
 * @param {string} run
 * @returns {Promise<Parts>}
 */
export function partsOf(run) {
  const asked = known.get(run) ?? askParts(run);
  known.set(run, asked);
  asked.catch(() => known.delete(run)); // so that it can be asked again
  return asked;
}

/** @param {string} run @returns {Promise<Parts>} */
async function askParts(run) {
  return (await send(`/api/learn/parts?${new URLSearchParams({ run })}`)).json();
}

/**
 * @param {PartQuestion} question
 * @param {AbortSignal} signal
 * @returns {Promise<Activations>}
 */
export async function activations(question, signal) {
  return (await post("/api/learn/activations", question, { signal })).json();
}
