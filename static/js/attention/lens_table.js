// The logit lens: what the residual stream would say next, after each part of the model.

import { grouped, percent } from "../format.js";
import { glyphs, spoken } from "../glyphs.js";
import { barCell, headCell, rowOf, showBar, textCell } from "./bar_cell.js";

/** @typedef {import("../attention_api.js").LensRow} LensRow */

const SHOWN = 5;

/**
 * @param {HTMLElement} table
 * @param {LensRow[]} lens
 * @param {string} target the token that is explained
 */
export function showLens(table, lens, target) {
  const names = ["After", ...Array.from({ length: SHOWN }, (_, rank) => `${rank + 1}.`)];
  const head = rowOf(...names.map((name) => headCell(name, "col")));
  head.append(headCell(`${glyphs(target)} itself`, "col"), headCell("Rank", "col"));
  table.querySelector("thead")?.replaceChildren(head);
  table.querySelector("tbody")?.replaceChildren(...lens.map((row) => lensRow(row, target)));
}

/**
 * @param {LensRow} row
 * @param {string} target
 */
function lensRow({ at, layer, top, target_probability, target_rank }, target) {
  const name = layer === null ? "embedding" : `layer ${layer} ${at}`;
  const cells = top.slice(0, SHOWN).map(([token, probability]) => {
    const cell = textCell("");
    cell.className = "bar-cell lens-token";
    cell.classList.toggle("is-target", token === target);
    cell.append(piece("lens-glyph", glyphs(token)), piece("number", percent(probability)));
    cell.title = `${spoken(token)}: ${percent(probability)}`;
    showBar(cell, probability);
    return cell;
  });
  while (cells.length < SHOWN) cells.push(textCell(""));
  const rank = textCell(grouped(target_rank));
  rank.className = "number";
  return rowOf(
    headCell(name),
    ...cells,
    barCell(percent(target_probability), target_probability),
    rank,
  );
}

/**
 * @param {string} className
 * @param {string} words
 */
function piece(className, words) {
  const span = document.createElement("span");
  span.className = className;
  span.textContent = words;
  return span;
}
