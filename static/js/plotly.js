// The only module that touches Plotly. It is 4.8 MB, so it is loaded when the first figure is drawn.

import { shortened } from "./short_text.js";

/** @typedef {Record<string, unknown>} Json */

/**
 * @typedef {object} Plotly what is used of it
 * @property {(element: HTMLElement, data: Json[], layout: Json, config: Json) => Promise<unknown>} react
 * @property {(figure: Json, options: Json) => Promise<string>} toImage
 * @property {(element: HTMLElement) => Promise<unknown>} redraw
 * @property {{ resize: (element: HTMLElement) => Promise<unknown> }} Plots
 */

/**
 * @typedef {HTMLElement & {
 *   on: (name: string, listener: (event: any) => void) => void,
 *   data: Json[],
 *   layout: { xaxis: { range: [number, number] }, yaxis: { range: [number, number] } },
 * }} Figure an element that has been drawn on
 */

const FONT_SIZE = 13;
/** A name in a figure takes no more than this, in pixels: on a phone it still has a line's room. */
const NAME_WIDTH = 220;

const CONFIG = { displayModeBar: false, doubleClick: "reset" };

/** @type {Promise<Plotly> | null} */
let loading = null;

/** @type {WeakSet<HTMLElement>} those that already follow their element's size */
const fitted = new WeakSet();

/**
 * Draw, or draw anew, a figure on an element.
 * @param {HTMLElement} element
 * @param {Json[]} data traces
 * @param {Json} layout
 * @param {Json} [config]
 * @returns {Promise<Figure>}
 */
export async function draw(element, data, layout, config = {}) {
  const plotly = await load();
  await plotly.react(element, data, { ...themed(), ...layout }, { ...CONFIG, ...config });
  if (!fitted.has(element)) {
    fitted.add(element);
    new ResizeObserver(() => fit(element, plotly)).observe(element);
  }
  return /** @type {Figure} */ (element);
}

/**
 * Plotly itself only follows the window, not a column that becomes narrower.
 * @param {HTMLElement} element
 * @param {Plotly} plotly
 */
async function fit(element, plotly) {
  if (element.clientWidth === 0) return; // hidden: Plotly refuses to draw there
  await plotly.Plots.resize(element);
  // It leaves a legend above a figure where the old size had it, until all is drawn once more.
  if (element.querySelector(".legend")) await plotly.redraw(element);
}

/**
 * A picture that need not be on the page.
 * @param {Json[]} data traces
 * @param {Json} layout
 * @param {{ format: "png" | "svg", width: number, height: number }} options in pixels, a PNG at
 *   twice the density
 * @returns {Promise<Blob>}
 */
export async function picture(data, layout, { format, width, height }) {
  const options = { format, width, height, scale: format === "png" ? 2 : 1 };
  const figure = { data, layout: { ...themed(), ...layout }, config: CONFIG };
  const address = await (await load()).toImage(figure, options);
  const [, content] = address.split(/,(.*)/s);
  if (format === "svg") return new Blob([decodeURIComponent(content)], { type: "image/svg+xml" });
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}

/**
 * Plotly reads tags in the texts that it is given: a link in a title would become one.
 * @param {string} text
 * @returns {string} of which Plotly makes that text, letter by letter
 */
export function asWritten(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/**
 * @param {string} name of any length
 * @param {number} [room] in pixels, where there is less than usual
 * @returns {string} as much of it as a figure has room for, as Plotly is to be given it
 */
export function asName(name, room = NAME_WIDTH) {
  const width = Math.min(room, NAME_WIDTH);
  return asWritten(shortened(name, width, `${FONT_SIZE}px ${fontFamily()}`));
}

/**
 * @param {string} name of a custom property, such as "--ink"
 * @returns {string} its value in the theme of the moment
 */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** @returns {Promise<Plotly>} */
function load() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.querySelector("meta[name=plotly-src]")?.getAttribute("content") ?? "";
    script.onload = () =>
      resolve(/** @type {{ Plotly: Plotly }} */ (/** @type {unknown} */ (window)).Plotly);
    script.onerror = () => {
      loading = null;
      script.remove();
      reject(new Error("The figures' library could not be loaded. Is the server still running?"));
    };
    document.head.append(script);
  });
  return loading;
}

/** @returns {Json} the layout that every figure shares */
function themed() {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: fontFamily(), size: FONT_SIZE, color: colour("--ink-soft") },
  };
}

function fontFamily() {
  return getComputedStyle(document.body).fontFamily;
}
