// Runs that differ in how many heads they have, side by side.

import { ApiError, post } from "../api.js";
import { signed } from "../attention/signed.js";
import { attentionMaps } from "../attention_api.js";
import { differences } from "../differences.js";
import { link } from "../elements.js";
import { duration, grouped } from "../format.js";
import { isMeasured, lossUnit, sameText } from "../losses.js";
import { headRows } from "./heads_tiles.js";

/**
 * @typedef {import("../api.js").Run} Run
 * @typedef {import("../attention_api.js").AttentionMaps} AttentionMaps
 *
 * @typedef {object} Seen what a run does with the text
 * @property {Run} run
 * @property {AttentionMaps | null} maps of the layer; null where the run has fewer
 * @property {(number | null)[]} apart of each layer, in bits; null for a single head
 */

/** @param {Run[]} runs @returns {Run | null} what the others are measured by */
export function referenceOf(runs) {
  const able = runs.filter(({ attention }) => attention);
  return able.find(({ id }) => id === "baseline") ?? able[0] ?? null;
}

/**
 * @param {Run[]} runs
 * @param {Run} reference
 * @returns {Run[]} the reference and those that are like it in all but the number of heads, by that
 */
export function likeInAllButHeads(runs, reference) {
  return runs
    .filter(
      (run) =>
        run.attention &&
        differences(run, reference).every(({ name }) => name === "n_head") &&
        (run.id === reference.id || run.n_head !== reference.n_head),
    )
    .sort((a, b) => (a.n_head ?? 0) - (b.n_head ?? 0));
}

/**
 * @param {Run} reference
 * @param {Run[]} shown
 * @returns {number[]} numbers of heads worth training: one, and twice the reference's, where missing
 */
export function missingHeads(reference, shown) {
  const { n_embd, n_head, position } = /** @type {Record<string, any>} */ (reference.config.model);
  return [1, 2 * n_head].filter((heads) => {
    const fits = n_embd % heads === 0 && (position !== "rotary" || (n_embd / heads) % 2 === 0);
    return fits && !shown.some((run) => run.n_head === heads);
  });
}

/** @param {Run} reference @param {number} heads @returns {string} where such a run is trained */
export function trainingAddress(reference, heads) {
  const change = `set=model.n_head=${heads}`;
  const isUsual = reference.id === "baseline";
  return isUsual ? `/train?${change}` : `/train?from=${encodeURIComponent(reference.id)}&${change}`;
}

/**
 * @param {Run} run
 * @param {string} text
 * @param {number} layer
 * @param {AbortSignal} signal
 * @returns {Promise<Seen>}
 */
export async function seenBy(run, text, layer, signal) {
  const reading = { run: run.id, text };
  const layers = [layer];
  const [maps, apart] = await Promise.all([
    layer < (run.n_layer ?? 0)
      ? attentionMaps({ ...reading, layers, encoding: "sqrt8" }, signal)
      : null,
    headDiversity(reading, signal),
  ]);
  return { run, maps, apart };
}

/**
 * @param {{ run: string, text: string }} reading
 * @param {AbortSignal} signal
 * @returns {Promise<(number | null)[]>} of each layer; empty for a text of one token
 */
async function headDiversity(reading, signal) {
  try {
    return (await (await post("/api/learn/head-diversity", reading, { signal })).json()).means;
  } catch (error) {
    if (error instanceof ApiError && error.code === "too_short") return [];
    throw error;
  }
}

/**
 * The runs as columns.
 * @param {HTMLTableElement} table
 * @param {Seen[]} seen
 * @param {Run} reference
 * @param {number} layer
 */
export function showComparison(table, seen, reference, layer) {
  const head = document.createElement("thead");
  const titles = head.insertRow();
  titles.append(cornerCell(), ...seen.map(({ run }) => columnHead(run)));
  const body = document.createElement("tbody");
  for (const [name, words] of rowsOf(reference, layer, lossUnit(seen.map(({ run }) => run)))) {
    const row = body.insertRow();
    row.append(rowHead(name));
    for (const each of seen) {
      const cell = row.insertCell();
      cell.className = "number";
      cell.textContent = words(each);
    }
  }
  table.querySelector("thead")?.remove();
  table.querySelector("tbody")?.remove();
  table.append(head, body);
}

/**
 * @param {Run} reference
 * @param {number} layer
 * @param {string} unit
 * @returns {[name: string, words: (seen: Seen) => string][]}
 */
function rowsOf(reference, layer, unit) {
  return [
    ["Heads H", ({ run }) => String(run.n_head)],
    ["Width of a head D = C / H", ({ run }) => width(run)],
    ["Parameters", ({ run }) => grouped(run.params)],
    [`Training loss, ${unit}`, ({ run }) => loss(run, run.train_loss)],
    [`Validation loss, ${unit}`, ({ run }) => loss(run, run.val_loss)],
    [`More than ${reference.title}'s`, ({ run }) => difference(run, reference)],
    ["Time to train", ({ run }) => time(run)],
    ["Trained on", ({ run }) => run.device ?? "not known"],
    [`Heads apart in layer ${layer}, in bits`, ({ apart }) => bits(apart[layer])],
    ["Heads apart in all layers, in bits", ({ apart }) => bits(mean(apart))],
  ];
}

/** @param {Run} run */
function width({ config, n_head }) {
  const C = Number(config.model.n_embd);
  return `${C} / ${n_head} = ${C / Number(n_head)}`;
}

/** @param {Run} run */
function time({ wall_time_s: seconds }) {
  return seconds === null ? "not known" : duration(seconds);
}

/** @param {Run} run @param {number | null} value */
function loss(run, value) {
  if (value === null || !isMeasured(run)) return "not measured";
  return value.toFixed(4);
}

/** @param {Run} run @param {Run} reference */
function difference(run, reference) {
  if (run.id === reference.id) return "0";
  const comparable = sameText(run, reference) && run.tokenizer === reference.tokenizer;
  if (!comparable || run.val_loss === null || reference.val_loss === null) return "not comparable";
  return signed(run.val_loss - reference.val_loss, 4);
}

/** @param {number | null | undefined} value */
function bits(value) {
  return value === null || value === undefined ? "–" : value.toFixed(3);
}

/** @param {(number | null)[]} values */
function mean(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
}

function cornerCell() {
  return document.createElement("td");
}

/** @param {Run} run */
function columnHead(run) {
  const cell = document.createElement("th");
  cell.scope = "col";
  cell.className = "number";
  cell.append(link(`/runs?runs=${encodeURIComponent(run.id)}`, run.title));
  return cell;
}

/** @param {string} name */
function rowHead(name) {
  const cell = document.createElement("th");
  cell.scope = "row";
  cell.textContent = name;
  return cell;
}

/**
 * @param {Seen[]} seen
 * @param {string} text
 * @param {number} layer
 * @returns {HTMLElement[]} each run's heads of the layer, in a row
 */
export function comparedMaps(seen, text, layer) {
  return seen.map(({ run, maps }) => {
    const group = document.createElement("section");
    group.className = "compared-heads";
    const name = document.createElement("h4");
    name.textContent = run.title;
    group.append(name);
    if (maps) group.append(...headRows(maps, { run: run.id, step: null, text }));
    else {
      const note = document.createElement("p");
      note.className = "note";
      note.textContent = `It has no layer ${layer}: its layers are 0 to ${(run.n_layer ?? 1) - 1}.`;
      group.append(note);
    }
    return group;
  });
}

/**
 * What the comparison says, in words that hold for any runs.
 * @param {Run[]} runs
 * @returns {string}
 */
export function inWords(runs) {
  const measured = runs.filter((run) => run.val_loss !== null && isMeasured(run));
  const [first] = measured;
  const comparable = measured.filter(
    (run) => sameText(run, first) && run.tokenizer === first.tokenizer,
  );
  if (comparable.length < 2) return "";
  const order = [...comparable].sort((a, b) => Number(a.val_loss) - Number(b.val_loss));
  const [best, worst] = [order[0], order[order.length - 1]];
  const apart = Number(worst.val_loss) - Number(best.val_loss);
  const params = new Set(runs.map((run) => run.params)).size === 1;
  const same = params ? "All of them have the same number of parameters. " : "";
  return `${same}${best.title} (${headCount(best)}) has the lowest validation loss, ${worst.title} (${headCount(worst)}) the highest; ${apart.toFixed(4)} ${lossUnit([best])} lie between them.`;
}

/** @param {Run} run */
function headCount({ n_head }) {
  return n_head === 1 ? "1 head" : `${n_head} heads`;
}
