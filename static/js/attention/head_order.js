// Which heads are shown, and in what order: by one role's score, the highest first.

/**
 * @typedef {import("../attention_api.js").HeadScores} HeadScores
 * @typedef {import("../attention_api.js").Roles} Roles
 *
 * @typedef {object} HeadOrder
 * @property {string} order a role's name; "" for their places
 * @property {number} least the least score that is shown, where heads are in a role's order
 * @property {boolean} uncorrected count the first token too
 */

/**
 * @param {Roles} roles
 * @param {HeadOrder} how
 * @returns {HeadScores[]}
 */
export function orderedHeads({ roles, heads }, { order, least, uncorrected }) {
  if (!roles.some(({ name }) => name === order)) return [...heads];
  const score = (/** @type {HeadScores} */ head) => scoreOf(head, order, uncorrected);
  return heads
    .filter((head) => score(head) >= least)
    .sort((a, b) => score(b) - score(a) || a.layer - b.layer || a.head - b.head);
}

/**
 * @param {HeadScores} head
 * @param {string} role
 * @param {boolean} uncorrected
 * @returns {number}
 */
export function scoreOf({ scores, corrected }, role, uncorrected) {
  return (uncorrected ? scores[role] : (corrected[role] ?? scores[role])) ?? 0;
}
