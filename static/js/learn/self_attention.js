// Self-attention, step by step: a head works on the reader's text.
import { tokenAt } from "../attention/token_name.js";
import { byId, part } from "../parts.js";
import { flag, integer, optional, text } from "../state.js";
import { askOneHead, headQuestion, LastAnswer } from "./attention_answer.js";
import { cardsOf } from "./attention_cards.js";
import { keepingPlace } from "./attention_matrices.js";
import { designWords, leftOut } from "./attention_words.js";
import { Lesson } from "./lesson.js";

/** @typedef {import("./attention_answer.js").OneHead} OneHead */
/** @typedef {{ query: number, key: number, channel: number }} Place */

const MOST = 1e9;
const FIELDS = {
  run: text("baseline"),
  step: optional(integer(0, 0, MOST)),
  layer: integer(1, 0, MOST),
  head: integer(0, 0, MOST),
  text: text("To be, or not"),
  query: optional(integer(0, 0, MOST)),
  key: optional(integer(0, 0, MOST)),
  channel: integer(0, 0, MOST),
  numbers: flag(false),
};

export function start() {
  const lesson = new Lesson(FIELDS);
  const figure = byId("head");
  const answer = new LastAnswer(askOneHead);
  for (const name of ["query", "key", "channel"]) {
    picker(name).addEventListener("change", () => lesson.set(name, Number(picker(name).value)));
  }
  lesson.figure(figure, {
    follows: Object.keys(FIELDS),
    ask: async (state) => {
      hideFigures(false);
      try {
        return await answer.to(headQuestion(lesson, state));
      } catch (error) {
        hideFigures(true);
        throw error;
      }
    },
    show: (reply, state) => keepingPlace(document, () => show(lesson, figure, reply, state)),
  });
  lesson.start();
}

/**
 * @param {Lesson} lesson
 * @param {HTMLElement} figure with the controls
 * @param {OneHead} reply
 * @param {Record<string, any>} state
 */
function show(lesson, figure, reply, state) {
  const place = placeOf(reply, state);
  const facts = part(figure, "facts");
  if (facts.textContent !== factsOf(reply)) facts.textContent = factsOf(reply); // spoken once
  offer(
    "query",
    reply.tokens.map((_, i) => tokenAt(reply.tokens, i)),
    place.query,
  );
  offer(
    "key",
    reply.tokens.map((_, i) => tokenAt(reply.tokens, i)),
    place.key,
  );
  offer(
    "channel",
    reply.steps.v[0].map((_, index) => String(index)),
    place.channel,
  );
  for (const element of figures("design")) element.textContent = designWords(reply);
  const cards = cardsOf(reply, {
    ...place,
    numbers: state.numbers,
    onPair: (query, key) => {
      lesson.state.query = query;
      lesson.set("key", key);
    },
    onChannel: (channel) => lesson.set("channel", channel),
  });
  for (const [name, parts] of Object.entries(cards)) {
    for (const element of figures(name)) element.replaceChildren(...parts);
  }
  const { run, step, text: words, layer, head } = state;
  const chosen = Object.entries({ run, step, text: words, layer, head });
  const said = chosen
    .filter(([, value]) => value !== null)
    .map(([key, value]) => [key, `${value}`]);
  const link = /** @type {HTMLAnchorElement} */ (byId("all-heads"));
  link.href = `/attention?${new URLSearchParams(said)}`;
}

/**
 * @param {OneHead} reply
 * @param {Record<string, any>} state
 * @returns {Place} what is followed; if nothing is said the last query, and the key it looks at most
 */
function placeOf({ tokens, steps }, state) {
  const last = tokens.length - 1;
  const query = Math.min(state.query ?? last, last);
  const weights = steps.weights[query];
  const strongest = weights.indexOf(Math.max(...weights));
  const key = state.key === null ? strongest : Math.min(state.key, last);
  return { query, key, channel: Math.min(state.channel, steps.v[0].length - 1) };
}

/** @param {OneHead} reply */
function factsOf({ tokens, text_offset, n_embd, steps, layer, head }) {
  const count = `${tokens.length} token${tokens.length === 1 ? "" : "s"}`;
  const sizes = `Layer ${layer}, head ${head} on ${count}: the stream has C = ${n_embd} channels, the head D = ${steps.size}.`;
  return [sizes, leftOut(tokens.length, text_offset)].filter(Boolean).join(" ");
}

/** @param {string} name @param {string[]} options @param {number} chosen */
function offer(name, options, chosen) {
  const select = picker(name);
  select.replaceChildren(...options.map((words, index) => new Option(words, String(index))));
  select.value = String(chosen);
}

/** @param {boolean} hidden all figures but the one with the controls */
function hideFigures(hidden) {
  for (const element of figures()) element.hidden = hidden;
}

/** @param {string} [name] @returns {HTMLElement[]} */
function figures(name) {
  const which = name === undefined ? "[data-figure]" : `[data-figure="${name}"]`;
  return [...document.querySelectorAll(which)].filter((it) => it instanceof HTMLElement);
}

/** @param {string} name */
function picker(name) {
  return /** @type {HTMLSelectElement} */ (byId(name));
}
