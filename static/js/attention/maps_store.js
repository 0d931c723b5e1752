// Answers about attention that were asked for lately, so that going back and forth asks nothing anew.
import { attentionFile, attentionMaps } from "../attention_api.js";
import { readNpy } from "./npy.js";

/** @typedef {import("../attention_api.js").AttentionRequest} AttentionRequest */
/** @typedef {import("../attention_api.js").AttentionMaps} AttentionMaps */

/**
 * @template T
 * @typedef {object} Answer
 * @property {Promise<T>} promise
 * @property {T | null} value once it is here
 * @property {AbortController} abort
 * @property {number} waiting how many wait for it; without any, it is given up
 */

const KEPT_MAPS = 24;
const KEPT_HEADS = 48;

/** @template T */
class Kept {
  /** the least lately used first @type {Map<string, Answer<T>>} */
  #answers = new Map();
  #ask;
  #limit;

  /**
   * @param {(request: AttentionRequest, signal: AbortSignal) => Promise<T>} ask
   * @param {number} limit how many answers are kept
   */
  constructor(ask, limit) {
    this.#ask = ask;
    this.#limit = limit;
  }

  /** @param {AttentionRequest} request @returns {T | null} the answer, if it is here already */
  known(request) {
    return this.#answers.get(JSON.stringify(request))?.value ?? null;
  }

  /**
   * @param {AttentionRequest} request
   * @param {AbortSignal} [signal] says that it is not waited for any longer
   * @returns {Promise<T>}
   */
  get(request, signal) {
    const key = JSON.stringify(request);
    const answer = this.#answers.get(key) ?? this.#begin(request, key);
    this.#answers.delete(key);
    this.#answers.set(key, answer);
    this.#tidy();
    answer.waiting++;
    signal?.addEventListener("abort", () => {
      if (--answer.waiting === 0 && answer.value === null) answer.abort.abort();
    });
    return answer.promise;
  }

  /** @param {AttentionRequest} request @param {string} key @returns {Answer<T>} */
  #begin(request, key) {
    const abort = new AbortController();
    const promise = this.#ask(request, abort.signal);
    /** @type {Answer<T>} */
    const answer = { promise, value: null, abort, waiting: 0 };
    const forget = () => {
      if (this.#answers.get(key) === answer) this.#answers.delete(key);
    };
    abort.signal.addEventListener("abort", forget); // at once: the next to ask begins anew
    promise.then((value) => {
      answer.value = value;
    }, forget);
    return answer;
  }

  #tidy() {
    for (const key of this.#answers.keys()) {
      if (this.#answers.size <= this.#limit) return;
      this.#answers.delete(key);
    }
  }
}

export class MapsStore {
  /** @type {Kept<AttentionMaps>} */
  #maps = new Kept(
    (request, signal) => attentionMaps({ ...request, encoding: "sqrt8" }, signal),
    KEPT_MAPS,
  );
  /** @type {Kept<Float32Array>} */
  #heads = new Kept(async (request, signal) => {
    const file = await attentionFile(request, "application/x-npy", signal);
    return readNpy(await file.arrayBuffer());
  }, KEPT_HEADS);

  /** Compact maps. @param {AttentionRequest} request @param {AbortSignal} [signal] */
  maps(request, signal) {
    return this.#maps.get(request, signal);
  }

  /** The exact numbers of one map. @param {AttentionRequest} request @param {AbortSignal} [signal] */
  head(request, signal) {
    return this.#heads.get(request, signal);
  }

  /** @param {AttentionRequest} request @returns {Float32Array | null} if they are here already */
  knownHead(request) {
    return this.#heads.known(request);
  }

  /** Ask for what will be wanted next; what goes wrong shows when it is. @param {AttentionRequest} request */
  prefetch(request) {
    this.#maps.get(request).catch(() => {});
  }

  /** The same for one map. @param {AttentionRequest} request */
  prefetchHead(request) {
    this.#heads.get(request).catch(() => {});
  }
}
