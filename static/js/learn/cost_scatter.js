// Minutes of training against validation loss, a point for each run: drawn at once, also on paper.
import { runColourName } from "../run_look.js";
import { costDots } from "../runs/cost_figure.js";
import { labelPlaces } from "../runs/label_places.js";
import { evenScale, logScale, svg } from "./axes.js";

/**
 * @typedef {import("../api.js").Run} Run
 * @typedef {import("../runs/cost_gain.js").Outcome} Outcome
 * @typedef {import("../runs/cost_figure.js").Dot} Dot
 * @typedef {import("./axes.js").Scale} Scale
 * @typedef {{ logX: boolean, numberOf: (run: Run) => number }} Look
 */

/** In pixels; below the plot are the ticks and what is measured. */
const HEIGHT = 340;
const TOP = 24;
const BOTTOM = 46;
const LEFT = 44;
const RIGHT = 12;
const NARROWEST = 280;
const TICK_WIDTH = 64;
const LOSS_STEPS = 6;
/** Room around the points, as a share of their span. */
const ROOM = 0.12;
/** How far from its point a label begins. */
const GAP = 8;

export class CostScatter {
  #element;
  #draw = () => {};
  #width = 0;

  /** @param {HTMLElement} element gets the figure, and a new one when its width changes */
  constructor(element) {
    this.#element = element;
    element.classList.add("cost-scatter");
    new ResizeObserver(() => {
      if (this.#measured() !== this.#width) this.#draw();
    }).observe(element);
  }

  /**
   * @param {readonly Outcome[]} outcomes
   * @param {Run} reference with a line through it both ways
   * @param {Look} look
   */
  show(outcomes, reference, look) {
    this.#draw = () => {
      this.#width = this.#measured();
      const { dots, measure } = costDots(outcomes, reference, look);
      const image = dots.length ? picture(dots, reference, measure, look.logX, this.#width) : "";
      this.#element.replaceChildren(image);
    };
    this.#draw();
  }

  #measured() {
    return Math.max(NARROWEST, Math.floor(this.#element.clientWidth));
  }
}

/**
 * @param {Dot[]} dots at least one
 * @param {Run} reference
 * @param {string} measure
 * @param {boolean} logX
 * @param {number} width
 */
function picture(dots, reference, measure, logX, width) {
  const plot = { width: width - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM };
  const scales = { x: minutesScale(dots, logX, plot.width), y: lossScale(dots) };
  const x = (/** @type {number} */ value) => LEFT + plot.width * scales.x.share(value);
  const y = (/** @type {number} */ value) => TOP + plot.height * (1 - scales.y.share(value));
  const image = svg("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    role: "img",
    "aria-label":
      "Minutes of training against validation loss; the sentences beside it say the same",
  });
  image.append(...frame(scales, plot, x, y, measure));
  const origin = dots.find(({ run }) => run === reference);
  if (origin) image.append(crosshair(x(origin.x), y(origin.y), plot));
  const points = dots.map((dot) => ({ x: x(dot.x), y: y(dot.y), text: dot.run.title }));
  const inside = points.map((point) => ({ ...point, x: point.x - LEFT, y: point.y - TOP }));
  const places = labelPlaces(inside, plot);
  dots.forEach((dot, i) => {
    image.append(pointOf(dot, points[i], places[i], dot === origin));
  });
  return image;
}

/**
 * @param {Dot[]} dots
 * @param {boolean} log
 * @param {number} width
 * @returns {Scale}
 */
function minutesScale(dots, log, width) {
  const minutes = dots.map((dot) => dot.x);
  const most = Math.max(...minutes) || 1;
  const room = Math.max(2, Math.floor(width / TICK_WIDTH));
  if (log) return logScale(Math.min(...minutes), most, room);
  return evenScale(0, most * (1 + ROOM));
}

/** @param {Dot[]} dots @returns {Scale} */
function lossScale(dots) {
  const losses = dots.map((dot) => dot.y);
  const [least, most] = [Math.min(...losses), Math.max(...losses)];
  const space = ROOM * (most - least) || 0.1;
  return evenScale(least - space, most + space, LOSS_STEPS);
}

/**
 * @param {{ x: Scale, y: Scale }} scales
 * @param {{ width: number, height: number }} plot
 * @param {(value: number) => number} x
 * @param {(value: number) => number} y
 * @param {string} measure
 */
function frame(scales, plot, x, y, measure) {
  const bottom = TOP + plot.height;
  return [
    ...scales.y.ticks.flatMap((tick) => [
      svg("path", { class: "grid", d: `M${LEFT} ${y(tick)}h${plot.width}` }),
      word(scales.y.text(tick), { class: "tick", x: LEFT - 6, y: y(tick), "text-anchor": "end" }),
    ]),
    ...scales.x.ticks.flatMap((tick) => [
      svg("path", { class: "grid", d: `M${x(tick)} ${TOP}v${plot.height}` }),
      word(scales.x.text(tick), {
        class: "tick",
        x: x(tick),
        y: bottom + 14,
        "text-anchor": "middle",
      }),
    ]),
    word(`validation loss, ${measure}`, { class: "tick", x: 0, y: 10 }),
    word("minutes of training", {
      class: "tick",
      x: LEFT + plot.width / 2,
      y: HEIGHT - 8,
      "text-anchor": "middle",
    }),
  ];
}

/**
 * What lies left of it and below was cheaper and better.
 * @param {number} x
 * @param {number} y
 * @param {{ width: number, height: number }} plot
 */
function crosshair(x, y, plot) {
  const d = `M${x} ${TOP}v${plot.height}M${LEFT} ${y}h${plot.width}`;
  return svg("path", { class: "crosshair", d });
}

/**
 * @param {Dot} dot
 * @param {{ x: number, y: number }} at
 * @param {string | null} place of its label; null for none
 * @param {boolean} isReference
 */
function pointOf(dot, { x, y }, place, isReference) {
  const group = svg("g", { class: "point" });
  group.style.setProperty("--run", `var(${runColourName(dot.number)})`);
  const mark = isReference
    ? svg("path", { class: "mark", d: `M${x} ${y - 8}l8 8l-8 8l-8 -8z` })
    : svg("circle", { class: "mark", cx: x, cy: y, r: 5 });
  mark.append(word(dot.words, {}, "title"));
  group.append(mark);
  if (place) group.append(word(dot.run.title, { class: "label", ...beside(x, y, place) }));
  return group;
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} place "middle right", "top center", …
 */
function beside(x, y, place) {
  const [height, side] = place.split(" ");
  const [dx, anchor] =
    side === "right" ? [GAP, "start"] : side === "left" ? [-GAP, "end"] : [0, "middle"];
  const dy = height === "top" ? -2 * GAP : height === "bottom" ? 2 * GAP : 0;
  return { x: x + dx, y: y + dy, "text-anchor": anchor };
}

/**
 * @param {string} text
 * @param {Record<string, string | number>} attributes
 * @param {string} [name]
 */
function word(text, attributes, name = "text") {
  const element = svg(name, attributes);
  element.textContent = text;
  return element;
}
