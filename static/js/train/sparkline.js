// A small line without axes, beside a number.

const WIDTH = 100;
const HEIGHT = 24;
const MOST_POINTS = 200;

/**
 * @param {Element} svg
 * @param {number[]} values in order, evenly spaced
 */
export function drawSparkline(svg, values) {
  const stride = Math.ceil(values.length / MOST_POINTS);
  const shown = values.filter((_, i) => i % stride === 0 || i === values.length - 1);
  svg.setAttribute("viewBox", `0 -1 ${WIDTH} ${HEIGHT + 2}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.toggleAttribute("hidden", shown.length < 2);
  if (shown.length < 2) return svg.replaceChildren();
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", points(shown));
  line.setAttribute("vector-effect", "non-scaling-stroke");
  svg.replaceChildren(line);
}

/** @param {number[]} values */
function points(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const height = (/** @type {number} */ value) =>
    high > low ? HEIGHT * (1 - (value - low) / (high - low)) : HEIGHT / 2;
  const x = (/** @type {number} */ i) => (i * WIDTH) / (values.length - 1);
  return values.map((value, i) => `${x(i).toFixed(1)},${height(value).toFixed(1)}`).join(" ");
}
