// What a panel holds, to take away.
import { bits } from "../surprise.js";

/**
 * @typedef {object} Transcript
 * @property {string} run
 * @property {number | null} step of its training; null at the end
 * @property {string} prompt
 * @property {import("../api.js").Context | null} context
 * @property {import("./composer.js").Sampling} sampling
 * @property {import("../tokens.js").Token[]} tokens
 */

/**
 * @param {Transcript} transcript
 * @returns {string} the prompt and what follows it
 */
export function asText({ prompt, tokens }) {
  return prompt + tokens.map((token) => token.text).join("");
}

/**
 * @param {Transcript} transcript
 * @returns {string} JSON with every character's probability and its alternatives
 */
export function asJson({ run, step, prompt, context, sampling, tokens }) {
  const odds = tokens.map(({ text, logprob, top }) => ({
    text,
    logprob,
    probability: Math.exp(logprob),
    surprise_bits: bits(logprob),
    alternatives: Object.fromEntries(top.map(([other, lp]) => [other, Math.exp(lp)])),
  }));
  const text = tokens.map((token) => token.text).join("");
  return JSON.stringify({ run, step, prompt, context, sampling, text, tokens: odds }, null, 2);
}
