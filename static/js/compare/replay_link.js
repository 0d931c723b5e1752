// From a generated character to the attention page, as of the moment it was chosen.
import { FIELDS } from "../attention/attention_state.js";
import { addressOf } from "../state.js";

/**
 * @typedef {object} Moment
 * @property {import("../api.js").Run} run
 * @property {number | null} step
 * @property {string} prompt
 * @property {string} before what was generated before the character
 * @property {string} after the character, and what followed
 * @property {Omit<import("./composer.js").Sampling, "length">} sampling
 */

const LONGEST_ADDRESS = 6000;
const AFTER_IT = 200; // characters that are kept behind it, as long as they do not cost the window

/**
 * @param {Moment} moment
 * @returns {string | null} null for a run without heads
 */
export function replayAddress({ run, step, prompt, before, after, sampling }) {
  if (!run.attention) return null;
  const { temperature, top_k, top_p, seed } = sampling;
  const drawing = { run: run.id, step, temperature, top_k, top_p, seed };
  const start = [...(prompt || (run.start ?? "\n"))];
  const read = [...start, ...before];
  const rest = [...after];
  /** @param {number} from @param {number} to what of the text the address has */
  const address = (from, to) =>
    addressOf("/attention", FIELDS, {
      ...drawing,
      text: [...read.slice(from), ...rest.slice(0, to)].join(""),
      end: read.length - from,
      replay: Math.max(0, start.length - from),
    });
  return cropped(address, read.length, rest.length, 2 * run.block_size);
}

/**
 * The longest address that is not too long. What the model saw comes first, then a little of what
 * followed, then all that was there before, then the rest.
 * @param {(from: number, to: number) => string} address
 * @param {number} read characters up to the moment
 * @param {number} rest characters from there on
 * @param {number} window characters that hold what the model saw
 */
function cropped(address, read, rest, window) {
  const seen = Math.max(0, read - window);
  const fits = (/** @type {number} */ from, /** @type {number} */ to) =>
    address(from, to).length <= LONGEST_ADDRESS;
  const little = most(0, Math.min(rest, AFTER_IT), (to) => fits(seen, to));
  const from = seen - most(0, seen, (more) => fits(seen - more, little));
  const to = most(little, rest, (to) => fits(from, to));
  return address(from, to);
}

/**
 * @param {number} low always taken to fit
 * @param {number} high
 * @param {(count: number) => boolean} fits true up to some count, then false
 * @returns {number} the largest that fits
 */
function most(low, high, fits) {
  if (fits(high)) return high;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}
