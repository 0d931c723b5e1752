// Attention, self-attention and cross-attention: the same head in three ways, and one by hand.
import { tokenAt } from "../attention/token_name.js";
import { glyphs } from "../glyphs.js";
import { byId, part } from "../parts.js";
import { integer, optional, text } from "../state.js";
import { askThreeKinds, headQuestion, LastAnswer } from "./attention_answer.js";
import { bindHand, HAND_FIELDS } from "./attention_by_hand.js";
import { attentionDiagram } from "./attention_diagram.js";
import { besideEachOther, headMatrix, keepingPlace } from "./attention_matrices.js";
import { leftOut, positionWords } from "./attention_words.js";
import { Lesson } from "./lesson.js";

/** @typedef {import("./attention_answer.js").ThreeKinds} ThreeKinds */
/** @typedef {"general" | "own" | "cross"} Kind */

const MOST = 1e9;
const HEAD_FIELDS = {
  run: text("baseline"),
  step: optional(integer(0, 0, MOST)),
  layer: integer(1, 0, MOST),
  head: integer(0, 0, MOST),
  text: text("To be, or"),
  source: text("not to be"),
  query: optional(integer(0, 0, MOST)),
};

export function start() {
  const lesson = new Lesson({ ...HEAD_FIELDS, ...HAND_FIELDS });
  const figure = byId("kinds");
  const answer = new LastAnswer(askThreeKinds);
  lesson.figure(figure, {
    follows: Object.keys(HEAD_FIELDS),
    ask: async (state) => {
      for (const element of figures()) element.hidden = false;
      try {
        return await answer.to(questionOf(lesson, state));
      } catch (error) {
        for (const element of figures()) element.hidden = true;
        throw error;
      }
    },
    show: (reply) => keepingPlace(document, () => show(lesson, figure, reply)),
  });
  bindHand(lesson);
  lesson.start();
}

/** @param {Lesson} lesson @param {Record<string, any>} state */
function questionOf(lesson, state) {
  const question = headQuestion(lesson, state);
  if (state.source === "") throw new Error("Type a second text to look at.");
  return { ...question, source: state.source, query: state.query };
}

/**
 * @param {Lesson} lesson
 * @param {HTMLElement} figure
 * @param {ThreeKinds} reply
 */
function show(lesson, figure, reply) {
  for (const kind of /** @type {Kind[]} */ (["general", "own", "cross"])) {
    const element = figure.querySelector(`[data-kind="${kind}"]`);
    if (element) part(element, "diagram").replaceChildren(attentionDiagram(diagramOf(kind, reply)));
  }
  const facts = part(figure, "facts");
  if (facts.textContent !== factsOf(reply)) facts.textContent = factsOf(reply); // spoken once
  const [weights, positions] = figures();
  weights.replaceChildren(matrices(lesson, reply));
  positions.textContent = positionWords(reply);
}

/**
 * @param {Kind} kind
 * @param {ThreeKinds} reply
 * @returns {import("./attention_diagram.js").Diagram}
 */
function diagramOf(kind, reply) {
  const { tokens, source_tokens, query } = reply;
  const { weights, masked } = reply[kind];
  const [asking, asked] = [weights.length, weights[0].length];
  const same = kind === "own";
  const words = (/** @type {string[]} */ of) => glyphs(of.join(""));
  /** @type {[string, string]} */
  const from = [kind === "general" ? "one query" : "your text", same ? "your text" : "the source"];
  const mask = same ? "causal mask" : "no mask";
  return {
    says: `Queries from ${from[0]}, keys and values from ${from[1]}; ${asking} × ${asked} weights, ${mask}.`,
    from,
    texts: [
      kind === "general" ? tokenAt(tokens, query) : words(tokens),
      words(same ? tokens : source_tokens),
    ],
    same,
    mask,
    size: [counted(asking, "query", "queries"), counted(asked, "key", "keys")],
    weights,
    masked,
  };
}

/** @param {Lesson} lesson @param {ThreeKinds} reply */
function matrices(lesson, { tokens, source_tokens, query, general, own, cross }) {
  const onChoose = (/** @type {number} */ row) => lesson.set("query", row);
  const look = { largest: 1, row: query, onChoose };
  return besideEachOther(
    headMatrix({
      ...look,
      id: "general",
      name: `attention: ${sizeOf(general.weights)}`,
      values: general.weights,
      rows: [tokens[query]],
      columns: source_tokens,
      row: 0,
      onChoose: undefined,
    }),
    headMatrix({
      ...look,
      id: "own",
      name: `self-attention: ${sizeOf(own.weights)}`,
      values: own.weights,
      rows: tokens,
      columns: tokens,
      blank: (i, j) => own.masked[i][j],
    }),
    headMatrix({
      ...look,
      id: "cross",
      name: `cross-attention: ${sizeOf(cross.weights)}`,
      values: cross.weights,
      rows: tokens,
      columns: source_tokens,
    }),
  );
}

/** @param {ThreeKinds} reply */
function factsOf({ tokens, text_offset, source_tokens, source_offset, layer, head, cross }) {
  const said = `Layer ${layer}, head ${head}, of D = ${cross.size} channels: ${counted(tokens.length, "query", "queries")} from your text, ${counted(source_tokens.length, "key", "keys")} from the source.`;
  return [
    said,
    leftOut(tokens.length, text_offset),
    leftOut(source_tokens.length, source_offset, "the source"),
  ]
    .filter(Boolean)
    .join(" ");
}

/** @param {number[][]} weights */
function sizeOf(weights) {
  return `${weights.length} × ${weights[0].length}`;
}

/** @param {number} count @param {string} one @param {string} many */
function counted(count, one, many) {
  return `${count} ${count === 1 ? one : many}`;
}

/** @returns {HTMLElement[]} those that the one with the controls draws besides */
function figures() {
  return [...document.querySelectorAll("[data-figure]")].filter((it) => it instanceof HTMLElement);
}
