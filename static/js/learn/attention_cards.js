// The figures of a head's steps, in their order.
import { tokenAt } from "../attention/token_name.js";
import { besideEachOther, headMatrix, scrolledByKeys, withSums } from "./attention_matrices.js";
import { outputSum, scaledSum, scoreSum, softmaxSums } from "./attention_sums.js";
import { maskWords, sharpnessWords, slopeWords, varianceWords } from "./attention_words.js";
import { numberWord } from "./matrix.js";

/**
 * @typedef {import("./attention_answer.js").OneHead} OneHead
 * @typedef {import("./attention_matrices.js").HeadMatrix} HeadMatrix
 * @typedef {(part: Partial<HeadMatrix> & Pick<HeadMatrix, "id" | "name" | "values">) => HTMLElement} Draw
 */

/**
 * @typedef {object} Followed
 * @property {number} query
 * @property {number} key
 * @property {number} channel of values and outputs
 * @property {boolean} numbers in every matrix
 * @property {(query: number, key: number | null) => void} onPair
 * @property {(channel: number) => void} onChannel
 */

/**
 * @param {OneHead} answer
 * @param {Followed} followed
 * @returns {Record<string, HTMLElement[]>} what each figure shows
 */
export function cardsOf(answer, followed) {
  return { ...vectorCards(answer, followed), ...pairCards(answer, followed) };
}

/**
 * @param {OneHead} answer
 * @param {Followed} followed
 * @returns {Record<string, HTMLElement[]>} those with a vector for each position
 */
function vectorCards(answer, followed) {
  const { tokens, steps, n_embd: C } = answer;
  const { query, key, channel, onPair, onChannel } = followed;
  const T = tokens.length;
  const size = `${T} × ${steps.size}${cut(steps.q, steps.size)}`;
  const streamSize = `${T} × ${C}${cut(answer.x, C)}`;
  /** @type {Draw} */
  const draw = (matrix) =>
    headMatrix({
      rows: tokens,
      columns: matrix.values[0].map((_, index) => String(index)),
      numbers: followed.numbers,
      row: query,
      onChoose: (row) => onPair(row, null),
      ...matrix,
    });
  const output = draw({
    id: "output",
    name: `outputs, ${size}`,
    values: steps.output,
    column: channel,
    onChoose: (row, column) => (column === null ? onPair(row, null) : onChannel(column)),
  });
  const writes = `what the head adds to the stream, ${streamSize}`;
  return {
    stream: [draw({ id: "x", name: `x, ${streamSize}`, values: answer.x })],
    projections: [
      besideEachOther(
        draw({ id: "q", name: `queries, ${size}`, values: steps.q }),
        draw({ id: "k", name: `keys, ${size}`, values: steps.k, row: key }),
        draw({ id: "v", name: `values, ${size}`, values: steps.v, row: key }),
      ),
    ],
    sum: [
      withSums(
        output,
        paragraph(`Channel ${channel} of ${tokenAt(tokens, query)}:`),
        outputSum(steps, query, channel),
      ),
    ],
    written: [draw({ id: "written", name: writes, values: answer.written })],
  };
}

/**
 * @param {OneHead} answer
 * @param {Followed} followed
 * @returns {Record<string, HTMLElement[]>} those with a number for each query and key
 */
function pairCards(answer, { query, key, onPair }) {
  const { tokens, steps } = answer;
  const T = tokens.length;
  const pair = `Query ${tokenAt(tokens, query)}, key ${tokenAt(tokens, key)}:`;
  const look = { rows: tokens, columns: tokens, row: query, column: key, onChoose: onPair };
  /** @type {Draw} */
  const draw = (matrix) => headMatrix({ ...look, ...matrix });
  const blank = (/** @type {number} */ i, /** @type {number} */ j) => steps.masked[i][j];
  return {
    scores: [
      withSums(
        draw({ id: "scores", name: `scores q · k, ${T} × ${T}`, values: steps.scores }),
        paragraph(pair),
        scoreSum(steps, query, key),
      ),
    ],
    scaling: [
      withSums(
        draw({ id: "scaled", name: `z = scores / √${steps.size}`, values: steps.scaled }),
        paragraph(pair),
        scaledSum(steps, query, key),
        paragraph(varianceWords(answer)),
      ),
    ],
    masking: [
      withSums(
        draw({ id: "masked", name: "z, masked", values: steps.scaled, blank }),
        paragraph(`A dot stands for −∞. ${maskWords(answer)}`),
      ),
    ],
    softmax: [
      withSums(weightsMatrix(answer, draw), paragraph(pair), ...softmaxSums(steps, query, key)),
    ],
    unscaled: unscaledCard(answer, draw, query),
  };
}

/** @param {OneHead} answer @param {Draw} draw the weights, with the sum of each row behind it */
function weightsMatrix({ tokens, steps }, draw) {
  return draw({
    id: "weights",
    name: `weights, ${tokens.length} × ${tokens.length}, and the sum of each row`,
    values: steps.weights.map((row) => [...row, row.reduce((sum, weight) => sum + weight, 0)]),
    columns: [...tokens, "sum"],
    largest: 1,
    blank: (i, j) => steps.masked[i][j] ?? false,
  });
}

/** @param {OneHead} answer @param {Draw} draw @param {number} query */
function unscaledCard({ tokens, steps }, draw, query) {
  const blank = (/** @type {number} */ i, /** @type {number} */ j) => steps.masked[i][j];
  const looks = { largest: 1, blank };
  return [
    paragraph(sharpnessWords(steps)),
    besideEachOther(
      draw({ id: "with", name: "weights with the scaling", values: steps.weights, ...looks }),
      draw({
        id: "without",
        name: "weights without it",
        values: steps.unscaled_weights,
        ...looks,
      }),
    ),
    sharpnessTable(tokens, steps, query),
    paragraph(slopeWords(steps, query)),
  ];
}

/**
 * @param {string[]} tokens
 * @param {import("./attention_answer.js").Steps} steps
 * @param {number} query
 */
function sharpnessTable(tokens, { masked, sharpness, unscaled_sharpness }, query) {
  const frame = document.createElement("div");
  frame.className = "lesson-scroll";
  scrolledByKeys(frame, "How sharply each query looks");
  const table = document.createElement("table");
  table.className = "lesson-table";
  const head = table.createTHead().insertRow();
  for (const [name, isNumber] of /** @type {const} */ ([
    ["query", false],
    ["keys seen", true],
    ["largest weight", true],
    ["unscaled", true],
    ["entropy, bits", true],
    ["unscaled", true],
    ["at most", true],
  ])) {
    head.append(cell(name, "col", isNumber));
  }
  const body = table.createTBody();
  tokens.forEach((_, i) => {
    const seen = masked[i].filter((it) => !it).length;
    const row = body.insertRow();
    row.classList.toggle("is-followed", i === query);
    row.append(
      cell(tokenAt(tokens, i), "row"),
      cell(String(seen)),
      ...[
        sharpness.largest[i],
        unscaled_sharpness.largest[i],
        sharpness.entropy[i],
        unscaled_sharpness.entropy[i],
        Math.log2(seen),
      ].map((value) => cell(numberWord(value, 3))),
    );
  });
  frame.append(table);
  return frame;
}

/** @param {string} words @param {"row" | "col"} [scope] of a header @param {boolean} [isNumber] */
function cell(words, scope, isNumber = !scope) {
  const element = document.createElement(scope ? "th" : "td");
  if (scope && element instanceof HTMLTableCellElement) element.scope = scope;
  element.textContent = words;
  element.className = isNumber ? "number" : "";
  return element;
}

/** @param {string} words */
function paragraph(words) {
  const element = document.createElement("p");
  element.textContent = words;
  return element;
}

/** @param {import("./attention_answer.js").Grid} shown @param {number} whole */
function cut(shown, whole) {
  const count = shown[0].length;
  return count < whole ? `, of which the first ${count} are shown` : "";
}
