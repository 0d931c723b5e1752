// What a head's numbers say, in sentences.
import { grouped } from "../format.js";
import { MOST_TOKENS } from "./attention_answer.js";
import { numberWord } from "./matrix.js";

/**
 * @typedef {import("./attention_answer.js").OneHead} OneHead
 * @typedef {import("./attention_answer.js").Steps} Steps
 */

const DIGITS = 2;
/** in bits: below this two rows look the same */
const HARDLY = 0.05;

/**
 * @param {number} count of the tokens that are read
 * @param {number} offset characters before them
 * @param {string} [whose]
 * @returns {string} "" where nothing is left out
 */
export function leftOut(count, offset, whose = "your text") {
  if (!offset) return "";
  const characters = `${grouped(offset)} character${offset === 1 ? "" : "s"}`;
  const why =
    count === MOST_TOKENS
      ? `the last ${MOST_TOKENS} tokens, so that the matrices stay readable`
      : `the last ${count} tokens, which are all that it sees at once`;
  return `Of ${whose} the run reads ${why}; ${characters} before them are left out.`;
}

/** @param {OneHead} answer */
export function designWords({ design }) {
  const { qkv_bias, qkv_conv, qk_norm, gain, rotary } = design;
  const done = [
    qkv_bias && "A learned bias is added to each of the three.",
    qkv_conv > 0 &&
      `Each of their channels then adds a learned share of its values at the ${qkv_conv} positions before (So et al. 2021).`,
    qk_norm && "Queries and keys are divided by the root mean square of their channels.",
    gain !== null &&
      `This head multiplies its queries by ${numberWord(gain, 3)}, which it has learned (compare Henry et al. 2020).`,
    rotary &&
      "Pairs of channels of queries and keys are turned by an angle that grows with the position, so that their product depends on how far apart the two are (Su et al. 2021).",
  ].filter(Boolean);
  if (!done.length) return "In this run nothing else happens to them before they meet.";
  return `In this run more happens to them before they meet. ${done.join(" ")} The matrices below show what comes out of all this.`;
}

/** @param {OneHead} answer */
export function varianceWords({ variances, steps }) {
  const { q, k, independent, scores, scaled } = variances;
  if (scores === null || scaled === null) {
    return "A single token has a single score, which has no variance: type some more.";
  }
  const said = [
    `On this text the numbers in q have variance ${numberWord(q, DIGITS)}, those in k ${numberWord(k, DIGITS)}.`,
    `Were all of them independent, with mean 0, the scores would have variance ${steps.size} × ${numberWord(q, DIGITS)} × ${numberWord(k, DIGITS)} ≈ ${numberWord(independent, DIGITS)}.`,
    `Those of the pairs that may meet have ${numberWord(scores, DIGITS)}${ratioWords(scores / independent)}.`,
    `Divided by √${steps.size} they have ${numberWord(scaled, DIGITS)}, ${steps.size === 1 ? "the same" : `1/${steps.size} of it`}.`,
  ];
  return said.join(" ");
}

/** @param {number} ratio */
function ratioWords(ratio) {
  if (!Number.isFinite(ratio)) return "";
  if (ratio > 1.5) return ": more, as queries and keys of this head are no longer independent";
  if (ratio < 1 / 1.5) return ": less, as queries and keys of this head are not independent";
  return ", about as much";
}

/** @param {Steps} steps */
export function sharpnessWords({ masked, sharpness, unscaled_sharpness }) {
  const rows = masked.map((_, i) => i).filter((i) => masked[i].filter((it) => !it).length > 1);
  if (!rows.length) return "A single key has all of the weight, scaled or not: type some more.";
  const mean = (/** @type {number[]} */ of) => {
    return rows.reduce((sum, i) => sum + of[i], 0) / rows.length;
  };
  const [most, mostUnscaled] = [mean(sharpness.largest), mean(unscaled_sharpness.largest)];
  const [bits, bitsUnscaled] = [mean(sharpness.entropy), mean(unscaled_sharpness.entropy)];
  const who =
    rows.length === 1
      ? "For the one query that sees more than one key"
      : `Over the ${rows.length} queries that see more than one key`;
  const average = rows.length === 1 ? "" : " on average";
  const facts = `${who}, the largest weight is ${numberWord(most, DIGITS)}${average} with the scaling and ${numberWord(mostUnscaled, DIGITS)} without; the entropy is ${numberWord(bits, DIGITS)} bits, as even as ${alike(bits)}, and without it ${numberWord(bitsUnscaled, DIGITS)} bits, as even as ${alike(bitsUnscaled)}.`;
  return `${facts} ${verdict(bits, bitsUnscaled, mostUnscaled)}`;
}

/** @param {number} bits */
function alike(bits) {
  const keys = numberWord(2 ** bits, 1);
  return `${keys} key${keys === "1.0" ? "" : "s"} sharing alike`;
}

/** @param {number} bits @param {number} unscaled @param {number} most without the scaling */
function verdict(bits, unscaled, most) {
  if (bits - unscaled < HARDLY) {
    return "On this text it hardly matters: the scores lie close together, or one is far ahead of the others either way.";
  }
  if (most > 0.9) return "Unscaled, a query hears little more than one key.";
  return "Unscaled, the same scores make the head look more narrowly.";
}

/** @param {Steps} steps @param {number} query */
export function slopeWords({ sharpness, unscaled_sharpness }, query) {
  const slope = (/** @type {number} */ w) => numberWord(w * (1 - w), 4);
  return `For the followed query, the slope w (1 − w) of its largest weight is ${slope(sharpness.largest[query])} with the scaling and ${slope(unscaled_sharpness.largest[query])} without.`;
}

/** @param {OneHead} answer */
export function maskWords({ design, tokens }) {
  const { window } = design;
  if (window === null || window >= tokens.length) {
    return "The first position sees itself alone; each further one sees one more.";
  }
  return `This run has an attention window besides: a query sees its own position and the ${window - 1} before it, and nothing earlier.`;
}

/** @param {import("./attention_answer.js").ThreeKinds} answer */
export function positionWords({ rotary }) {
  if (rotary) {
    return "This run turns queries and keys by their positions (rotary positions), which tells a pair how far apart it is in one text. Between two texts there is no such distance, so for attention and cross-attention the turning is left out; self-attention has it, as in the run.";
  }
  return "In this run each token carries a learned vector for its position from the start, counted from 0 in each text. So the source's keys also tell where in the source they stand.";
}
