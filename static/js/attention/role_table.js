// The table of all heads and their scores.
import { barCell, headCell, rowOf, textCell } from "./bar_cell.js";
import { scoreOf } from "./head_order.js";
import { reach } from "./signed.js";

/**
 * @typedef {import("../attention_api.js").Roles} Roles
 * @typedef {import("../attention_api.js").Role} Role
 * @typedef {import("../attention_api.js").HeadScores} HeadScores
 * @typedef {{ order: string, uncorrected: boolean, layer: number, head: number }} Shown
 */

/**
 * @param {HTMLElement} table buttons to sort by have data-sort, rows data-layer and data-head
 * @param {Roles} roles
 * @param {HeadScores[]} heads those that are listed, in their order
 * @param {Shown} shown
 */
export function showRoles(table, { roles, heads: all }, heads, shown) {
  const focused = focusIn(table);
  const order = roles.some(({ name }) => name === shown.order) ? shown.order : "";
  const columns = roles.map((role) => {
    const cell = sortButton(role.title, role.name, order === role.name && "descending");
    cell.title = role.definition;
    return cell;
  });
  const first = sortButton("Head", "", order === "" && "ascending");
  table
    .querySelector("thead")
    ?.replaceChildren(rowOf(first, headCell("Badges", "col"), ...columns));
  const most = new Map(roles.map((role) => [role.name, largest(role, all, shown.uncorrected)]));
  const rows = heads.map((head) => roleRow(head, roles, most, shown));
  table.querySelector("tbody")?.replaceChildren(...rows);
  if (focused) /** @type {HTMLElement | null} */ (table.querySelector(focused))?.focus();
}

/** @param {HTMLElement} table @returns {string | null} how to find the button that has the focus again */
function focusIn(table) {
  const active = /** @type {HTMLElement | null} */ (document.activeElement);
  if (!active || !table.contains(active)) return null;
  if (active.dataset.sort !== undefined) return `[data-sort="${active.dataset.sort}"]`;
  const row = active.closest("tr");
  return `tr[data-layer="${row?.dataset.layer}"][data-head="${row?.dataset.head}"] button`;
}

/**
 * @param {Role} role
 * @param {HeadScores[]} heads
 * @param {boolean} uncorrected
 * @returns {number} the score that has a whole bar
 */
function largest({ name, unit }, heads, uncorrected) {
  return unit === "share" ? 1 : reach(heads.map((head) => scoreOf(head, name, uncorrected)));
}

/**
 * @param {HeadScores} scores
 * @param {Role[]} roles
 * @param {Map<string, number>} most
 * @param {Shown} shown
 */
function roleRow(scores, roles, most, shown) {
  const cells = roles.map(({ name, unit }) => {
    const score = scoreOf(scores, name, shown.uncorrected);
    return barCell(score.toFixed(unit === "tokens" ? 1 : 3), score / (most.get(name) ?? 1));
  });
  const badges = textCell("");
  badges.className = "role-badges";
  badges.append(...scores.badges.map((badge) => chip(roles, badge)));
  const row = rowOf(headButton(scores), badges, ...cells);
  row.dataset.layer = String(scores.layer);
  row.dataset.head = String(scores.head);
  if (scores.layer === shown.layer && scores.head === shown.head) {
    row.setAttribute("aria-current", "true");
  }
  return row;
}

/**
 * @param {string} words
 * @param {string} order
 * @param {string | false} sorted
 */
function sortButton(words, order, sorted) {
  const cell = headCell("", "col");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = words;
  button.dataset.sort = order;
  cell.append(button);
  if (sorted) cell.setAttribute("aria-sort", sorted);
  return cell;
}

/** @param {HeadScores} head */
function headButton({ layer, head }) {
  const cell = headCell("");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = `L${layer} H${head}`;
  button.setAttribute("aria-label", `Layer ${layer}, head ${head}`);
  cell.append(button);
  return cell;
}

/**
 * @param {Role[]} roles
 * @param {string} badge
 */
function chip(roles, badge) {
  const span = document.createElement("span");
  span.className = "chip is-different";
  span.textContent = roles.find(({ name }) => name === badge)?.title ?? badge;
  return span;
}
