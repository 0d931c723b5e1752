// Where a run comes from that was not trained here.
import { grouped } from "./format.js";

/** @typedef {import("./api.js").ImportedFrom} ImportedFrom */

/** @type {Record<ImportedFrom["layout"], { owner: string, told: (file: string) => string }>} */
const LAYOUTS = {
  nanogpt: { owner: "nanoGPT", told: (file) => `nanoGPT's ${file}` },
  huggingface: { owner: "Hugging Face", told: (file) => `${file}, a Hugging Face model` },
  exercise: { owner: "the exercise", told: (file) => `${file}, in the exercise's own layout` },
};

/**
 * @param {Pick<ImportedFrom, "layout">} imported
 * @returns {string} whose model it was, in a word or two
 */
export function originName({ layout }) {
  return LAYOUTS[layout].owner;
}

/**
 * @param {ImportedFrom} imported
 * @returns {string} "Imported from nanoGPT's ckpt.pt, 5,000 steps, validation loss 1.4697 as its own
 *   trainer estimated"
 */
export function originSentence({ layout, file, steps, val_loss }) {
  const parts = [`Imported from ${LAYOUTS[layout].told(file)}`];
  if (steps !== null) parts.push(steps === 1 ? "1 step" : `${grouped(steps)} steps`);
  if (val_loss !== null) {
    parts.push(`validation loss ${val_loss.toFixed(4)} as its own trainer estimated`);
  }
  return parts.join(", ");
}
