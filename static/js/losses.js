// What a loss is counted in, and which losses can be compared.

/**
 * @typedef {import("./api.js").Run} Run
 * @typedef {Pick<Run, "tokenizer">} Tokenized
 * @typedef {{ imported?: object | null, val_loss?: number | null }} Measured
 */

/** So many runs are called by their names. */
const NAMED = 3;

/**
 * @param {Tokenized} run
 * @returns {boolean} whether its tokens are characters, so that its losses are per character
 */
export function perCharacter(run) {
  return (run.tokenizer ?? "character") === "character";
}

/**
 * @param {Tokenized | undefined} run
 * @returns {string} what its tokens are called
 */
export function tokenUnit(run) {
  return !run || perCharacter(run) ? "characters" : "tokens";
}

/**
 * @param {Measured} run
 * @returns {boolean} whether its losses were measured here, or are going to be
 */
export function isMeasured({ imported, val_loss }) {
  return !imported || (val_loss ?? null) !== null;
}

/**
 * @param {readonly (Tokenized & Measured)[]} runs
 * @returns {boolean} whether there are different tokenizers among those with losses
 */
export function tokenizersDiffer(runs) {
  const measured = runs.filter(isMeasured);
  return new Set(measured.map(({ tokenizer }) => tokenizer ?? "character")).size > 1;
}

/**
 * @param {readonly Tokenized[]} runs
 * @returns {string} what the losses are counted in
 */
export function lossUnit(runs) {
  return runs.every(perCharacter) ? "nats per character" : "nats per token";
}

/**
 * @param {Pick<Run, "tokenizer" | "val_loss" | "val_bits_per_character">} run
 * @returns {number | null} its validation loss in a unit that every tokenizer shares
 */
export function bitsPerCharacter(run) {
  const measured = run.val_bits_per_character ?? null;
  if (measured !== null || run.val_loss === null) return measured;
  return perCharacter(run) ? run.val_loss / Math.LN2 : null;
}

/**
 * @param {Pick<Run, "corpus">} run
 * @param {Pick<Run, "corpus">} other
 * @returns {boolean} whether both are known to be trained and validated on the same text
 */
export function sameText(run, other) {
  const text = run.corpus?.sha256;
  return text !== undefined && text === other.corpus?.sha256;
}

/**
 * @param {Run} run
 * @param {Run} reference
 * @returns {number | null} by what share its validation loss per character lies above the
 *   reference's; null where the two cannot be compared
 */
export function lossChange(run, reference) {
  const [mine, theirs] = [bitsPerCharacter(run), bitsPerCharacter(reference)];
  if (mine === null || !theirs || !sameText(run, reference)) return null;
  return mine / theirs - 1;
}

/**
 * @param {readonly (Pick<Run, "tokenizer" | "title"> & Measured)[]} runs
 * @returns {string} which of their losses are not per character; empty where all are
 */
export function tokensNote(runs) {
  const others = runs
    .filter((run) => isMeasured(run) && !perCharacter(run))
    .map(({ title }) => title);
  if (!others.length) return "";
  const names = others.slice(0, NAMED).join(", ");
  const more = others.length > NAMED ? ` and ${others.length - NAMED} more` : "";
  const then = tokenizersDiffer(runs) ? "; compare by bits per character, in the table." : ".";
  return `Losses per token, where tokens are not characters: ${names}${more}${then}`;
}
