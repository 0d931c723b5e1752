// The parts of a model as a table, with the sums of their learned numbers.
import { headCell, rowOf, textCell } from "../attention/bar_cell.js";
import { grouped } from "../format.js";
import { partName, shapeWords } from "./block_words.js";

/**
 * @typedef {import("./block_api.js").Part} Part
 * @typedef {import("./block_api.js").Parts} Parts
 */

/**
 * @param {HTMLElement} body of the table
 * @param {Parts} parts
 * @param {number} layer the block that is listed, as all have the same shapes
 */
export function showPartsTable(body, { parts, kind, n_layer, total }, layer) {
  const isTransformer = kind === "gpt";
  const outside = (/** @type {Part} */ part) => !isTransformer || part.layer === null;
  const blockAt = parts.findIndex((part) => !outside(part));
  const before = parts.filter((part, i) => outside(part) && (blockAt < 0 || i < blockAt));
  const block = isTransformer ? parts.filter((part) => part.layer === layer) : [];
  const after = parts.filter((part, i) => outside(part) && blockAt >= 0 && i > blockAt);
  const one = block.reduce((sum, { count }) => sum + count, 0);
  const layers = n_layer ?? 0;
  body.replaceChildren(
    ...before.map((part) => partRow(part)),
    ...block.map((part) => partRow(part, true)),
    ...(block.length
      ? [
          sumRow("One block", one),
          sumRow(`${grouped(layers)} blocks: ${grouped(layers)} × ${grouped(one)}`, layers * one),
        ]
      : []),
    ...after.map((part) => partRow(part)),
    sumRow("All together", total),
  );
}

/** @param {Part} part @param {boolean} [inBlock] */
function partRow(part, inBlock = false) {
  const name = headCell(partName(part));
  if (inBlock) name.className = "is-in-block";
  const tensors = textCell("");
  tensors.append(...part.tensors.map((tensor) => tensorLine(tensor)));
  if (!part.tensors.length) tensors.textContent = "–";
  const count = textCell(part.count ? grouped(part.count) : "–");
  count.className = "number";
  return rowOf(name, textCell(shapeWords(part.shape)), tensors, count);
}

/** @param {import("./block_api.js").LearnedTensor} tensor */
export function tensorLine({ name, shape, count, shared }) {
  const line = document.createElement("span");
  line.className = "tensor-line";
  const code = document.createElement("code");
  code.textContent = name;
  const size = shape.map((each) => grouped(each)).join(" × ");
  const own = shared ? "shared, counted above" : grouped(count);
  line.append(code, ` ${shape.length > 1 ? `${size} = ${own}` : own}`);
  return line;
}

/** @param {string} words @param {number} count */
function sumRow(words, count) {
  const name = headCell(words);
  name.colSpan = 3;
  const sum = textCell(grouped(count));
  sum.className = "number";
  const row = rowOf(name, sum);
  row.className = "is-sum";
  return row;
}
