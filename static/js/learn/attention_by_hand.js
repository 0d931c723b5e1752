// Small matrices to change, and cross-attention on them with every number written out.
import { ApiError } from "../api.js";
import { byId } from "../parts.js";
import { askByHand } from "./attention_answer.js";
import { headMatrix, withSums } from "./attention_matrices.js";
import { inDigits, outputSum, scaledSum, scoreSum, softmaxSums, symbol } from "./attention_sums.js";

/**
 * @typedef {import("./attention_answer.js").Steps} Steps
 * @typedef {"q" | "k" | "v"} Letter
 */

const MOST = 100;

/** @type {Record<Letter, { name: string, row: string, initial: number[][] }>} */
const MATRICES = {
  q: { name: "Queries, 2 × 2", row: "query", initial: [[2, 0], [0.5, 1]] }, // biome-ignore format: rows
  k: { name: "Keys, 3 × 2", row: "key", initial: [[1, 0], [0, 1], [-1, 2]] }, // biome-ignore format: rows
  v: { name: "Values, 3 × 2", row: "value", initial: [[10, 0], [0, 10], [5, 5]] }, // biome-ignore format: rows
};
const LETTERS = /** @type {Letter[]} */ (Object.keys(MATRICES));

/** The fields of the address: rows with a semicolon between them. */
export const HAND_FIELDS = Object.fromEntries(
  LETTERS.map((letter) => [letter, matrixField(MATRICES[letter].initial)]),
);

/** @param {import("./lesson.js").Lesson} lesson */
export function bindHand(lesson) {
  const form = byId("hand-form");
  form.replaceChildren(...LETTERS.map((letter) => editor(lesson, letter)), resetButton(lesson));
  form.addEventListener("submit", (event) => event.preventDefault());
  lesson.figure(byId("by-hand"), {
    follows: LETTERS,
    ask: async ({ q, k, v }, signal) => {
      mark(null);
      try {
        return await askByHand({ q, k, v }, signal);
      } catch (error) {
        throw error instanceof ApiError ? atCell(error) : error;
      }
    },
    show: (steps) => {
      const shown = byId("by-hand").querySelector('[data-part="shown"]');
      shown?.replaceChildren(...stepsOf(steps));
    },
  });
}

/**
 * @param {number[][]} initial
 * @returns {import("../state.js").Field<(number | null)[][]>}
 */
function matrixField(initial) {
  return {
    initial,
    parse: (raw) => {
      const rows = raw.split(";").map((row) => row.split(",").map(numberOf));
      const fits =
        rows.length === initial.length && rows.every((row, i) => row.length === initial[i].length);
      return fits ? rows : undefined;
    },
    format: (rows) => rows.map((row) => row.map((value) => value ?? "").join(",")).join(";"),
  };
}

/** @param {string} raw @returns {number | null} null where no number is written */
function numberOf(raw) {
  const value = raw.trim() === "" ? Number.NaN : Number(raw);
  return Number.isFinite(value) ? value : null;
}

/** @param {import("./lesson.js").Lesson} lesson @param {Letter} letter */
function editor(lesson, letter) {
  const { name, row: rowName } = MATRICES[letter];
  const table = document.createElement("table");
  table.className = "hand-matrix";
  table.createCaption().textContent = name;
  const body = table.createTBody();
  lesson.state[letter].forEach((/** @type {(number | null)[]} */ row, /** @type {number} */ i) => {
    const line = body.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.append(symbol(letter, i + 1));
    line.append(head);
    row.forEach((value, d) => {
      const input = document.createElement("input");
      input.type = "number";
      input.className = "input";
      input.step = "any";
      [input.min, input.max] = [String(-MOST), String(MOST)];
      input.value = value === null ? "" : String(value);
      input.dataset.cell = `${letter}.${i}.${d}`;
      input.setAttribute("aria-label", `${rowName} ${i + 1}, channel ${d + 1}`);
      input.addEventListener("input", () => {
        const rows = lesson.state[letter].map((/** @type {number[]} */ each) => [...each]);
        rows[i][d] = numberOf(input.value);
        lesson.set(letter, rows);
      });
      line.insertCell().append(input);
    });
  });
  return table;
}

/** @param {import("./lesson.js").Lesson} lesson */
function resetButton(lesson) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = "As at first";
  button.addEventListener("click", () => {
    for (const letter of LETTERS) {
      lesson.set(letter, MATRICES[letter].initial);
      MATRICES[letter].initial.flat().forEach((value, index) => {
        const [row, channel] = [Math.floor(index / 2), index % 2];
        const input = inputAt(`${letter}.${row}.${channel}`);
        if (input) input.value = String(value);
      });
    }
  });
  return button;
}

/**
 * Say what is wrong by the name of the cell, and mark it.
 * @param {ApiError} error
 */
function atCell(error) {
  const input = error.param ? inputAt(error.param) : null;
  if (!input) return error;
  mark(input);
  return new Error(`${input.getAttribute("aria-label")}: ${error.reason}`);
}

/** @param {HTMLInputElement | null} wrong the one input that is; none if null */
function mark(wrong) {
  for (const input of byId("hand-form").querySelectorAll("input")) {
    input.setAttribute("aria-invalid", String(input === wrong));
  }
}

/** @param {string} cell @returns {HTMLInputElement | null} */
function inputAt(cell) {
  return byId("hand-form").querySelector(`[data-cell="${cell}"]`);
}

/** @param {Steps} steps @returns {HTMLElement[]} every step with all its sums */
function stepsOf(steps) {
  const queries = named("q", steps.q);
  const keys = named("k", steps.k);
  const channels = steps.v[0].map((_, d) => d);
  const each = (/** @type {(query: number, key: number) => HTMLElement} */ sum) =>
    queries.map((_, i) => lines(keys.map((_, j) => sum(i, j))));
  const perPair = { rows: queries, columns: keys };
  return [
    step(
      "1. Scores: each query with each key",
      { ...perPair, id: "hand-scores", name: "scores", values: steps.scores },
      each((i, j) => scoreSum(steps, i, j, 1)),
    ),
    step(
      `2. Scaled: divided by √${steps.size} ≈ ${inDigits(Math.sqrt(steps.size))}`,
      { ...perPair, id: "hand-scaled", name: "z", values: steps.scaled },
      each((i, j) => scaledSum(steps, i, j, 1)),
    ),
    step(
      "3. Softmax: a power for each key, over the sum of its row",
      { ...perPair, id: "hand-weights", name: "weights", values: steps.weights, largest: 1 },
      queries.map((_, i) => softmaxOf(steps, i)),
    ),
    step(
      "4. Weighted sums of the values",
      {
        id: "hand-output",
        name: "outputs",
        values: steps.output,
        rows: named("o", steps.output),
        columns: channels.map((d) => String(d + 1)),
      },
      queries.map((_, i) => lines(channels.map((d) => outputSum(steps, i, d, 1)))),
    ),
  ];
}

/** @param {Steps} steps @param {number} query its largest score, its powers, their sum, its weights */
function softmaxOf(steps, query) {
  const largest = document.createElement("p");
  largest.className = "sum";
  largest.append(symbol("m", query + 1), ` = ${inDigits(steps.row_largest[query])}`);
  const sums = steps.k.map((_, key) => softmaxSums(steps, query, key, 1));
  const row = document.createElement("div");
  row.className = "hand-row";
  row.append(
    largest,
    lines(sums.map(([power]) => power)),
    sums[0][1],
    lines(sums.map(([, , weight]) => weight)),
  );
  return row;
}

/**
 * @param {string} name
 * @param {import("./attention_matrices.js").HeadMatrix} matrix
 * @param {HTMLElement[]} sums
 */
function step(name, matrix, sums) {
  const section = document.createElement("section");
  const heading = document.createElement("h3");
  heading.textContent = name;
  section.append(heading, withSums(headMatrix(matrix), ...sums));
  return section;
}

/** @param {HTMLElement[]} sums of one row */
function lines(sums) {
  const group = document.createElement("div");
  group.className = "hand-lines";
  group.append(...sums);
  return group;
}

/** @param {string} letter @param {number[][]} rows */
function named(letter, rows) {
  return rows.map((_, index) => `${letter}${index + 1}`);
}
