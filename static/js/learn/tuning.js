// The lesson on tuning: two runs before and after a change, the exercise again, one own change.
import { getRun } from "../api.js";
import { lossUnit } from "../losses.js";
import { byId, part } from "../parts.js";
import { integer, list, number, optional, text } from "../state.js";
import { Lesson } from "./lesson.js";
import { cell, heading } from "./tuning_cells.js";
import { ChangeForm } from "./tuning_change.js";
import { changedRows, resultRows, sideName, verdict } from "./tuning_comparison.js";
import { Exercise } from "./tuning_exercise.js";
import { SamplePane, togetherWords } from "./tuning_samples.js";

/** @typedef {import("./tuning_comparison.js").Side} Side */
/** @typedef {import("./lesson.js").State} State */

const LARGEST = 2 ** 31 - 1;
const SIDES = ["a", "a_step", "b", "b_step"];

const FIELDS = {
  a: text("baseline"),
  a_step: optional(integer(0, 0, LARGEST)),
  b: text("case-1"),
  b_step: optional(integer(0, 0, LARGEST)),
  prompt: text("ROMEO:"),
  seed: integer(1, 0, LARGEST),
  temperature: number(0.8, 0, 2),
  length: integer(300, 1, 2000),
  sweep: text(""),
  base: text("preset:baseline"),
  setting: text("train.learning_rate"),
  value: text(""),
  hypothesis: text(""),
  jobs: list([]),
};

export function start() {
  const lesson = new Lesson(FIELDS);
  const some = lesson.runs.length > 0;
  byId("no-runs").hidden = some;
  byId("with-runs").hidden = !some;
  if (some) {
    comparisonFigure(lesson);
    samplesFigure(lesson);
  }
  new Exercise(lesson);
  new ChangeForm(lesson);
  byId("training-itself").addEventListener("click", () => {
    lesson.set("a", lesson.state.b);
    lesson.set("a_step", 0);
    lesson.set("b_step", null);
  });
  byId("another-seed").addEventListener("click", () => {
    lesson.set("seed", (lesson.state.seed % LARGEST) + 1);
  });
  lesson.start();
}

/** @param {Lesson} lesson */
function comparisonFigure(lesson) {
  const figure = byId("comparison-figure");
  lesson.figure(figure, {
    follows: SIDES,
    ask: async ({ a, a_step, b, b_step }, signal) => {
      const [first, second] = await Promise.all([getRun(a, signal), getRun(b, signal)]);
      return [
        { run: first, step: a_step },
        { run: second, step: b_step },
      ];
    },
    show: ([a, b]) => {
      showComparison(figure, a, b);
      byId("training-itself").hidden = !b.run.steps.includes(0);
    },
  });
}

/**
 * @param {HTMLElement} figure
 * @param {Side} a
 * @param {Side} b
 */
function showComparison(figure, a, b) {
  part(figure, "verdict").textContent = verdict(a, b);
  const [own, other] = [sideName(a), sideName(b)];
  part(figure, "a-name").textContent = own;
  part(figure, "b-name").textContent = other;
  part(figure, "unit").textContent = `Losses in ${lossUnit([a.run, b.run])}`;
  const table = /** @type {HTMLTableElement} */ (part(figure, "numbers"));
  const [changed, results] = [changedRows(a, b), resultRows(a, b)];
  for (const body of [...table.tBodies]) body.remove();
  for (const rows of [changed, results]) {
    const body = table.createTBody();
    body.className = rows === changed ? "tuning-changed" : "";
    for (const { name, a, b, change } of rows) {
      const row = body.insertRow();
      row.append(heading(name), cell(a, "number"), cell(b, "number"), cell(change, "number"));
    }
  }
  const hypothesis = part(figure, "hypothesis");
  hypothesis.hidden = !b.run.hypothesis || a.run.id === b.run.id;
  part(figure, "hypothesis-words").textContent = b.run.hypothesis;
}

/** @param {Lesson} lesson */
function samplesFigure(lesson) {
  const figure = byId("samples-figure");
  const panes = [new SamplePane(byId("sample-a")), new SamplePane(byId("sample-b"))];
  lesson.figure(figure, {
    follows: [...SIDES, "prompt", "seed", "temperature", "length"],
    ask: async (state, signal) => {
      part(figure, "together").textContent = "";
      const sides = [
        { name: "a", run: state.a, step: state.a_step },
        { name: "b", run: state.b, step: state.b_step },
      ];
      const { prompt, seed, temperature, length } = state;
      return Promise.all(
        sides.map(({ name, run, step }, index) => {
          panes[index].title = sideName({ run: lesson.run(name) ?? { title: run }, step });
          return panes[index].write({ run, step, prompt, seed, temperature, length }, signal);
        }),
      );
    },
    show: ([a, b]) => {
      part(figure, "together").textContent = togetherWords(a, b);
    },
  });
}
