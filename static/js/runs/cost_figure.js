// Minutes of training against validation loss, a point for each run.

import { bitsPerCharacter, isMeasured, perCharacter } from "../losses.js";
import { asName, asWritten, colour, draw } from "../plotly.js";
import { runColour } from "../run_look.js";
import { sentence } from "./cost_gain.js";
import { labelPlaces } from "./label_places.js";

/**
 * @typedef {import("../api.js").Run} Run
 * @typedef {import("./cost_gain.js").Outcome} Outcome
 * @typedef {{ run: Run, x: number, y: number, number: number, words: string }} Dot
 * @typedef {{ x: [number, number], y: [number, number] }} Ranges
 */

const MARGIN = { l: 60, r: 16, t: 12, b: 48 };
/** With more runs than this the labels would hide the points: hovering then names them. */
const MANY = 12;

/**
 * @param {HTMLElement} element
 * @param {readonly Outcome[]} outcomes
 * @param {Run} reference always shown, with a line through it both ways
 * @param {{ logX: boolean, numberOf: (run: Run) => number }} options
 */
export async function drawCost(element, outcomes, reference, { logX, numberOf }) {
  const { dots, measure } = costDots(outcomes, reference, { logX, numberOf });
  const origin = dots.find(({ run }) => run === reference);
  const ranges = rangesOf(dots, logX);
  const grid = { gridcolor: colour("--line"), zeroline: false, linecolor: colour("--line-strong") };
  await draw(element, [trace(element, dots, reference, ranges, logX)], {
    margin: MARGIN,
    uirevision: "kept",
    xaxis: {
      ...grid,
      type: logX ? "log" : "linear",
      range: ranges.x,
      title: { text: "minutes of training" },
      uirevision: String(logX),
    },
    yaxis: { ...grid, range: ranges.y, title: { text: `validation loss, ${measure}` } },
    shapes: origin ? crosshair(origin) : [],
    hovermode: "closest",
    hoverlabel: {
      bgcolor: colour("--paper-raised"),
      font: { color: colour("--ink") },
      align: "left",
    },
  });
}

/**
 * @param {readonly Outcome[]} outcomes
 * @param {Run} reference
 * @param {{ logX: boolean, numberOf: (run: Run) => number }} options
 * @returns {{ dots: Dot[], measure: string }} x in minutes, y in what `measure` says: of nats where
 *   all tokens are characters
 */
export function costDots(outcomes, reference, { logX, numberOf }) {
  const runs = [...outcomes.map(({ run }) => run), reference].filter(isMeasured);
  const bits = !runs.every(perCharacter);
  const dots = outcomes.flatMap((outcome) => {
    const y = bits ? bitsPerCharacter(outcome.run) : outcome.run.val_loss;
    if (outcome.minutes === null || y === null || (logX && outcome.minutes <= 0)) return [];
    const words = sentence(outcome, reference);
    return [{ run: outcome.run, x: outcome.minutes, y, number: numberOf(outcome.run), words }];
  });
  return { dots, measure: bits ? "bits per character" : "nats per character" };
}

/**
 * @param {HTMLElement} element
 * @param {Dot[]} dots
 * @param {Run} reference
 * @param {Ranges} ranges
 * @param {boolean} logX
 */
function trace(element, dots, reference, ranges, logX) {
  const width = element.clientWidth - MARGIN.l - MARGIN.r;
  const height = element.clientHeight - MARGIN.t - MARGIN.b;
  const points = dots.map(({ run, x, y }) => ({
    x: width * share(logX ? Math.log10(x) : x, ranges.x),
    y: height * (1 - share(y, ranges.y)),
    text: asName(run.title, 0.7 * width),
  }));
  const places = labelPlaces(points, { width, height });
  return {
    type: "scatter",
    mode: dots.length > MANY ? "markers" : "markers+text",
    x: dots.map(({ x }) => x),
    y: dots.map(({ y }) => y),
    text: dots.map((_, i) => (places[i] ? points[i].text : "")),
    textposition: places.map((where) => where ?? "middle center"),
    textfont: { color: colour("--ink") },
    hovertext: dots.map(hoverWords),
    hovertemplate: "%{hovertext}<br>%{x:.3~g} minutes, %{y:.4f}<extra></extra>",
    cliponaxis: false,
    marker: {
      color: dots.map(({ number }) => runColour(number)),
      size: dots.map(({ run }) => (run === reference ? 15 : 10)),
      symbol: dots.map(({ run }) => (run === reference ? "diamond" : "circle")),
      line: { color: colour("--paper"), width: 1 },
    },
  };
}

/**
 * @param {Dot[]} dots
 * @param {boolean} logX
 * @returns {Ranges} with room around the points, as Plotly wants them: x of logarithms where that
 *   axis is logarithmic
 */
function rangesOf(dots, logX) {
  const xs = dots.map(({ x }) => (logX ? Math.log10(x) : x));
  const most = Math.max(0, ...xs) || 1;
  return {
    x: logX ? roomy(xs, 0.1) : [-0.03 * most, 1.1 * most],
    y: roomy(
      dots.map(({ y }) => y),
      0.12,
    ),
  };
}

/**
 * @param {number[]} values
 * @param {number} room as a share of their span
 * @returns {[number, number]}
 */
function roomy(values, room) {
  if (!values.length) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const space = room * (high - low) || 0.1;
  return [low - space, high + space];
}

/** @param {number} value @param {[number, number]} range */
function share(value, [low, high]) {
  return (value - low) / (high - low);
}

/**
 * What lies left of it and below was cheaper and better.
 * @param {Dot} dot
 */
function crosshair({ x, y }) {
  const line = { type: "line", line: { color: colour("--line-strong"), width: 1, dash: "dot" } };
  return [
    { ...line, layer: "below", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1 },
    { ...line, layer: "below", xref: "paper", yref: "y", x0: 0, x1: 1, y0: y, y1: y },
  ];
}

/** @param {Dot} dot @returns {string} on two lines, since a figure on a phone is narrow */
function hoverWords({ run, words }) {
  const rest = asWritten(words.slice(run.title.length)); // they begin with it
  return asName(run.title) + rest.replace(": ", ":<br>").replace(", validation", ",<br>validation");
}
