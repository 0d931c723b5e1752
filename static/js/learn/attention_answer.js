// The server's calls of the lessons about attention, and the answer that is being shown.
import { post } from "../api.js";

/**
 * @typedef {number[][]} Grid rows of numbers
 *
 * @typedef {{ largest: number[], entropy: number[] }} Sharpness of each row; entropy in bits
 *
 * @typedef {object} Steps from queries, keys and values to what becomes of them
 * @property {number} size D
 * @property {number} scale 1 / sqrt(D)
 * @property {Grid} q [query][channel], the first channels where there are many
 * @property {Grid} k
 * @property {Grid} v
 * @property {Grid} scores [query][key]
 * @property {Grid} scaled
 * @property {boolean[][]} masked
 * @property {number[]} row_largest of the scaled scores
 * @property {Grid} exponentials of the scaled scores less their row's largest
 * @property {number[]} row_sums of the exponentials
 * @property {Grid} weights
 * @property {Grid} output [query][channel]
 * @property {Grid} unscaled_weights
 * @property {Sharpness} sharpness
 * @property {Sharpness} unscaled_sharpness
 *
 * @typedef {object} Design what happens to queries, keys and values before the scores
 * @property {boolean} qkv_bias
 * @property {number} qkv_conv
 * @property {boolean} qk_norm
 * @property {number | null} gain
 * @property {boolean} rotary
 * @property {number | null} window
 *
 * @typedef {{ q: number, k: number, independent: number, scores: number | null, scaled: number | null }} Variances
 *
 * @typedef {object} Reading
 * @property {string} run
 * @property {number | null} step
 * @property {string[]} tokens
 * @property {number} text_offset characters of the text before them
 * @property {number} layer
 * @property {number} head
 *
 * @typedef {Reading & { n_embd: number, design: Design, x: Grid, steps: Steps, variances: Variances, written: Grid }} OneHead
 *
 * @typedef {Reading & { query: number, source_tokens: string[], source_offset: number,
 *   rotary: boolean, general: Steps, own: Steps, cross: Steps }} ThreeKinds
 *
 * @typedef {{ run: string, step: number | null, text: string, layer: number, head: number }} HeadQuestion
 */

/** So many tokens of a text are shown at most; the server reads no more. */
export const MOST_TOKENS = 24;

/**
 * @param {HeadQuestion} question
 * @param {AbortSignal} signal
 * @returns {Promise<OneHead>}
 */
export async function askOneHead(question, signal) {
  return (await post("/api/learn/self-attention", question, { signal })).json();
}

/**
 * @param {HeadQuestion & { source: string, query: number | null }} question
 * @param {AbortSignal} signal
 * @returns {Promise<ThreeKinds>}
 */
export async function askThreeKinds(question, signal) {
  return (await post("/api/learn/cross-attention", question, { signal })).json();
}

/**
 * @param {{ q: (number | null)[][], k: (number | null)[][], v: (number | null)[][] }} matrices
 * @param {AbortSignal} signal
 * @returns {Promise<Steps>}
 */
export async function askByHand(matrices, signal) {
  return (await post("/api/learn/attend", matrices, { signal })).json();
}

/**
 * What a lesson's state asks about a head.
 * @param {import("./lesson.js").Lesson} lesson
 * @param {Record<string, any>} state
 * @returns {HeadQuestion}
 * @throws {Error} where there is nothing to ask, with what to do
 */
export function headQuestion(lesson, { run, step, text, layer, head }) {
  if (!lesson.runs.some(({ attention }) => attention)) {
    throw new Error("No run here has attention heads. Train a GPT, or bring one in, to see one.");
  }
  if (text === "") throw new Error("Type a text for the head to read.");
  const chosen = lesson.run();
  const newest = chosen?.training ? (chosen.steps.at(-1) ?? null) : null;
  return { run, step: step ?? newest, text, layer, head };
}

/**
 * The answer to the last question, for a figure that is drawn anew more often than it changes.
 * @template Question
 * @template Answer
 */
export class LastAnswer {
  #asked = "";
  #asking = new AbortController();
  /** @type {Promise<Answer> | null} */
  #answer = null;

  /** @param {(question: Question, signal: AbortSignal) => Promise<Answer>} ask */
  constructor(ask) {
    this.ask = ask;
  }

  /**
   * @param {Question} question
   * @returns {Promise<Answer>}
   */
  to(question) {
    const asked = JSON.stringify(question);
    if (this.#answer && asked === this.#asked) return this.#answer;
    this.#asking.abort();
    this.#asking = new AbortController();
    this.#asked = asked;
    const answer = this.ask(question, this.#asking.signal);
    this.#answer = answer;
    answer.catch(() => {
      if (this.#answer === answer) this.#answer = null; // so that it can be asked again
    });
    return answer;
  }
}
