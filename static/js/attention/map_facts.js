// A map in a few numbers.

/**
 * @typedef {object} MapFacts
 * @property {number} mean of all pairs that are not masked
 * @property {number} largest
 * @property {{ query: number, key: number }} at where it is
 * @property {Float32Array} received of each key, the mean over the queries that see it
 */

/**
 * @param {Float32Array} weights (T, T), query by query
 * @param {number} T
 * @param {number} [seen] how many keys a query sees at most
 * @returns {MapFacts}
 */
export function mapFacts(weights, T, seen = T) {
  const received = new Float32Array(T);
  let [sum, pairs, best] = [0, 0, 0];
  for (let query = 0; query < T; query++) {
    for (let key = Math.max(0, query + 1 - seen); key <= query; key++) {
      const at = query * T + key;
      received[key] += weights[at];
      sum += weights[at];
      pairs++;
      if (weights[at] > weights[best]) best = at;
    }
  }
  for (let key = 0; key < T; key++) received[key] /= Math.min(T - key, seen);
  const at = { query: Math.floor(best / T), key: best % T };
  return { mean: sum / pairs, largest: weights[best], at, received };
}

/**
 * @param {Float32Array} weights
 * @param {number} T
 * @param {number} query
 * @returns {number} the key that it takes most of
 */
export function strongestKey(weights, T, query) {
  let best = 0;
  for (let key = 1; key <= query; key++)
    if (weights[query * T + key] > weights[query * T + best]) best = key;
  return best;
}

/**
 * @param {Float32Array} weights
 * @param {number} T
 * @param {number} key
 * @returns {number} the query that takes most of it
 */
export function strongestQuery(weights, T, key) {
  let best = key;
  for (let query = key + 1; query < T; query++)
    if (weights[query * T + key] > weights[best * T + key]) best = query;
  return best;
}
