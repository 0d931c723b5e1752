// Loss curves of several runs, one over another.
import { colour, draw } from "./plotly.js";

/** @typedef {import("./api.js").RunWithHistory} RunWithHistory */
/** @typedef {{ byTime: boolean, logX: boolean }} Axes */

const DASHES = ["solid", "dash", "9px,3px", "dashdot"];

/**
 * @param {HTMLElement} element
 * @param {{ run: RunWithHistory, number: number }[]} curves a run's number decides its colour
 * @param {Axes} axes
 */
export async function drawCurves(element, curves, axes) {
  const traces = curves.flatMap(({ run, number }) => [
    trace(run, number, axes, "val_loss"),
    trace(run, number, axes, "train_loss"),
  ]);
  const grid = { gridcolor: colour("--line"), zeroline: false, linecolor: colour("--line-strong") };
  await draw(
    element,
    traces,
    {
      margin: { l: 52, r: 12, t: 12, b: 48 },
      xaxis: {
        ...grid,
        type: axes.logX ? "log" : "linear",
        title: { text: axes.byTime ? "minutes of training" : "training step" },
      },
      yaxis: { ...grid, title: { text: "loss, nats per character" }, ...worthSeeing(curves) },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      hovermode: "x unified",
      hoverlabel: { bgcolor: colour("--paper-raised"), font: { color: colour("--ink") } },
    },
    { doubleClick: "reset+autosize" },
  );
}

/**
 * An untrained model's loss is so high that it would press all else together.
 * @param {{ run: RunWithHistory }[]} curves
 * @returns {{ range?: [number, number] }} from the lowest loss to the highest of trained models
 */
function worthSeeing(curves) {
  const losses = curves
    .flatMap(({ run }) =>
      run.metrics.length > 2 ? run.metrics.filter(({ step }) => step > 0) : run.metrics,
    )
    .flatMap(({ train_loss, val_loss }) => [train_loss, val_loss]);
  if (!losses.length) return {};
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const space = 0.05 * (high - low) || 0.1;
  return { range: [low - space, high + space] };
}

/**
 * @param {RunWithHistory} run
 * @param {number} number
 * @param {Axes} axes
 * @param {"train_loss" | "val_loss"} loss
 */
function trace(run, number, { byTime, logX }, loss) {
  const metrics = run.metrics.filter((metric) => !logX || metric.step > 0);
  const validation = loss === "val_loss";
  return {
    type: "scatter",
    mode: metrics.length > 1 ? "lines" : "markers",
    name: validation ? run.title : `${run.title}, training`,
    showlegend: validation,
    legendgroup: run.id,
    x: metrics.map((metric) => (byTime ? metric.elapsed_s / 60 : metric.step)),
    y: metrics.map((metric) => metric[loss]),
    line: {
      color: colour(`--run-${(number % 7) + 1}`),
      width: validation ? 2.2 : 1.2,
      dash: validation ? DASHES[Math.floor(number / 2) % DASHES.length] : "dot",
    },
    hovertemplate: "%{y:.4f}",
  };
}
