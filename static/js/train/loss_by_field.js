// What one setting of a sweep does to the loss: a point for each run.
import { asWritten, colour, draw } from "../plotly.js";
import { fieldName } from "./sweep_table.js";

/**
 * @typedef {import("./parallel.js").Scored} Scored
 * @typedef {import("./field_axis.js").FieldAxis} FieldAxis
 */

const ROOM = 0.12;

/**
 * @param {HTMLElement} element
 * @param {string} field
 * @param {FieldAxis} axis of its values
 * @param {Scored[]} entries best first
 */
export async function drawLossByField(element, field, axis, entries) {
  const places = entries.map(({ values }) => axis.place(values[field]));
  const grid = { gridcolor: colour("--line"), zeroline: false, linecolor: colour("--line-strong") };
  const [low, high] = axis.range;
  const room = ROOM * (high - low) || 0.5;
  await draw(element, [envelope(places, entries), points(places, entries)], {
    margin: { l: 52, r: 12, t: 8, b: 44 },
    xaxis: {
      ...grid,
      range: [low - room, high + room],
      fixedrange: true,
      title: { text: axis.log ? `${fieldName(field)}, logarithmic` : fieldName(field) },
      tickangle: 0,
      tickvals: axis.ticks.map(({ at }) => at),
      ticktext: axis.ticks.map(({ text }) => text),
    },
    yaxis: { ...grid, fixedrange: true, nticks: 6 },
    showlegend: false,
    dragmode: false,
    hovermode: "closest",
    hoverlabel: { bgcolor: colour("--paper-raised"), font: { color: colour("--ink") } },
  });
}

/**
 * The best that was reached with each value; nothing where no two runs share one.
 * @param {number[]} places
 * @param {Scored[]} entries best first
 */
function envelope(places, entries) {
  const best = new Map(places.map((at) => [at, entries[places.indexOf(at)].val_loss]));
  const shared = best.size < places.length;
  const along = shared ? [...best].sort(([a], [b]) => a - b) : [];
  return {
    type: "scatter",
    mode: "lines",
    x: along.map(([at]) => at),
    y: along.map(([, loss]) => loss),
    line: { color: colour("--line-strong"), width: 1, dash: "dot" },
    hoverinfo: "skip",
  };
}

/** @param {number[]} places @param {Scored[]} entries best first */
function points(places, entries) {
  return {
    type: "scatter",
    mode: "markers",
    x: places,
    y: entries.map(({ val_loss }) => val_loss),
    text: entries.map(({ job }) => asWritten(job.title || job.run_id).replace(": ", ":<br>")),
    hovertemplate: "%{text}<br>validation loss %{y:.4f}<extra></extra>",
    marker: {
      color: entries.map((_, i) => colour(i === 0 ? "--run-1" : "--run-2")),
      size: entries.map((_, i) => (i === 0 ? 13 : 9)),
      symbol: entries.map((_, i) => (i === 0 ? "star" : "circle")),
      line: { color: colour("--paper"), width: 1 },
    },
  };
}
