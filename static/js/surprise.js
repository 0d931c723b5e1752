// How unexpected a character was, in bits: one more for each halving of its probability.

/** Where a tint begins, in bits; what lies below the first has none. */
export const TINT_FROM = [0.5, 1.5, 3, 4.5, 6];

/**
 * @param {number} logprob natural logarithm of a probability
 * @returns {number} bits
 */
export function bits(logprob) {
  return Math.max(0, -logprob / Math.LN2);
}

/**
 * @param {number} logprob
 * @returns {number} 0 for no tint, up to TINT_FROM.length
 */
export function tint(logprob) {
  const surprise = bits(logprob);
  return TINT_FROM.filter((from) => surprise >= from).length;
}
