// The tables of the lesson on residual connections, normalisation and dropout.
import { percent } from "../format.js";
import { glyphs } from "../glyphs.js";
import { threeDigits } from "./axes.js";
import { placeName, variantName } from "./depth_words.js";

/** @typedef {import("./depth_api.js").Variant} Variant */

/**
 * The loss with and without each, and of each variant the likeliest next tokens.
 * @param {HTMLTableElement} table
 * @param {Variant[]} variants
 * @param {Variant} chosen
 */
export function showLosses(table, variants, chosen) {
  const body = document.createElement("tbody");
  for (const variant of variants) {
    const row = body.insertRow();
    if (variant === chosen) row.className = "is-chosen";
    const loss = variant.loss === null ? "not finite" : variant.loss.toFixed(3);
    row.append(heading(variantName(variant)), number(loss), tokens(variant.next));
  }
  table.tBodies[0].replaceWith(body);
}

/**
 * @param {HTMLTableElement} table
 * @param {import("./depth_api.js").NormLayer[]} norms
 */
export function showNorms(table, norms) {
  const body = document.createElement("tbody");
  for (const each of norms) {
    const row = body.insertRow();
    row.append(
      heading(placeName(each).name),
      number(threeDigits(each.mean_in)),
      number(threeDigits(each.variance_in)),
      number(each.mean_normalised < 5e-7 ? "0.0000" : each.mean_normalised.toFixed(4)),
      number(each.variance_normalised.toFixed(4)),
      number(threeDigits(each.variance_out)),
    );
  }
  table.tBodies[0].replaceWith(body);
}

/**
 * @param {HTMLTableElement} table
 * @param {import("./depth_api.js").Dropout["next"]} next
 */
export function showScatter(table, next) {
  const body = document.createElement("tbody");
  for (const { token, probability, mean, deviation } of next) {
    const row = body.insertRow();
    const name = heading(glyphs(token));
    name.className = "depth-token";
    row.append(name, number(percent(probability)), number(percent(mean)));
    row.append(number(`± ${percent(deviation)}`));
  }
  table.tBodies[0].replaceWith(body);
}

/** @param {Variant["next"]} next */
function tokens(next) {
  const cell = document.createElement("td");
  if (!next.length) cell.textContent = "–";
  for (const [token, probability] of next) {
    const pair = document.createElement("span");
    pair.className = "depth-next";
    const sign = document.createElement("span");
    sign.className = "depth-token";
    sign.textContent = glyphs(token);
    pair.append(sign, ` ${percent(probability)}`);
    cell.append(pair, " ");
  }
  return cell;
}

/** @param {string} words */
function heading(words) {
  const cell = document.createElement("th");
  cell.scope = "row";
  cell.textContent = words;
  return cell;
}

/** @param {string} words */
function number(words) {
  const cell = document.createElement("td");
  cell.className = "number";
  cell.textContent = words;
  return cell;
}
