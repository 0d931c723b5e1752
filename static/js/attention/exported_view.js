// The page that an export carries within itself: it imports nothing and loads nothing, so that it
// opens from a disk, years later. What it shows stands in the script element "exported".
/**
 * @typedef {object} Exported
 * @property {string} title
 * @property {[name: string, value: string][]} facts
 * @property {string[]} tokens as they are shown
 * @property {number} columns heads of each layer
 * @property {string[]} names of the maps, by layer, then by head
 * @property {string[]} labels the same in short
 * @property {number} largest what byte 255 stands for; byte b: largest (b/255)²
 * @property {number[]} shades for each byte its place among 256 colours
 * @property {string} triangles base64: each map's lower triangle, row by row, one byte for each number
 * @property {number} chosen which of the maps `exact` is, and which is shown first
 * @property {string} exact base64: its lower triangle, little-endian float32
 *
 * @typedef {{ query: number, key: number }} Cell
 */

/** @type {Exported} */
const data = JSON.parse(document.getElementById("exported")?.textContent ?? "");
const T = data.tokens.length;
const SIZE = (T * (T + 1)) / 2;
const STOPS = [0, 1, 2, 3, 4];
const LABELLED = 24; // pixels left of the map, and above it, for the tokens
const LABEL_EVERY = 13; // pixels from one to the next, at least

const triangles = bytesOf(data.triangles);
const exact = floatsOf(data.exact);
let chosen = data.chosen;
/** @type {Cell | null} */
let cell = null;

const grid = make("div", "exported-grid", { role: "group", "aria-label": "Every head" });
const heading = make("h2", "exported-heading");
const map = /** @type {HTMLCanvasElement} */ (
  make("canvas", "exported-map", {
    tabindex: "0",
    role: "application",
    "aria-label": "Map: rows are queries, columns are keys; arrow keys move",
  })
);
const readout = make("p", "exported-readout", { role: "status" });
const strip = make("p", "exported-strip");

function start() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  document.documentElement.dataset.theme = system.matches ? "dark" : "light";
  const theme = make("button", "exported-theme", { type: "button" }, "Light or dark");
  theme.addEventListener("click", () => {
    const { dataset } = document.documentElement;
    dataset.theme = dataset.theme === "dark" ? "light" : "dark";
    paintAll();
  });
  const facts = make("dl", "exported-facts");
  for (const [name, value] of data.facts)
    facts.append(make("dt", "", {}, name), make("dd", "", {}, value));
  const figure = make("section", "exported-figure");
  figure.append(heading, map, readout, strip);
  const columns = make("div", "exported-columns");
  columns.append(grid, figure);
  const header = make("header", "exported-header");
  header.append(make("h1", "", {}, data.title), theme);
  document.getElementById("view")?.append(header, facts, columns);
  buildGrid();
  buildStrip();
  listen();
  choose(chosen);
  paintAll();
}

// The maps

/** @param {number} index of a map */
function triangle(index) {
  return triangles.subarray(index * SIZE, (index + 1) * SIZE);
}

/** @param {Cell} at @returns {number} its weight in the map that is shown */
function weight({ query, key }) {
  const place = (query * (query + 1)) / 2 + key;
  if (chosen === data.chosen) return exact[place];
  return data.largest * (triangle(chosen)[place] / 255) ** 2;
}

/** @returns {Uint32Array} a canvas's pixel for each byte */
function palette() {
  const style = getComputedStyle(document.documentElement);
  const stops = STOPS.map((i) => style.getPropertyValue(`--map-${i}`).trim());
  const points = stops.map((hex) =>
    [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)),
  );
  const mixed = new Uint8ClampedArray(4 * 256).fill(255);
  for (let shade = 0; shade < 256; shade++) {
    const place = (shade / 255) * (STOPS.length - 1);
    const below = Math.min(Math.floor(place), STOPS.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const [from, to] = [points[below][channel], points[below + 1][channel]];
      mixed[4 * shade + channel] = from + (to - from) * (place - below);
    }
  }
  const pixels = new Uint32Array(mixed.buffer);
  return Uint32Array.from(data.shades, (shade) => pixels[shade]);
}

/**
 * @param {HTMLCanvasElement} canvas becomes T by T pixels
 * @param {number} index of a map
 * @param {Uint32Array} colours
 */
function paint(canvas, index, colours) {
  canvas.width = canvas.height = T;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(T, T);
  const pixels = new Uint32Array(image.data.buffer).fill(colours[0]);
  const values = triangle(index);
  let at = 0;
  for (let query = 0; query < T; query++)
    for (let key = 0; key <= query; key++) pixels[query * T + key] = colours[values[at++]];
  context.putImageData(image, 0, 0);
}

function paintAll() {
  const colours = palette();
  grid.querySelectorAll("canvas").forEach((canvas, i) => paint(canvas, i, colours));
  paintMap();
}

// The chosen one

/** @returns {{ size: number, step: number }} of the canvas and of a cell, in its pixels */
function measures() {
  const size = Math.max(200, Math.round(map.clientWidth * devicePixelRatio));
  return { size, step: (size - LABELLED * devicePixelRatio) / T };
}

function paintMap() {
  const { size, step } = measures();
  const margin = LABELLED * devicePixelRatio;
  map.width = map.height = size;
  const context = /** @type {CanvasRenderingContext2D} */ (map.getContext("2d"));
  const small = document.createElement("canvas");
  paint(small, chosen, palette());
  context.imageSmoothingEnabled = false;
  context.drawImage(small, margin, margin, size - margin, size - margin);
  const style = getComputedStyle(map);
  context.fillStyle = style.color;
  context.font = `${11 * devicePixelRatio}px monospace`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const every = Math.ceil((LABEL_EVERY * devicePixelRatio) / step);
  for (let i = 0; i < T; i += every) {
    const middle = margin + (i + 0.5) * step;
    context.fillText(data.tokens[i], margin / 2, middle, margin);
    context.fillText(data.tokens[i], middle, margin / 2, every * step);
  }
  if (!cell) return;
  context.strokeStyle = style.outlineColor;
  context.lineWidth = 1.5 * devicePixelRatio;
  context.strokeRect(margin, margin + cell.query * step, size - margin, step);
  context.strokeRect(margin + cell.key * step, margin, step, size - margin);
}

/** @param {number} index */
function choose(index) {
  chosen = index;
  heading.textContent = data.names[index];
  grid.querySelectorAll("button").forEach((button, i) => {
    button.setAttribute("aria-pressed", String(i === index));
    button.tabIndex = i === index ? 0 : -1;
  });
  paintMap();
  describe();
}

/** @param {Cell} to */
function move({ query, key }) {
  const row = Math.min(T - 1, Math.max(0, query));
  cell = { query: row, key: Math.min(T - 1, Math.max(0, key)) };
  paintMap();
  describe();
}

function describe() {
  const spans = /** @type {NodeListOf<HTMLElement>} */ (strip.querySelectorAll("span"));
  const at = cell;
  if (!at) {
    readout.textContent = "Point at a cell, or move with the arrow keys.";
    return;
  }
  spans.forEach((span, key) => {
    const byte = triangle(chosen)[(at.query * (at.query + 1)) / 2 + key];
    span.style.setProperty("--share", `${key <= at.query ? data.shades[byte] / 2.55 : 0}%`);
    span.classList.toggle("is-query", key === at.query);
  });
  const name = (/** @type {number} */ i) => `'${data.tokens[i]}' (${i})`;
  const about = chosen === data.chosen ? "" : "about ";
  const value = at.key > at.query ? "not seen yet" : about + weight(at).toFixed(about ? 3 : 6);
  readout.textContent = `query ${name(at.query)} → key ${name(at.key)}: ${value}`;
}

// What is pressed and pointed at

function listen() {
  map.addEventListener("pointermove", ({ offsetX, offsetY }) => {
    const step = (map.clientWidth - LABELLED) / T;
    const place = (/** @type {number} */ pixels) => Math.floor((pixels - LABELLED) / step);
    if (place(offsetX) >= 0 && place(offsetY) >= 0)
      move({ query: place(offsetY), key: place(offsetX) });
  });
  map.addEventListener("keydown", (event) => {
    const step = arrow(event);
    if (!step) return;
    const from = cell ?? { query: T - 1, key: T - 1 };
    const query = Math.min(T - 1, Math.max(0, from.query + step[0]));
    move({ query, key: Math.min(query, from.key + step[1]) });
  });
  grid.addEventListener("keydown", (event) => {
    const step = arrow(event);
    const next = chosen + (step ? step[0] * data.columns + step[1] : 0);
    if (!step || next < 0 || next >= data.names.length) return;
    choose(next);
    grid.querySelectorAll("button")[next].focus();
  });
  addEventListener("resize", paintMap);
}

/** @param {KeyboardEvent} event */
function arrow(event) {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const step = /** @type {Record<string, number[]>} */ (steps)[event.key];
  if (step) event.preventDefault();
  return step;
}

function buildGrid() {
  grid.style.setProperty("--columns", String(data.columns));
  data.names.forEach((name, i) => {
    const button = make("button", "exported-head", { type: "button", "aria-label": name });
    const label = make("span", "", { "aria-hidden": "true" }, data.labels[i]);
    button.append(document.createElement("canvas"), label);
    button.addEventListener("click", () => choose(i));
    grid.append(button);
  });
}

function buildStrip() {
  data.tokens.forEach((token, i) => {
    const span = make("span", "", {}, token);
    span.addEventListener("pointerover", () => move({ query: i, key: i }));
    strip.append(span, document.createElement("wbr"));
  });
}

/**
 * @param {string} name
 * @param {string} className
 * @param {Record<string, string>} [attributes]
 * @param {string} [words]
 */
function make(name, className, attributes = {}, words = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = words;
  return element;
}

/** @param {string} base64 */
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** @param {string} base64 */
function floatsOf(base64) {
  const bytes = bytesOf(base64);
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

start();

export {};
