// The lesson on residual connections, normalisation and dropout.
import { byId, part } from "../parts.js";
import { flag, integer, number, optional, text } from "../state.js";
import { askDepth, askDropout } from "./depth_api.js";
import { showLosses, showNorms, showScatter } from "./depth_tables.js";
import {
  dropoutWords,
  gradientWords,
  lengthWords,
  lossWords,
  normWords,
  placeName,
  similarityWords,
  streamOf,
  variantName,
} from "./depth_words.js";
import { Lesson } from "./lesson.js";
import { LineChart } from "./line_chart.js";

/** @typedef {import("./depth_api.js").Depth} Depth */
/** @typedef {import("./depth_api.js").Dropout} Dropout */
/** @typedef {import("./lesson.js").State} State */

const LARGEST = 2 ** 31 - 1;
const MOST_DROPOUT = 0.9;
const READING = ["run", "step", "text"];

const FIELDS = {
  run: text("baseline"),
  step: optional(integer(0, 0, LARGEST)),
  text: text("ROMEO:\nTo be, or not to be: that"),
  residual: flag(true),
  norm: flag(true),
  dropout: number(0.2, 0, MOST_DROPOUT),
  seed: integer(1, 0, LARGEST),
};

export function start() {
  const lesson = new Lesson(FIELDS);
  const some = lesson.runs.some(({ attention }) => attention);
  byId("no-runs").hidden = some;
  for (const element of document.querySelectorAll("[data-needs-run]")) {
    element.toggleAttribute("hidden", !some);
  }
  if (!some) return;
  depthFigure(lesson);
  normsFigure(lesson);
  dropoutFigure(lesson);
  byId("depth-untrained").addEventListener("click", () => {
    lesson.set("step", lesson.state.step === 0 ? null : 0);
  });
  lesson.start();
}

/** @param {Lesson} lesson */
function depthFigure(lesson) {
  const figure = byId("depth-figure");
  const charts = {
    length: new LineChart(part(figure, "length-chart")),
    gradient: new LineChart(part(figure, "gradient-chart")),
    similarity: new LineChart(part(figure, "similarity-chart")),
  };
  const losses = /** @type {HTMLTableElement} */ (part(figure, "losses"));
  lesson.figure(figure, {
    follows: [...READING, "residual", "norm"],
    ask: (state) => askDepth(reading(state)),
    show: ({ variants }, state) => {
      const [usual] = variants;
      const chosen =
        variants.find((it) => it.residual === state.residual && it.norm === state.norm) ?? usual;
      for (const [name, chart] of Object.entries(charts)) {
        chart.show(alongStream(usual, chosen, /** @type {keyof typeof charts} */ (name)));
      }
      part(figure, "length-words").textContent = lengthWords(usual, chosen);
      part(figure, "gradient-words").textContent = gradientWords(usual, chosen);
      part(figure, "similarity-words").textContent = similarityWords(usual, chosen);
      const choices = Number(lesson.run()?.config.model.vocab_size);
      part(figure, "loss-words").textContent = lossWords(usual, chosen, choices);
      showLosses(losses, variants, chosen);
      showUntrained(lesson);
    },
  });
}

/** The way to the weights before training, where they were kept. @param {Lesson} lesson */
function showUntrained(lesson) {
  const button = byId("depth-untrained");
  button.hidden = !lesson.run()?.steps.includes(0);
  button.textContent = lesson.state.step === 0 ? "See it after training" : "See it before training";
}

/**
 * @param {import("./depth_api.js").Variant} usual
 * @param {import("./depth_api.js").Variant} chosen
 * @param {"length" | "gradient" | "similarity"} quantity
 * @returns {import("./line_chart.js").Chart}
 */
function alongStream(usual, chosen, quantity) {
  const titles = {
    length: "Length of a token's vector",
    gradient: "Size of the gradient",
    similarity: "Cosine between two tokens' vectors",
  };
  const shown = chosen === usual ? [usual] : [usual, chosen];
  return {
    title: titles[quantity],
    places: "Behind",
    along: streamOf(usual).map(placeName),
    log: quantity !== "similarity",
    lines: shown.map((variant) => ({
      name: variantName(variant),
      values: streamOf(variant).map((place) => place[quantity]),
    })),
  };
}

/** @param {Lesson} lesson */
function normsFigure(lesson) {
  const figure = byId("norms-figure");
  const chart = new LineChart(part(figure, "chart"));
  lesson.figure(figure, {
    follows: READING,
    ask: (state) => askDepth(reading(state)),
    show: (depth) => {
      const { norms } = depth;
      chart.show({
        title: "Variance over the channels of a token's vector",
        places: "Normalisation",
        along: norms.map(placeName),
        log: true,
        lines: [
          { name: "what it reads", values: norms.map((it) => it.variance_in) },
          { name: "normalised", values: norms.map((it) => it.variance_normalised) },
        ],
      });
      part(figure, "words").textContent = normWords(depth);
      showNorms(/** @type {HTMLTableElement} */ (part(figure, "norms")), norms);
    },
  });
}

/** @param {Lesson} lesson */
function dropoutFigure(lesson) {
  const figure = byId("dropout-figure");
  const chart = new LineChart(part(figure, "chart"));
  lesson.figure(figure, {
    follows: [...READING, "dropout", "seed"],
    ask: (state, signal) => {
      return askDropout({ ...reading(state), dropout: state.dropout, seed: state.seed }, signal);
    },
    show: (reply) => {
      const { losses, loss, loss_of_mean } = reply;
      chart.show({
        title: "Loss of each pass, in nats per token",
        places: "Pass",
        along: losses.map((_, pass) => ({ name: `pass ${pass + 1}`, short: `${pass + 1}` })),
        lines: [
          { name: "a pass with dropout", values: losses, dots: true },
          { name: "without dropout", values: losses.map(() => loss) },
          { name: "all passes together", values: losses.map(() => loss_of_mean) },
        ],
      });
      part(figure, "words").textContent = dropoutWords(reply);
      showScatter(/** @type {HTMLTableElement} */ (part(figure, "scatter")), reply.next);
    },
  });
}

/** @param {State} state @returns {import("./depth_api.js").Reading} */
function reading({ run, step, text }) {
  return { run, step, text };
}
