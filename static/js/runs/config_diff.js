// The settings of several runs, side by side: a row for each setting, a column for each run.
import { setting, settingNames, settings, UNKNOWN } from "../differences.js";

/**
 * @typedef {import("../api.js").Run} Run
 * @typedef {{ text: string, different: boolean }} Cell different: known not to be as in the reference
 * @typedef {{ group: string, name: string, cells: Cell[] }} Row
 */

/**
 * @param {readonly Run[]} runs
 * @param {Run} reference
 * @param {{ all: boolean }} options whether the settings are wanted that are the same in all, too
 * @returns {Row[]} with a cell for each of the runs
 */
export function settingRows(runs, reference, { all }) {
  const [usual, ...each] = [reference, ...runs].map(settings);
  /** @type {Row[]} */
  const rows = [];
  for (const group of Object.keys(usual)) {
    for (const name of settingNames([usual, ...each].map((one) => one[group]))) {
      const texts = each.map((one) => setting(one[group], name));
      if (!texts.some((text) => text !== "–")) continue;
      if (!all && texts.every((text) => text === texts[0])) continue;
      const expected = setting(usual[group], name);
      const cells = texts.map((text) => {
        const known = ![text, expected].includes(UNKNOWN);
        return { text, different: known && text !== expected };
      });
      rows.push({ group, name, cells });
    }
  }
  return rows;
}

/**
 * @param {HTMLElement} element gets the table, or what there is to say in its place
 * @param {readonly Run[]} runs
 * @param {Run} reference
 * @param {{ all: boolean }} options
 */
export function showSettings(element, runs, reference, options) {
  const rows = settingRows(runs, reference, options);
  element.replaceChildren(rows.length ? table(runs, rows) : note(runs.length));
}

/** @param {number} count of runs */
function note(count) {
  const paragraph = document.createElement("p");
  paragraph.className = "note";
  paragraph.textContent =
    count > 1 ? "These runs have the same settings." : "Tick at least two runs to compare them.";
  return paragraph;
}

/**
 * @param {readonly Run[]} runs
 * @param {Row[]} rows
 */
function table(runs, rows) {
  const element = document.createElement("table");
  const head = document.createElement("tr");
  head.append(heading("Setting", "col"), ...runs.map(({ title }) => heading(title, "col")));
  element.createTHead().append(head);
  for (const group of new Set(rows.map((row) => row.group))) {
    const body = element.createTBody();
    const title = heading(group, "rowgroup");
    title.colSpan = runs.length + 1;
    body.insertRow().append(title);
    for (const row of rows.filter((one) => one.group === group)) body.append(line(row));
  }
  return element;
}

/** @param {Row} row */
function line({ name, cells }) {
  const element = document.createElement("tr");
  element.dataset.setting = name;
  element.append(heading(name, "row"));
  for (const { text, different } of cells) {
    const cell = element.insertCell();
    if (!different) {
      cell.textContent = text;
      cell.classList.toggle("is-unknown", text === UNKNOWN);
      continue;
    }
    const mark = document.createElement("mark");
    mark.className = "chip is-different";
    mark.textContent = text;
    cell.append(mark);
  }
  return element;
}

/**
 * @param {string} text
 * @param {"col" | "row" | "rowgroup"} scope
 */
function heading(text, scope) {
  const cell = document.createElement("th");
  cell.scope = scope;
  cell.textContent = text;
  return cell;
}
