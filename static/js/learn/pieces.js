// A text's tokens in a row, each in a box of its own.
import { glyphs } from "../glyphs.js";
import { tint } from "../surprise.js";

/**
 * @param {readonly string[]} tokens
 * @returns {HTMLElement}
 */
export function tokenRow(tokens) {
  const row = document.createElement("span");
  row.className = "pieces";
  row.append(...tokens.map((token) => pieceOf(token)));
  return row;
}

/**
 * @param {string} token
 * @returns {HTMLElement}
 */
export function pieceOf(token) {
  const piece = document.createElement("span");
  piece.className = "piece";
  piece.textContent = glyphs(token);
  return piece;
}

/**
 * Tokens with what belongs to each below it.
 * @param {string} name of the whole
 * @param {readonly { token: string, below: string, title?: string, className?: string }[]} entries
 * @returns {HTMLOListElement}
 */
export function annotated(name, entries) {
  const list = document.createElement("ol");
  list.className = "annotated";
  list.setAttribute("aria-label", name);
  list.append(
    ...entries.map(({ token, below, title = "", className = "" }) => {
      const item = document.createElement("li");
      item.className = className;
      if (title) item.title = title;
      const under = document.createElement("span");
      under.className = "below number";
      under.textContent = below;
      item.append(pieceOf(token), under);
      return item;
    }),
  );
  return list;
}

/**
 * @param {readonly import("./text_api.js").Surprise[]} surprises
 * @returns {HTMLOListElement} each token with its bits, tinted by them
 */
export function surpriseRow(surprises) {
  return annotated(
    "Surprise of each token, in bits",
    surprises.map(({ token, bits }) => ({
      token,
      below: bits === null ? "·" : bits.toFixed(1),
      title: bits === null ? "nothing comes before it" : `${bits.toFixed(2)} bits`,
      className: bits === null ? "" : `tint-${tint(-bits * Math.LN2)}`,
    })),
  );
}
