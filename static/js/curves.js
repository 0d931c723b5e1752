// Loss curves of several runs, one over another.
import { AXIS_TEXTS, place } from "./curve_axis.js";
import { rangeToGive } from "./kept_zoom.js";
import { tellNames } from "./legend_titles.js";
import { lossUnit } from "./losses.js";
import { asName, colour, draw } from "./plotly.js";
import { runColour, runDash } from "./run_look.js";
import { smoothed } from "./smoothing.js";

/**
 * @typedef {import("./api.js").Metric} Metric
 * @typedef {import("./plotly.js").Json} Json
 * @typedef {{ x: import("./curve_axis.js").Axis, logX: boolean, logY: boolean, smoothing: number }} Axes
 *   smoothing: from 0 (none) to below 1
 *
 * @typedef {import("./curve_axis.js").Trained & { id: string, title: string, metrics: Metric[] }} Drawn
 *   a run, or what there is of one that is still training
 * @typedef {{ run: Drawn, number: number }} Curve a run's number decides its colour
 */

/** So many still have room in a legend, and in one label for all of them. */
const MANY = 12;

/** A name may take so much of a figure's width: in the label, numbers stand beside it. */
const NAME_SHARE = 0.45;

/** @type {WeakMap<HTMLElement, { curves: Curve[], axes: Axes, drawn: Promise<void> }>} */
const waiting = new WeakMap();

/**
 * Draw them, once in a frame at most however often this is called; the newest call holds. What the
 * person has zoomed to or hidden stays, as long as the axes are the same ones.
 * @param {HTMLElement} element
 * @param {Curve[]} curves
 * @param {Axes} axes
 * @returns {Promise<void>} when it is drawn
 */
export function drawCurves(element, curves, axes) {
  const before = waiting.get(element);
  if (before) {
    Object.assign(before, { curves, axes });
    return before.drawn;
  }
  const next = { curves, axes, drawn: Promise.resolve() };
  next.drawn = new Promise(requestAnimationFrame).then(async () => {
    waiting.delete(element);
    await paint(element, next.curves, next.axes);
  });
  waiting.set(element, next);
  return next.drawn;
}

/**
 * @param {HTMLElement} element
 * @param {Curve[]} curves
 * @param {Axes} axes
 */
async function paint(element, curves, axes) {
  const look = {
    many: curves.length > MANY,
    room: NAME_SHARE * (element.clientWidth || innerWidth),
  };
  const traces = [
    ...curves.flatMap((curve) => tracesOf(curve, axes, "train_loss", look)),
    ...curves.flatMap((curve) => tracesOf(curve, axes, "val_loss", look)),
  ];
  const range = rangeToGive(element, String(axes.logY), worthSeeing(curves, axes.logY));
  const config = { doubleClick: "reset+autosize" };
  const figure = await draw(element, traces, layout(curves, axes, range), config);
  tellNames(
    figure,
    curves.map(({ run }) => run.title),
  );
}

/**
 * @param {Curve[]} curves
 * @param {Axes} axes
 * @param {[number, number]} range of the losses
 * @returns {Json}
 */
function layout(curves, { x, logX, logY }, range) {
  const grid = { gridcolor: colour("--line"), zeroline: false, linecolor: colour("--line-strong") };
  const many = curves.length > MANY;
  return {
    margin: { l: 56, r: 12, t: 12, b: 48 },
    uirevision: "kept",
    xaxis: {
      ...grid,
      type: logX ? "log" : "linear",
      title: { text: AXIS_TEXTS[x].title },
      unifiedhovertitle: { text: AXIS_TEXTS[x].told },
      uirevision: `${x} ${logX}`,
    },
    yaxis: {
      ...grid,
      type: logY ? "log" : "linear",
      title: { text: `loss, ${lossUnit(curves.map(({ run }) => run))}` },
      range,
      uirevision: String(logY),
    },
    showlegend: !many,
    // Placed in the figure, it takes room above the plot alone; placed at the plot, at its sides too.
    legend: {
      orientation: "h",
      ...{ xref: "container", x: 0, yref: "container", y: 1, yanchor: "top" },
      traceorder: "normal",
    },
    hovermode: many ? "closest" : "x unified",
    hoverlabel: {
      bgcolor: colour("--paper-raised"),
      font: { color: colour("--ink") },
      namelength: -1,
    },
  };
}

/**
 * An untrained model's loss is so high that it would press all else together.
 * @param {Curve[]} curves
 * @param {boolean} logarithmic
 * @returns {[number, number]} from the lowest loss to the highest of trained models, as
 *   Plotly wants a range: of logarithms, where the axis is one
 */
function worthSeeing(curves, logarithmic) {
  const losses = curves
    .flatMap(({ run }) => (run.metrics.length > 2 ? run.metrics.filter(isTrained) : run.metrics))
    .flatMap(({ train_loss, val_loss }) => [train_loss, val_loss])
    .filter((loss) => Number.isFinite(loss) && (loss > 0 || !logarithmic))
    .map((loss) => (logarithmic ? Math.log10(loss) : loss));
  if (!losses.length) return [0, 1];
  const low = losses.reduce((a, b) => Math.min(a, b));
  const high = losses.reduce((a, b) => Math.max(a, b));
  const space = 0.05 * (high - low) || 0.1;
  return [low - space, high + space];
}

/**
 * @param {Curve} curve
 * @param {Axes} axes
 * @param {"train_loss" | "val_loss"} loss
 * @param {{ many: boolean, room: number }} look whether it is one of many; the pixels for its name
 * @returns {Json[]} the curve; where it is smoothed, the measured one lies faintly beneath it
 */
function tracesOf({ run, number }, { x, logX, smoothing }, loss, { many, room }) {
  const metrics = run.metrics.filter((metric) => !logX || isTrained(metric));
  const measured = metrics.map((metric) => metric[loss]);
  const validation = loss === "val_loss";
  const dash = validation ? runDash(number) : "dot";
  const title = asName(run.title, room);
  const line = { color: runColour(number), width: validation ? (many ? 1.4 : 2.4) : 1, dash };
  const trace = {
    type: "scatter",
    mode: metrics.length > 1 ? "lines" : "markers",
    uid: `${run.id} ${loss}`,
    name: validation ? title : `${title}, training`,
    showlegend: validation,
    legendgroup: run.id,
    legendrank: validation ? 1 : 2, // also the order of the lines in the label
    x: metrics.map((metric) => place(run, metric, x)),
    y: measured,
    line,
    hovertemplate: many ? `${AXIS_TEXTS[x].told}: %{y:.4f}` : "%{y:.4f}",
  };
  if (smoothing <= 0 || metrics.length < 2) return [trace];
  const beneath = { uid: `${trace.uid} measured`, showlegend: false, hoverinfo: "skip" };
  return [
    { ...trace, ...beneath, hovertemplate: null, opacity: 0.3, line: { ...line, width: 1 } },
    {
      ...trace,
      y: smoothedLosses(metrics, measured, smoothing),
      customdata: measured,
      hovertemplate: `${trace.hovertemplate}, measured %{customdata:.4f}`,
    },
  ];
}

/**
 * The untrained model's loss is no noise: it stays as it is, and weighs on nothing.
 * @param {Metric[]} metrics
 * @param {number[]} measured one for each
 * @param {number} smoothing
 */
function smoothedLosses(metrics, measured, smoothing) {
  const first = metrics.findIndex(isTrained);
  const start = first < 0 ? metrics.length : first;
  return [...measured.slice(0, start), ...smoothed(measured.slice(start), smoothing)];
}

/** @param {{ step: number }} metric */
function isTrained({ step }) {
  return step > 0;
}
