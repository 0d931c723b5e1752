// One drawing for all kinds of attention: where queries, keys and values come from, and who may
// meet whom. What differs between the kinds has the class `differs`.

/**
 * @typedef {object} Diagram
 * @property {string} says the drawing in a sentence
 * @property {[string, string]} from what queries come from; what keys and values come from
 * @property {[string, string]} texts in these
 * @property {boolean} same whether both are one text
 * @property {string} mask in a word
 * @property {[string, string]} size of the weights: queries, keys
 * @property {number[][]} weights
 * @property {boolean[][]} masked
 */

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [320, 392];
/** the frame that the weights are drawn in */
const MAP = { left: 96, top: 116, size: 128 };
const COLUMNS = { q: 64, k: 176, v: 272 };

/**
 * @param {Diagram} diagram
 * @returns {SVGSVGElement}
 */
export function attentionDiagram(diagram) {
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "diagram", role: "img" });
  const title = draw("title", {});
  title.textContent = diagram.says;
  svg.append(title, ...sources(diagram), ...projections(), ...meeting(diagram), ...result());
  return /** @type {SVGSVGElement} */ (svg);
}

/** @param {Diagram} diagram the texts at the bottom, one box or two */
function sources({ from, texts, same }) {
  const top = 344;
  /** @type {[left: number, width: number, name: string, text: string][]} */
  const boxes = same
    ? [[8, 304, from[0], texts[0]]]
    : [
        [8, 112, from[0], texts[0]],
        [136, 176, from[1], texts[1]],
      ];
  return boxes.flatMap(([left, width, name, text]) => [
    box(left, top, width, 44, "differs"),
    label(left + width / 2, top + 18, name),
    label(left + width / 2, top + 36, shortened(text, width), undefined, "token"),
  ]);
}

/** @param {string} text @param {number} width of its box */
function shortened(text, width) {
  const most = Math.floor(width / 8);
  return text.length > most ? `…${text.slice(1 - most)}` : text;
}

/** The three matrices, and the ways to them and from them. */
function projections() {
  const top = 290;
  return /** @type {const} */ (["q", "k", "v"]).flatMap((name) => {
    const x = COLUMNS[name];
    return [
      arrow(x, 344, x, top + 28),
      box(x - 26, top, 52, 26, "matrix-box"),
      label(x, top + 18, "W", name.toUpperCase()),
    ];
  });
}

/** @param {Diagram} diagram queries and keys meet in the weights */
function meeting({ weights, masked, mask, size: [queries, keys] }) {
  const { left, top, size } = MAP;
  const below = top + size;
  const middle = left + size / 2;
  return [
    line(`M ${COLUMNS.q} 290 V ${top + size / 2} H ${left - 8}`, true),
    label(COLUMNS.q - 12, 276, "q"),
    arrow(COLUMNS.k, 290, COLUMNS.k, below + 24),
    label(COLUMNS.k - 12, 276, "k"),
    label(middle, below + 17, keys, undefined, "size differs"),
    label(left - 50, top + size / 2 - 8, queries, undefined, "size differs"),
    box(left - 2, top - 2, size + 4, size + 4, "map-frame"),
    ...cells(weights, masked),
    label(middle, top - 12, `softmax, ${mask}`, undefined, "differs"),
  ];
}

/** The weighted sum of the values. */
function result() {
  const { left, top, size } = MAP;
  const middle = left + size / 2;
  const circle = draw("circle", { cx: middle, cy: 62, r: 15, class: "box" });
  return [
    arrow(middle, top - 28, middle, 79),
    line(`M ${COLUMNS.v} 290 V 62 H ${middle + 18}`, true),
    label(COLUMNS.v + 12, 276, "v"),
    circle,
    label(middle, 68, "Σ"),
    arrow(middle, 46, middle, 26),
    label(middle, 18, "outputs, one for each query"),
  ];
}

/** @param {number[][]} weights @param {boolean[][]} masked */
function cells(weights, masked) {
  const { left, top, size } = MAP;
  const columns = weights[0].length;
  const side = Math.min(size / columns, size / weights.length);
  const [x0, y0] = [left + (size - side * columns) / 2, top + (size - side * weights.length) / 2];
  return weights.flatMap((row, i) =>
    row.map((weight, j) => {
      const place = { x: x0 + j * side, y: y0 + i * side, width: side, height: side };
      const cell = draw("rect", { ...place, class: masked[i][j] ? "masked-cell" : "weight-cell" });
      if (!masked[i][j]) cell.style.setProperty("--share", `${(100 * weight).toFixed(1)}%`);
      return cell;
    }),
  );
}

/**
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 * @param {string} kind
 */
function box(x, y, width, height, kind) {
  return draw("rect", { x, y, width, height, rx: 6, class: `box ${kind}` });
}

/** @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
function arrow(x1, y1, x2, y2) {
  return line(`M ${x1} ${y1} L ${x2} ${y2}`, true);
}

/** @param {string} path @param {boolean} pointed */
function line(path, pointed) {
  const whole = draw("g", { class: "way" });
  whole.append(draw("path", { d: path }));
  if (pointed) whole.append(draw("path", { d: headOf(path), class: "point" }));
  return whole;
}

/** @param {string} path @returns {string} a triangle at its end, pointing where it goes */
function headOf(path) {
  const steps = [...path.matchAll(/([MLHV]) ([\d.]+)(?: ([\d.]+))?/g)];
  let [x, y, dx, dy] = [0, 0, 0, 0];
  for (const [, kind, first, second] of steps) {
    const [a, b] = [Number(first), Number(second)];
    const next = kind === "H" ? [a, y] : kind === "V" ? [x, a] : [a, b];
    [dx, dy] = [Math.sign(next[0] - x), Math.sign(next[1] - y)];
    [x, y] = next;
  }
  const [bx, by] = [x - 7 * dx, y - 7 * dy];
  return `M ${x} ${y} L ${bx + 4 * dy} ${by + 4 * dx} L ${bx - 4 * dy} ${by - 4 * dx} Z`;
}

/**
 * @param {number} x its middle
 * @param {number} y
 * @param {string} words
 * @param {string} [below] a small letter at its foot
 * @param {string} [kind]
 */
function label(x, y, words, below, kind = "") {
  const text = draw("text", { x, y, class: kind });
  text.textContent = words;
  if (below !== undefined) {
    const foot = draw("tspan", { dy: 4, class: "foot" });
    foot.textContent = below;
    text.append(foot);
  }
  return text;
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function draw(name, attributes) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG, name));
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
