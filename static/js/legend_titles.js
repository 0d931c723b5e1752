// A figure's legend cuts names short: each is told whole to whoever points at it.

const SVG = "http://www.w3.org/2000/svg";

/** @type {WeakMap<HTMLElement, string[]>} */
const whole = new WeakMap();

/**
 * @param {import("./plotly.js").Figure} figure that has been drawn
 * @param {string[]} names one for each entry of its legend, in their order
 */
export function tellNames(figure, names) {
  // Plotly makes a legend anew as it likes, such as when a figure becomes narrower.
  if (!whole.has(figure)) figure.on("plotly_afterplot", () => write(figure));
  whole.set(figure, names);
  write(figure);
}

/** @param {HTMLElement} figure */
function write(figure) {
  const names = whole.get(figure) ?? [];
  figure.querySelectorAll(".legend .traces").forEach((entry, i) => {
    const there = entry.querySelector("title");
    const title = there ?? entry.appendChild(document.createElementNS(SVG, "title"));
    title.textContent = names[i] ?? "";
  });
}
