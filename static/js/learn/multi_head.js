// Why several heads: what each looks at, runs with other numbers of them, and what they are missed for.
import { attentionMaps, headRoles } from "../attention_api.js";
import { link } from "../elements.js";
import { byId, part } from "../parts.js";
import { choice, integer, list, optional, text } from "../state.js";
import {
  comparedMaps,
  inWords,
  likeInAllButHeads,
  missingHeads,
  referenceOf,
  seenBy,
  showComparison,
  trainingAddress,
} from "./heads_compare.js";
import { HeadsOff } from "./heads_off.js";
import { readingOf } from "./heads_reading.js";
import { headRows, showDefinitions, showScores } from "./heads_tiles.js";
import { Lesson } from "./lesson.js";

/** @typedef {import("../api.js").Run} Run */

const MOST_STEPS = 10_000_000;
const FIELDS = {
  run: text("baseline"),
  step: optional(integer(0, 0, MOST_STEPS)),
  text: text("To be, or not to be: that is"),
  layer: integer(0, 0, 999),
  /** ids of those side by side; none: those that differ in nothing but their heads */
  runs: list([]),
  off: list(["0.0"]),
  fill: choice("zero", /** @type {const} */ (["zero", "mean"])),
  write: integer(120, 0, 500),
  seed: integer(1, 0, 2 ** 31 - 1),
};

export function start() {
  const lesson = new Lesson(FIELDS);
  const able = lesson.runs.some(({ attention }) => attention);
  byId("no-heads").hidden = able;
  for (const id of ["looks", "several", "switches", "without"]) byId(id).hidden = !able;
  if (!able) return;
  lesson.figure(byId("looks"), {
    follows: ["run", "step", "text"],
    ask: async (state, signal) => {
      const reading = readingOf(state);
      const roles = headRoles(reading, signal);
      roles.catch(() => {}); // whoever waits for them is told
      return {
        reading,
        maps: await attentionMaps({ ...reading, encoding: "sqrt8" }, signal),
        roles,
      };
    },
    show: async ({ reading, maps, roles: coming }) => {
      const piece = (/** @type {string} */ name) => part(byId("looks"), name);
      piece("facts").textContent = factsOf(maps.header);
      piece("heads").replaceChildren(...headRows(maps, reading)); // the roles may take a while
      const roles = await coming;
      piece("heads").replaceChildren(...headRows(maps, reading, roles));
      showScores(piece("scores"), roles, reading);
      showDefinitions(piece("definitions"), roles);
    },
  });
  new Comparison(lesson, byId("several")).bind();
  new HeadsOff(lesson, byId("switches"), byId("without")).bind();
  lesson.start();
}

/** @param {import("../attention_api.js").AttentionHeader} header */
function factsOf({ tokens, n_layer, n_head, text_offset }) {
  const cut = text_offset ? ` It sees the last ${tokens.length} tokens of your text.` : "";
  return `${n_layer} layers of ${n_head} ${n_head === 1 ? "head" : "heads"}, ${tokens.length} tokens.${cut}`;
}

/** Runs side by side that differ in their heads. */
class Comparison {
  #lesson;
  #element;
  #reference;

  /** @param {Lesson} lesson @param {HTMLElement} element */
  constructor(lesson, element) {
    this.#lesson = lesson;
    this.#element = element;
    this.#reference = referenceOf(lesson.runs);
  }

  bind() {
    this.#offer();
    this.#lesson.figure(this.#element, {
      follows: ["runs", "text", "layer"],
      ask: ({ text, layer }, signal) => {
        readingOf(this.#lesson.state);
        return Promise.all(this.#shown.map((run) => seenBy(run, text, layer, signal)));
      },
      show: (seen, { text, layer }) => {
        if (!this.#reference) return;
        const table = /** @type {HTMLTableElement} */ (part(this.#element, "comparison"));
        showComparison(table, seen, this.#reference, layer);
        part(this.#element, "maps").replaceChildren(...comparedMaps(seen, text, layer));
        part(this.#element, "words").textContent = inWords(seen.map(({ run }) => run));
      },
    });
  }

  /** @returns {Run[]} */
  get #shown() {
    const { runs: asked } = this.#lesson.state;
    const able = this.#lesson.runs.filter(({ attention }) => attention);
    const chosen = able.filter(({ id }) => asked.includes(id));
    if (chosen.length || !this.#reference) {
      return chosen.sort((a, b) => (a.n_head ?? 0) - (b.n_head ?? 0));
    }
    return likeInAllButHeads(able, this.#reference);
  }

  /** Which runs there are to choose from, and which are missing. */
  #offer() {
    const reference = this.#reference;
    if (!reference) return;
    const shown = new Set(this.#shown.map(({ id }) => id));
    part(this.#element, "choice").append(
      ...this.#lesson.runs
        .filter(({ attention }) => attention)
        .map((run) => box(run, shown.has(run.id), () => this.#choose())),
    );
    const like = likeInAllButHeads(this.#lesson.runs, reference);
    const missing = missingHeads(reference, like);
    const note = part(this.#element, "missing");
    note.hidden = missing.length === 0;
    if (!missing.length) return;
    note.append(
      `Not here yet: a run that differs from ${reference.title} in nothing but its heads, with `,
      ...missing.flatMap((heads, i) => [
        i ? " and one with " : "",
        link(trainingAddress(reference, heads), heads === 1 ? "one head" : `${heads} heads`),
      ]),
      ". The link leads to the training page with that change filled in.",
    );
  }

  #choose() {
    const boxes = [...part(this.#element, "choice").querySelectorAll("input")];
    this.#lesson.set(
      "runs",
      boxes.filter(({ checked }) => checked).map(({ value }) => value),
    );
  }
}

/** @param {Run} run @param {boolean} checked @param {() => void} onChange */
function box(run, checked, onChange) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  input.type = "checkbox";
  input.value = run.id;
  input.checked = checked;
  input.addEventListener("change", onChange);
  label.append(input, ` ${run.title}`);
  return label;
}
