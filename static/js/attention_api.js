// The server's calls around attention.
import { post } from "./api.js";

/**
 * @typedef {{ run: string, step?: number | null }} RunAt
 * @typedef {RunAt & { text: string, length?: number | null }} RunReading length: see at most so many
 *   of its last tokens
 * @typedef {[layer: number, head: number]} Place
 *
 * @typedef {object} Window what was read; positions count from its first token
 * @property {string} run
 * @property {number | null} step
 * @property {string[]} tokens
 * @property {number} text_offset characters that come before the first token
 * @property {number} n_layer
 * @property {number} n_head
 */

/**
 * @typedef {"raw" | "value_weighted" | "output_weighted" | "rollout"} Kind
 *
 * @typedef {object} MapChoice
 * @property {number[]} [layers]
 * @property {number[]} [heads]
 * @property {Kind} [kind]
 * @property {"heads" | "all" | null} [merge]
 * @property {"mean" | "max"} [merge_by]
 * @property {"uint8" | "sqrt8"} [encoding]
 *
 * @typedef {RunReading & MapChoice} AttentionRequest
 *
 * @typedef {object} MapFacts
 * @property {Kind} kind
 * @property {"heads" | "all" | null} merge
 * @property {"mean" | "max"} merge_by
 * @property {number[]} layers
 * @property {number[]} heads
 * @property {[layers: number, heads: number, T: number, T2: number]} shape 1 where several are merged
 * @property {number} largest the largest number of all
 * @property {number} length T
 * @property {"uint8" | "sqrt8"} encoding
 * @property {number} scale the byte that stands for 1, with "uint8"
 *
 * @typedef {Window & MapFacts} AttentionHeader
 *
 * @typedef {object} AttentionMaps
 * @property {AttentionHeader} header
 * @property {Uint8Array} triangles for each layer and head, the lower triangle row by row:
 *   T(T+1)/2 bytes; with "sqrt8" each stands for largest (byte / 255)²
 */

/**
 * @typedef {object} Role
 * @property {string} name
 * @property {string} title
 * @property {string} definition
 * @property {string} source
 * @property {"share" | "bits" | "tokens"} unit
 * @property {"text" | "repeated random tokens"} on
 * @property {number | null} badge_from
 *
 * @typedef {object} HeadScores
 * @property {number} layer
 * @property {number} head
 * @property {Record<string, number>} scores
 * @property {Record<string, number>} corrected without the first token
 * @property {string[]} badges names of roles, the clearest first
 *
 * @typedef {Window & { roles: Role[], heads: HeadScores[], random_tokens: number,
 *   random_sequences: number }} Roles
 */

/**
 * @typedef {"place" | "layer" | "anywhere"} Match
 * @typedef {{ text: string, length?: number | null, a: RunAt, b: RunAt, match?: Match,
 *   without_first?: boolean }} ComparisonRequest
 * @typedef {{ a: Place, b: Place | null, divergence: number | null, similarity: number | null }} HeadPair
 * @typedef {{ a: Window, b: Window, match: Match, pairs: HeadPair[] }} Comparison
 */

/**
 * @typedef {RunReading & { layer: number, head: number, query?: number | null,
 *   target?: string | null, top?: number }} InsideRequest
 *
 * @typedef {object} HeadRow one query against every key
 * @property {number} scale
 * @property {number[]} score q·k
 * @property {number[]} scaled
 * @property {boolean[]} masked
 * @property {number[]} weight
 * @property {number[]} value the length of each key's value
 * @property {number[]} weighted the length of weight times value
 *
 * @typedef {object} LensRow
 * @property {"embedding" | "attention" | "mlp"} at
 * @property {number | null} layer
 * @property {[token: string, probability: number][]} top
 * @property {number} target_probability
 * @property {number} target_rank
 *
 * @typedef {object} Contribution
 * @property {"embedding" | "head" | "attention_bias" | "mlp" | "norm_bias" | "output_bias"} part
 * @property {number | null} layer
 * @property {number | null} head
 * @property {number} logit
 *
 * @typedef {{ target: string, probability: number, logit: number, parts: Contribution[] }} Attribution
 * @typedef {Window & { layer: number, head: number, query: number, row: HeadRow, lens: LensRow[],
 *   attribution: Attribution }} Inside
 */

/**
 * @typedef {object} Drawing how the next token is drawn
 * @property {number} [temperature]
 * @property {number | null} [top_k]
 * @property {number} [top_p]
 * @property {number | null} [min_p]
 * @property {number} [repetition_penalty]
 *
 * @typedef {RunReading & Drawing & { target?: string | null, top?: number }} DistributionRequest
 * @typedef {{ token: string, id: number, logit: number, probabilities: number[] }} Candidate
 * @typedef {"model" | "repetition_penalty" | "temperature" | "top_k" | "top_p" | "min_p"} Stage
 * @typedef {Window & { stages: Stage[], left: number[], candidates: Candidate[] }} Distribution
 */

/**
 * @typedef {"zero" | "mean"} Fill
 * @typedef {RunReading & { heads: Place[], fill?: Fill, generate?: number, temperature?: number,
 *   top_k?: number | null, top_p?: number, seed?: number | null, top?: number }} AblationRequest
 *
 * @typedef {object} AblationFacts
 * @property {Place[]} heads
 * @property {Fill} fill
 * @property {number | null} loss_before nats per token
 * @property {number | null} loss_after
 * @property {(number | null)[]} losses_before of each token; null for the first
 * @property {(number | null)[]} losses_after
 * @property {{ token: string, before: number, after: number }[]} next
 * @property {string} text_before
 * @property {string} text_after
 *
 * @typedef {Window & AblationFacts} Ablation
 * @typedef {Window & { fill: Fill, loss: number, changes: number[][] }} Importance changes:
 *   [layer][head], the loss without it less `loss`
 */

/**
 * Every map at once, as bytes: enough for pictures.
 * @param {AttentionRequest} request
 * @param {AbortSignal} [signal]
 * @returns {Promise<AttentionMaps>}
 */
export async function attentionMaps(request, signal) {
  const accept = "application/octet-stream";
  const buffer = await (await post("/api/attention", request, { accept, signal })).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { header, triangles: new Uint8Array(buffer, 4 + length) };
}

/**
 * The exact numbers, as a file.
 * @param {AttentionRequest} request
 * @param {"application/json" | "application/x-npy"} accept
 * @param {AbortSignal} [signal]
 * @returns {Promise<Blob>}
 */
export async function attentionFile(request, accept, signal) {
  return (await post("/api/attention", request, { accept, signal })).blob();
}

/** @param {RunReading} request @param {AbortSignal} [signal] @returns {Promise<Roles>} */
export const headRoles = (request, signal) => ask("roles", request, signal);

/** @param {ComparisonRequest} request @param {AbortSignal} [signal] @returns {Promise<Comparison>} */
export const compareHeads = (request, signal) => ask("comparison", request, signal);

/** @param {InsideRequest} request @param {AbortSignal} [signal] @returns {Promise<Inside>} */
export const lookInside = (request, signal) => ask("inside", request, signal);

/** @param {DistributionRequest} request @param {AbortSignal} [signal] @returns {Promise<Distribution>} */
export const distribution = (request, signal) => ask("distribution", request, signal);

/** @param {AblationRequest} request @param {AbortSignal} [signal] @returns {Promise<Ablation>} */
export const switchOff = (request, signal) => ask("ablation", request, signal);

/** @param {RunReading & { fill?: Fill }} request @param {AbortSignal} [signal] @returns {Promise<Importance>} */
export const importance = (request, signal) => ask("importance", request, signal);

/**
 * @param {string} name
 * @param {object} request
 * @param {AbortSignal} [signal]
 */
async function ask(name, request, signal) {
  return (await post(`/api/attention/${name}`, request, { signal })).json();
}
