// Where each label of a scatter figure goes, so that none lies over another.

/**
 * @typedef {{ x: number, y: number, text: string }} Point in pixels, y downwards
 * @typedef {{ left: number, right: number, top: number, bottom: number }} Box
 */

const LETTER = 7;
const HEIGHT = 16;
const GAP = 7;
const RADIUS = 5;

/** From the best place to the worst, each as Plotly names it, with the box it gives. */
const PLACES = /** @type {const} */ ([
  ["middle right", 0, -0.5],
  ["top center", -0.5, -1],
  ["bottom center", -0.5, 0],
  ["middle left", -1, -0.5],
  ["top right", 0, -1],
  ["bottom right", 0, 0],
  ["top left", -1, -1],
  ["bottom left", -1, 0],
]);

/** Boxes are a little larger than their letters: so much of one may lie over another. */
const MOST_OVERLAP = 0.05;

/** Each label may move again once the others have found their places. */
const ROUNDS = 4;

/**
 * @param {readonly Point[]} points
 * @param {{ width: number, height: number }} size of the figure
 * @returns {(string | null)[]} a place for each label, as Plotly names it; null where there is no
 *   room for it, the first of the points coming first
 */
export function labelPlaces(points, size) {
  const marks = points.map(mark);
  /** @type {number[]} */
  const chosen = [];
  for (let round = 0; round < ROUNDS; round++) {
    points.forEach((point, own) => {
      const labels = chosen.map((place, i) => boxAt(points[i], place));
      const others = [...marks, ...labels].filter((_, i) => i % points.length !== own);
      const costs = PLACES.map((_, place) => {
        const box = boxAt(point, place);
        return outside(box, size) + others.reduce((sum, other) => sum + overlap(box, other), 0);
      });
      chosen[own] = costs.indexOf(Math.min(...costs));
    });
  }
  return legible(points, chosen).map((fits, i) => (fits ? PLACES[chosen[i]][0] : null));
}

/**
 * @param {readonly Point[]} points
 * @param {number[]} places an index of PLACES for each
 * @returns {boolean[]} whether a label can be read beside those before it, and hides no point
 */
function legible(points, places) {
  const kept = points.map(mark);
  return points.map((point, own) => {
    const box = boxAt(point, places[own]);
    const others = kept.filter((_, i) => i !== own);
    const fits = others.every(
      (other) => overlap(box, other) < MOST_OVERLAP * Math.min(area(box), area(other)),
    );
    if (fits) kept.push(box);
    return fits;
  });
}

/** @param {Point} point @param {number} place an index of PLACES */
function boxAt(point, place) {
  const [, dx, dy] = PLACES[place];
  return labelBox(point, dx, dy);
}

/**
 * @param {Point} point
 * @param {number} dx how many of its widths the label's left edge lies to the right of the point
 * @param {number} dy how many of its heights its top lies below it
 * @returns {Box}
 */
function labelBox({ x, y, text }, dx, dy) {
  const width = LETTER * text.length;
  const left = x + dx * width + GAP * Math.sign(dx + 0.5);
  const top = y + dy * HEIGHT + GAP * Math.sign(dy + 0.5);
  return { left, right: left + width, top, bottom: top + HEIGHT };
}

/** @param {Point} point @returns {Box} what its marker covers */
function mark({ x, y }) {
  return { left: x - RADIUS, right: x + RADIUS, top: y - RADIUS, bottom: y + RADIUS };
}

/** @param {Box} a @param {Box} b @returns {number} the area they share */
function overlap(a, b) {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return Math.max(0, width) * Math.max(0, height);
}

/** @param {Box} box @param {{ width: number, height: number }} size @returns {number} its area that is cut off */
function outside(box, { width, height }) {
  const inside = overlap(box, { left: 0, right: width, top: 0, bottom: height });
  return area(box) - inside;
}

/** @param {Box} box */
function area({ left, right, top, bottom }) {
  return (right - left) * (bottom - top);
}
