// The data: which text it is, how it becomes ids, how it is split, and what a batch holds.

import { entryOf } from "../elements.js";
import { bytes, grouped, percent } from "../format.js";
import { glyphs, spoken } from "../glyphs.js";
import { getCorpus, listCorpora } from "../jobs_api.js";
import { byId, part } from "../parts.js";
import { choice, integer, text } from "../state.js";
import { barList } from "./bars.js";
import { BatchFigure, showSplit } from "./batch_figure.js";
import { Lesson } from "./lesson.js";
import { annotated, tokenRow } from "./pieces.js";
import { drawBatch, encoding } from "./text_api.js";

/** @typedef {import("../jobs_api.js").Corpus} Corpus */
/** @typedef {import("./text_api.js").Encoding} Encoding */

const MOST_ITERATIONS = 1000;
const MOST_ROWS = 32;

const FIELDS = {
  run: text("baseline"),
  corpus: text(""),
  sort: choice("count", ["count", "code"]),
  text: text("First Citizen:\nBefore we proceed"),
  seed: text(""),
  iteration: integer(0, 0, MOST_ITERATIONS),
  row: integer(0, 0, MOST_ROWS - 1),
};

export async function start() {
  const lesson = new Lesson(FIELDS);
  const hasRuns = lesson.runs.length > 0;
  byId("no-runs").hidden = hasRuns;
  for (const element of document.querySelectorAll("[data-needs-runs]")) {
    /** @type {HTMLElement} */ (element).hidden = !hasRuns;
  }
  const texts = new Texts(lesson);
  await texts.offer();
  bindCorpus(lesson, texts);
  if (hasRuns) {
    lesson.figure(byId("encoding-figure"), {
      follows: ["run", "text"],
      ask: ({ run, text }, signal) => encoding({ run, text }, signal),
      show: showEncoding,
    });
    bindBatch(lesson);
  }
  lesson.start();
}

/** The texts there are, and which of them a run learned from. */
class Texts {
  #lesson;
  /** @type {Corpus[]} */
  #corpora = [];
  /** @type {Error | null} */
  #problem = null;

  /** @param {Lesson} lesson */
  constructor(lesson) {
    this.#lesson = lesson;
  }

  async offer() {
    try {
      this.#corpora = (await listCorpora()).corpora;
    } catch (error) {
      this.#problem = /** @type {Error} */ (error);
    }
    const select = /** @type {HTMLSelectElement} */ (byId("corpus"));
    const own = this.#lesson.runs.length ? [new Option("the run’s own", "")] : [];
    select.append(...own, ...this.#corpora.map(({ id, name }) => new Option(name, id)));
    const { corpus } = this.#lesson.state;
    if (corpus && !this.#corpora.some(({ id }) => id === corpus)) {
      select.append(new Option(`${corpus}: there is no such text`, corpus));
    }
    if (!own.length && !corpus) this.#lesson.state.corpus = this.#corpora[0]?.id ?? "";
  }

  /**
   * @param {string} id chosen; empty for the run's own
   * @returns {string} the text's id
   * @throws {Error} where the run's own is not here
   */
  chosen(id) {
    if (this.#problem) throw this.#problem;
    if (id) return id;
    const { id: run, corpus } = this.#lesson.run() ?? { id: this.#lesson.state.run, corpus: null };
    const own = corpus && this.#corpora.find(({ sha256 }) => sha256 === corpus.sha256);
    if (own) return own.id;
    throw new Error(
      corpus
        ? `${run} was trained on “${corpus.name}” (${grouped(corpus.characters)} characters), which is not here. Choose another text above.`
        : `What ${run} was trained on is not known. Choose a text above.`,
    );
  }
}

/** @param {Lesson} lesson @param {Texts} texts */
function bindCorpus(lesson, texts) {
  const figure = byId("corpus-figure");
  lesson.figure(figure, {
    follows: ["run", "corpus", "sort"],
    ask: ({ corpus }, signal) => getCorpus(texts.chosen(corpus), signal),
    show: (corpus, { sort }) => {
      part(figure, "numbers").replaceChildren(...numbers(corpus).flatMap(entryOf));
      part(figure, "preview").textContent = corpus.preview;
      showCharacters(figure, corpus, sort);
    },
  });
}

/** @param {Lesson} lesson */
function bindBatch(lesson) {
  const batch = new BatchFigure(byId("batch-figure"), (row) => lesson.set("row", row));
  const ask = (/** @type {any} */ { run, corpus, seed, iteration }, /** @type {any} */ signal) => {
    const asked = { run, corpus: corpus || null, seed: seed === "" ? null : Number(seed) };
    return drawBatch({ ...asked, iteration }, signal);
  };
  const follows = ["run", "corpus", "seed", "iteration"];
  lesson.figure(byId("split-figure"), {
    follows,
    ask,
    show: (reply) => showSplit(byId("split-figure"), reply),
  });
  lesson.figure(byId("batch-figure"), {
    follows,
    ask,
    show: (reply, { row }) => {
      /** @type {HTMLInputElement} */ (byId("seed")).placeholder = String(reply.seed);
      batch.show(reply, row);
    },
  });
  byId("next-batch").addEventListener("click", () => {
    lesson.set("iteration", Math.min(MOST_ITERATIONS, lesson.state.iteration + 1));
  });
}

/**
 * @param {Corpus} corpus
 * @returns {[string, string][]}
 */
function numbers({ characters, distinct, lines, bytes: size, sha256, canonical }) {
  return [
    ["Characters", grouped(characters)],
    ["Different ones", grouped(distinct)],
    ["Lines", grouped(lines)],
    ["Size in UTF-8", bytes(size)],
    ["SHA-256", `${sha256.slice(0, 16)}…${canonical ? ", Tiny Shakespeare byte for byte" : ""}`],
  ];
}

/** @param {HTMLElement} figure @param {Corpus} corpus @param {string} sort */
function showCharacters(figure, { vocabulary, characters, distinct }, sort) {
  const sorted = [...vocabulary];
  if (sort === "code")
    sorted.sort(([a], [b]) => Number(a.codePointAt(0)) - Number(b.codePointAt(0)));
  const most = Math.max(1, ...vocabulary.map(([, count]) => count));
  const shown =
    vocabulary.length < distinct ? `, the ${grouped(vocabulary.length)} most frequent` : "";
  part(figure, "characters-title").textContent = `Its ${grouped(distinct)} characters${shown}`;
  part(figure, "characters").replaceChildren(
    barList(
      sorted.map(([token, count]) => ({
        token,
        share: count / most,
        written: `${grouped(count)} · ${percent(count / characters)}`,
        title: `${spoken(token)}: ${grouped(count)} times`,
      })),
      { name: "Characters of the text" },
    ),
  );
}

/** @param {Encoding} reply @param {Record<string, any>} state */
function showEncoding(
  { pieces, unknown, unit, vocab_size: size, characters, bytes: length, decoded },
  state,
) {
  const figure = byId("encoding-figure");
  const known = pieces.filter(({ id }) => id !== null).length;
  part(figure, "summary").textContent = characters
    ? `${grouped(characters)} characters, ${grouped(length)} bytes of UTF-8, ${grouped(known)} tokens from a vocabulary of ${grouped(size)} ${unit}.`
    : "Type something to see its tokens.";
  part(figure, "pieces").replaceChildren(
    annotated(
      "Tokens and their ids",
      pieces.map(({ text, id }) => ({
        token: text,
        below: id === null ? "no id" : String(id),
        className: id === null ? "is-unknown" : "",
      })),
    ),
  );
  part(figure, "decoded").replaceChildren(...decodedWords(decoded, unknown, state));
}

/**
 * @param {string} decoded
 * @param {string[]} unknown
 * @param {Record<string, any>} state
 * @returns {(string | Node)[]}
 */
function decodedWords(decoded, unknown, { run, text }) {
  if (text === "") return [];
  const again = document.createElement("code");
  again.textContent = glyphs(decoded);
  const verdict = decoded === text ? ", the same text." : ".";
  if (!unknown.length) return ["Decoded again: ", again, verdict];
  const none = unknown.length === 1 ? " has no id: it did" : " have no id: they did";
  return [
    tokenRow(unknown),
    `${none} not occur in the text that ${run} took its vocabulary from, so this run cannot read your text. Decoded without them: `,
    again,
  ];
}
