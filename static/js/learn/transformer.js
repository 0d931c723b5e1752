// The transformer, part by part: the block as a run has it, and what each part gives for a text.
import { grouped } from "../format.js";
import { byId, part as pieceOf } from "../parts.js";
import { integer, optional, text } from "../state.js";
import { activations, partsOf } from "./block_api.js";
import { BlockDiagram } from "./block_diagram.js";
import { BlockPart } from "./block_part.js";
import { showPartsTable } from "./block_table.js";
import { Lesson } from "./lesson.js";

/**
 * @typedef {import("./block_api.js").Part} Part
 * @typedef {import("./block_api.js").Parts} Parts
 */

const MOST_STEPS = 10_000_000;
const FIELDS = {
  run: text("baseline"),
  step: optional(integer(0, 0, MOST_STEPS)),
  text: text("To be, or not to be: that is"),
  layer: integer(0, 0, 999),
  part: text("weights"),
};

/** What is looked at where a run does not have the part that was chosen. */
const INSTEAD = ["table", "counts"];

/** @type {Record<string, string>} */
const OTHER_KINDS = {
  bigram:
    "This run is a bigram model: one table, with a row of logits for each token. It has no stream and no block; choose a GPT to see them.",
  ngram:
    "This run has counted: for each length, how often each sequence of tokens stood in the training text. Nothing in it was learned by gradient descent, and it has no block; choose a GPT to see one.",
};

export function start() {
  const lesson = new Lesson(FIELDS);
  byId("no-runs").hidden = lesson.runs.length > 0;
  for (const id of ["which", "block", "part", "counts"]) byId(id).hidden = !lesson.runs.length;
  if (!lesson.runs.length) return;
  const panel = new BlockPart(byId("part"), byId("operations"));
  const diagram = new BlockDiagram(pieceOf(byId("block"), "diagram"), (part) => {
    choose(lesson, part);
    if (isBelow(byId("part"))) byId("part").scrollIntoView({ block: "start" });
  });
  lesson.figure(byId("block"), {
    follows: ["run", "layer"],
    ask: ({ run }) => partsOf(run),
    show: (parts, { layer, part }) => {
      const drawn = Math.min(layer, (parts.n_layer ?? 1) - 1);
      diagram.show(parts, drawn);
      diagram.mark(chosenOf(parts, part, layer));
      pieceOf(byId("block"), "facts").textContent = factsOf(parts);
      showKind(parts);
      showPartsTable(pieceOf(byId("counts"), "parts"), parts, drawn);
    },
  });
  lesson.figure(byId("part"), {
    follows: ["run", "step", "text", "layer", "part"],
    ask: async ({ run, step, text, layer, part: name }, signal) => {
      const parts = await partsOf(run);
      if (text === "") throw new Error("Type a text for the run to read.");
      const part = chosenOf(parts, name, layer);
      const question = { run, step, text, part: part.name, layer: part.layer };
      return { part, shown: await activations(question, signal) };
    },
    show: ({ part, shown }) => {
      diagram.mark(part);
      panel.show(part, shown);
    },
  });
  lesson.start();
}

/** @param {Lesson} lesson @param {Part} part */
function choose(lesson, { name, layer }) {
  if (layer !== null && layer !== lesson.state.layer) lesson.set("layer", layer);
  lesson.set("part", name);
}

/**
 * @param {Parts} parts
 * @param {string} name
 * @param {number} layer
 * @returns {Part} the one that is chosen, or one that this run has instead
 */
function chosenOf({ parts }, name, layer) {
  const named = parts.filter((part) => part.name === name);
  const found = named.length ? named : parts.filter((part) => INSTEAD.includes(part.name));
  const all = found.length ? found : parts;
  return all.find((part) => part.layer === layer) ?? all[all.length - 1];
}

/** @param {HTMLElement} element @returns {boolean} whether a person cannot see it without scrolling */
function isBelow(element) {
  return element.getBoundingClientRect().top > innerHeight * 0.8;
}

/** @param {Parts} parts */
function factsOf({ kind, dimensions, n_layer, block_size, total }) {
  const sizes = Object.entries(dimensions)
    .filter(([symbol]) => !symbol.match(/^\d/)) // 3C is told by C
    .map(([symbol, size]) => `${symbol} = ${grouped(size)}`)
    .join(", ");
  const numbers = kind === "ngram" ? "stored counts" : "learned numbers";
  const blocks = n_layer ? `${n_layer} ${n_layer === 1 ? "block" : "blocks"}, ` : "";
  return `${blocks}${sizes}, a context of ${grouped(block_size)}; ${grouped(total)} ${numbers}.`;
}

/**
 * Say so where there is no block.
 * @param {Parts} parts
 */
function showKind({ kind, n_layer }) {
  const words = pieceOf(byId("block"), "kind");
  words.textContent = OTHER_KINDS[kind] ?? "";
  words.hidden = !words.textContent;
  const field = byId("layer").closest(".field");
  if (field instanceof HTMLElement) field.hidden = !n_layer;
}
