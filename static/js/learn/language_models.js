// What is a language model? Counts and a network predict the same text; how well each one does.
import { isAbort } from "../api.js";
import { grouped, percent } from "../format.js";
import { glyphs } from "../glyphs.js";
import { byId, part } from "../parts.js";
import { integer, optional, text } from "../state.js";
import { barList, markBar } from "./bars.js";
import { Lesson } from "./lesson.js";
import { LossTable } from "./loss_table.js";
import { probability, sumTable } from "./order_sums.js";
import { surpriseRow, tokenRow } from "./pieces.js";
import { nextToken, orderQuality } from "./text_api.js";

/** @typedef {import("./text_api.js").NextToken} NextToken */

const LARGEST_ORDER = 5;
const MOST_STEPS = 10_000_000;

const FIELDS = {
  text: text("ROMEO:\nBut soft, what light th"),
  counts: text("ngram"),
  order: integer(LARGEST_ORDER, 1, LARGEST_ORDER),
  token: text(""),
  run: text("baseline"),
  step: optional(integer(0, 0, MOST_STEPS)),
};

export function start() {
  const lesson = new Lesson(FIELDS);
  const counts = new Counts(lesson, byId("counts-side"));
  const table = new LossTable(byId("loss-table"), lesson.runs);
  byId("no-runs").hidden = lesson.runs.length > 0;
  for (const id of ["side-by-side", "losses"]) byId(id).hidden = lesson.runs.length === 0;
  const counted = lesson.runs.some(({ kind }) => kind === "ngram");
  part(byId("counts-side"), "with-counts").hidden = !counted;
  part(byId("counts-side"), "without-counts").hidden = counted;
  if (lesson.runs.length) {
    lesson.figure(byId("run-side"), {
      follows: ["text", "run", "step"],
      ask: ({ run, step, text }, signal) => nextToken({ run, step, text }, signal),
      show: (reply) => void showPrediction(byId("run-side"), reply),
    });
  }
  if (counted) {
    lesson.figure(byId("counts-side"), {
      follows: ["text", "counts", "order"],
      ask: (state, signal) => counts.ask(state, signal),
      show: (reply) => counts.show(reply),
    });
    lesson.figure(byId("losses"), {
      follows: ["counts"],
      ask: ({ counts: run }, signal) => orderQuality(run, signal),
      show: (reply) => table.showOrders(reply),
    });
  }
  table.showRuns();
  lesson.start();
}

/** The side that counts: how far back it looks, and the sum behind one token's probability. */
class Counts {
  #lesson;
  #side;

  /** @param {Lesson} lesson @param {HTMLElement} side */
  constructor(lesson, side) {
    this.#lesson = lesson;
    this.#side = side;
  }

  /** @param {Record<string, any>} state @param {AbortSignal} signal */
  async ask({ counts, order, text }, signal) {
    const counted = Number(this.#lesson.run("counts")?.config.model.order ?? LARGEST_ORDER);
    const slider = /** @type {HTMLInputElement} */ (byId("order"));
    slider.max = String(counted);
    const asked = Math.min(order, counted);
    part(this.#side, "order").textContent = `${asked} of ${counted}`;
    try {
      return await nextToken({ run: counts, text, order: asked }, signal);
    } catch (error) {
      if (!isAbort(error)) byId("sum").hidden = true;
      throw error;
    }
  }

  /** @param {NextToken} reply */
  show(reply) {
    const list = showPrediction(this.#side, reply, (token) => {
      this.#lesson.set("token", token);
      markBar(list, this.#showSum(reply));
    });
    markBar(list, this.#showSum(reply));
    part(this.#side, "backing-off").replaceChildren(...backingOff(reply));
  }

  /**
   * @param {NextToken} reply
   * @returns {string} the token whose sum is shown: the chosen one, or else the likeliest
   */
  #showSum({ candidates, sums, vocab_size }) {
    const index = candidates.findIndex(({ token }) => token === this.#lesson.state.token);
    const { token, probability: p } = candidates[Math.max(0, index)];
    byId("sum").hidden = false;
    const sum = part(byId("sum"), "sum");
    sum.replaceChildren(sumTable(sums ?? [], Math.max(0, index), vocab_size));
    part(byId("sum"), "sum-title").textContent =
      `Why ${glyphs(token)} has a probability of ${probability(p)}`;
    return token;
  }
}

/**
 * @param {HTMLElement} side
 * @param {NextToken} reply
 * @param {(token: string) => void} [onChoose]
 * @returns {HTMLOListElement} the bars
 */
function showPrediction(side, reply, onChoose) {
  const { candidates, rest, vocab_size: size, entropy, unit } = reply;
  const bars = barList(
    candidates.map(({ token, id, probability: p }) => ({
      token,
      share: p,
      written: percent(p),
      title: `token ${id}: ${probability(p)}`,
    })),
    { name: "The likeliest next tokens", onChoose },
  );
  const others = size - candidates.length;
  part(side, "bars").replaceChildren(bars);
  part(side, "rest").textContent = others
    ? `The other ${grouped(others)} ${unit} together: ${percent(rest)}. Entropy of the whole distribution: ${entropy.toFixed(2)} bits.`
    : `Entropy of the distribution: ${entropy.toFixed(2)} bits.`;
  part(side, "context").replaceChildren(...context(reply));
  showSurprises(side, reply);
  return bars;
}

/**
 * @param {NextToken} reply
 * @returns {(string | Node)[]} what it looked at, in words
 */
function context({ tokens, left_out: leftOut, started, unit, order }) {
  if (order === 1) return ["It looks at nothing before: only at how often each token occurs."];
  const row = tokenRow(tokens);
  if (started) return ["Your text is empty, so this stands for it, as on the front page: ", row];
  const many =
    tokens.length === 1 ? `the last of the ${unit}` : `the last ${tokens.length} ${unit}`;
  if (!leftOut) return ["It looks at all of your text: ", row];
  const before =
    leftOut === 1
      ? "The one character before changes"
      : `The ${grouped(leftOut)} characters before change`;
  return [`It looks at ${many}: `, row, ` ${before} nothing.`];
}

/**
 * @param {NextToken} reply of an n-gram run
 * @returns {(string | Node)[]} how far it had to back off
 */
function backingOff({ sums, order }) {
  if (!sums?.length || order === null || order === 1) return [];
  const seen = sums.findLast(({ total }) => total > 0) ?? sums[0];
  const times = seen.total === 1 ? "once" : `${grouped(seen.total)} times`;
  const counted = [
    seen.order === 1 ? "no context at all" : tokenRow(seen.context),
    ` (order ${seen.order}), which was followed by something ${times}, by ${grouped(seen.kinds)} different tokens.`,
  ];
  const longest = sums[sums.length - 1];
  if (seen === longest && sums.length === order) return ["Counted as a whole: ", ...counted];
  if (seen === longest) return ["The text is too short for a longer context than ", ...counted];
  return ["Never seen: ", tokenRow(longest.context), ". It backs off to ", ...counted];
}

/**
 * @param {HTMLElement} side
 * @param {NextToken} reply
 */
function showSurprises(side, { surprises, bits_per_character: mean, started }) {
  const words = part(side, "surprise-words");
  part(side, "surprises").replaceChildren(...(surprises ? [surpriseRow(surprises)] : []));
  if (started) words.textContent = "Type something to see how unexpected each token of it is.";
  else if (!surprises) {
    words.textContent =
      "The surprise of each token is left out: the text is longer than the context, and so large a run would have to read it anew for each.";
  } else if (mean === null)
    words.textContent = "A single token has nothing before it to be predicted from.";
  else words.textContent = `On average ${mean.toFixed(2)} bits per character.`;
}
