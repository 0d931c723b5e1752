// The server's calls of the lessons about text: what comes next, tokens, batches.
import { post, send } from "../api.js";

/**
 * @typedef {{ token: string, id: number, probability: number }} Likely
 * @typedef {{ token: string, bits: number | null }} Surprise bits: null for the text's first token
 *
 * @typedef {object} OrderCounts one order of an n-gram run
 * @property {number} order
 * @property {string[]} context the order - 1 tokens before
 * @property {number} total how often they were followed by anything
 * @property {number} kinds by how many different tokens
 * @property {number[]} counts how often by each of the candidates
 * @property {number[]} probabilities of each of the candidates, up to this order
 *
 * @typedef {object} NextToken
 * @property {string} run
 * @property {number | null} step
 * @property {string} kind
 * @property {string} unit what a count of its tokens counts
 * @property {number} vocab_size
 * @property {number | null} order
 * @property {string[]} tokens what was looked at
 * @property {number} left_out characters of the text before them
 * @property {boolean} started whether the text was empty
 * @property {Likely[]} candidates best first
 * @property {number} rest probability of all others
 * @property {number} entropy bits
 * @property {Surprise[] | null} surprises
 * @property {number | null} bits_per_character of those
 * @property {OrderCounts[] | null} sums
 *
 * @typedef {object} OrderQuality
 * @property {number} order 0: every token equally likely
 * @property {number} size counts that it keeps
 * @property {number} loss nats per token
 * @property {number} bits_per_character
 * @property {number} perplexity per token
 *
 * @typedef {{ run: string, corpus: string, unit: string, characters: number, tokens: number,
 *   window: number, orders: OrderQuality[] }} Orders
 *
 * @typedef {object} Encoding
 * @property {string} run
 * @property {"character" | "byte" | "bpe"} tokenizer
 * @property {string} unit
 * @property {number} vocab_size
 * @property {{ text: string, id: number | null }[]} pieces
 * @property {string[]} unknown
 * @property {number} characters
 * @property {number} bytes
 * @property {string} decoded
 *
 * @typedef {{ start: number, tokens: string[], ids: number[] }} Drawn a window and the token behind
 *
 * @typedef {object} Batch
 * @property {string} run
 * @property {string} corpus
 * @property {boolean} own whether the run was trained on that text
 * @property {string} unit
 * @property {number} train_characters
 * @property {number} val_characters
 * @property {number} train_tokens
 * @property {number} val_tokens
 * @property {boolean} known whether the run tells of its training
 * @property {boolean} draws whether its training draws batches
 * @property {number} seed
 * @property {number} iteration
 * @property {number} batch_size
 * @property {number} window
 * @property {number} predictions
 * @property {number | null} max_iters
 * @property {number[]} starts
 * @property {Drawn[]} windows
 */

/**
 * @param {{ run: string, step?: number | null, text: string, order?: number | null, top?: number }} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<NextToken>}
 */
export const nextToken = (request, signal) => ask("next-token", request, signal);

/**
 * @param {string} run an n-gram run
 * @param {AbortSignal} [signal]
 * @returns {Promise<Orders>}
 */
export async function orderQuality(run, signal) {
  return (await send(`/api/learn/orders?${new URLSearchParams({ run })}`, { signal })).json();
}

/**
 * @param {{ run: string, text: string }} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<Encoding>}
 */
export const encoding = (request, signal) => ask("encoding", request, signal);

/**
 * @param {{ run: string, corpus?: string | null, seed?: number | null, iteration?: number }} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<Batch>}
 */
export const drawBatch = (request, signal) => ask("batch", request, signal);

/**
 * @param {string} name
 * @param {object} request
 * @param {AbortSignal} [signal]
 */
async function ask(name, request, signal) {
  return (await post(`/api/learn/${name}`, request, { signal })).json();
}
