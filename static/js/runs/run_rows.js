// The table of runs on the page: its headings, which sort, and its rows, which are ticked.
import { RunRow } from "./run_row.js";
import { sorted } from "./runs_table.js";

/**
 * @typedef {import("../api.js").Run} Run
 * @typedef {import("./runs_table.js").Column} Column
 * @typedef {object} TableLook
 * @property {readonly Run[]} runs
 * @property {Column[]} columns
 * @property {Run} reference
 * @property {string} sort a column's key; empty: as they come
 * @property {boolean} descending
 * @property {ReadonlySet<string>} ticked
 * @property {(run: Run) => number} numberOf
 */

export class RunRows {
  /** @type {Map<string, RunRow>} */
  #rows = new Map();
  #all = document.createElement("input");
  #head = document.createElement("tr");

  /**
   * @param {HTMLTableElement} table with a head and a body
   * @param {{ sort: (key: string) => void, tick: (id: string, ticked: boolean) => void, tickAll: (ticked: boolean) => void }} listener
   */
  constructor(table, listener) {
    this.listener = listener;
    this.body = table.tBodies[0];
    this.#all.type = "checkbox";
    this.#all.setAttribute("aria-label", "Show the curves of all runs");
    this.#all.addEventListener("change", () => listener.tickAll(this.#all.checked));
    const tick = this.#head.insertCell();
    tick.className = "tick";
    tick.append(this.#all);
    table.tHead?.append(this.#head);
  }

  /** @param {TableLook} look */
  show(look) {
    this.#showHead(look);
    const column = look.columns.find(({ key }) => key === look.sort);
    const lines = sorted(look.runs, column, look.descending).map((run) => this.#line(run, look));
    // Moving a row takes the focus from what is in it: only where the order has changed.
    const same =
      lines.length === this.body.rows.length &&
      lines.every((line, i) => line === this.body.rows[i]);
    if (!same) this.body.replaceChildren(...lines);
  }

  /** @param {string} id of a run that has been shown */
  reveal(id) {
    this.#rows.get(id)?.reveal();
  }

  /** @param {TableLook} look */
  #showHead({ runs, columns, sort, descending, ticked }) {
    const count = runs.filter(({ id }) => ticked.has(id)).length;
    this.#all.checked = count > 0 && count === runs.length;
    this.#all.indeterminate = count > 0 && count < runs.length;
    if (this.#head.cells.length !== columns.length + 1) {
      while (this.#head.cells.length > 1) this.#head.deleteCell(-1);
      this.#head.append(...columns.map((column) => this.#heading(column)));
    }
    columns.forEach(({ key }, i) => {
      this.#head.cells[i + 1].ariaSort =
        sort !== key ? null : descending ? "descending" : "ascending";
    });
  }

  /** @param {Column} column */
  #heading({ key, name, title }) {
    const cell = document.createElement("th");
    cell.scope = "col";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    if (title) button.title = title;
    button.addEventListener("click", () => this.listener.sort(key));
    cell.append(button);
    return cell;
  }

  /**
   * @param {Run} run
   * @param {TableLook} look
   */
  #line(run, { columns, reference, ticked, numberOf }) {
    const { id } = run;
    const row = this.#rows.get(id) ?? new RunRow((on) => this.listener.tick(id, on));
    this.#rows.set(id, row);
    row.show(run, { columns, reference, ticked: ticked.has(id), number: numberOf(run) });
    return row.element;
  }
}
