// The server's measurements along the depth of a run, and with dropout.
import { post } from "../api.js";

/**
 * @typedef {number | null} Value null where float32 cannot hold it
 *
 * @typedef {object} Place what comes out of one step
 * @property {"embedding" | "norm_1" | "attention" | "sum_1" | "norm_2" | "mlp" | "sum_2" | "norm" | "logits"} step
 * @property {number | null} layer
 * @property {Value} length
 * @property {Value} variance
 * @property {Value} similarity
 * @property {Value} gradient
 *
 * @typedef {object} Variant
 * @property {boolean} residual
 * @property {boolean} norm
 * @property {Value} loss nats per token
 * @property {[string, number][]} next tokens and probabilities
 * @property {Place[]} places
 *
 * @typedef {object} NormLayer
 * @property {"norm_1" | "norm_2" | "norm"} step
 * @property {number | null} layer
 * @property {number} mean_in
 * @property {number} variance_in
 * @property {number} mean_normalised
 * @property {number} variance_normalised
 * @property {number} square_normalised
 * @property {number} variance_out
 *
 * @typedef {object} Depth
 * @property {string[]} tokens
 * @property {number} n_layer
 * @property {"layernorm" | "rmsnorm"} norm
 * @property {Variant[]} variants the run as it is first
 * @property {NormLayer[]} norms
 *
 * @typedef {object} Dropout
 * @property {number} trained_with
 * @property {number} dropout
 * @property {number} loss
 * @property {number[]} losses
 * @property {number} mean
 * @property {number} deviation
 * @property {number} loss_of_mean
 * @property {{ token: string, probability: number, mean: number, deviation: number }[]} next
 */

/** @typedef {{ run: string, step: number | null, text: string }} Reading */

/** @type {{ key: string, reply: Promise<Depth> } | null} */
let newest = null;

/**
 * Several figures show parts of one answer: it is asked for once.
 * @param {Reading} reading
 * @returns {Promise<Depth>}
 */
export function askDepth(reading) {
  const key = JSON.stringify(reading);
  if (newest?.key === key) return newest.reply;
  const asked = { key, reply: post("/api/learn/depth", reading).then((it) => it.json()) };
  newest = asked;
  asked.reply.catch(() => {
    if (newest === asked) newest = null; // the next to ask tries again
  });
  return asked.reply;
}

/**
 * @param {Reading & { dropout: number, seed: number }} request
 * @param {AbortSignal} signal
 * @returns {Promise<Dropout>}
 */
export async function askDropout(request, signal) {
  return (await post("/api/learn/dropout", request, { signal })).json();
}
