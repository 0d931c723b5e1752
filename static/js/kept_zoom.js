// A figure's range follows its data, but not under the hands of a person who has zoomed.

/** @type {WeakMap<HTMLElement, { axis: string, range: [number, number] }>} */
const given = new WeakMap();

/**
 * Plotly keeps what a person has zoomed to for as long as it is given the range that it was given
 * before.
 * @param {HTMLElement} element of the figure
 * @param {string} axis what its y axis shows; a new one begins anew
 * @param {[number, number]} range that the data ask for
 * @returns {[number, number]} the one to give to Plotly
 */
export function rangeToGive(element, axis, range) {
  const before = given.get(element);
  const figure = /** @type {Partial<import("./plotly.js").Figure>} */ (element);
  const now = figure.layout?.yaxis.range ?? [];
  const zoomed = before?.range.some((end, i) => end !== now[i]);
  if (before?.axis === axis && zoomed) return [...before.range];
  given.set(element, { axis, range });
  return [...range];
}
