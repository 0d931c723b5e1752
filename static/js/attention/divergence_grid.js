// Layers x heads, each with how much it differs from the head that it is compared with.

/** @typedef {import("../attention_api.js").HeadPair} HeadPair */

export class DivergenceGrid {
  #element;
  /** @type {HeadPair[]} */
  #pairs = [];
  /** @type {HTMLButtonElement[]} */
  #buttons = [];

  /**
   * @param {HTMLElement} element
   * @param {(pair: HeadPair) => void} onChoose
   */
  constructor(element, onChoose) {
    this.#element = element;
    element.addEventListener("click", ({ target }) => {
      const at = this.#buttons.findIndex((button) => button.contains(/** @type {Node} */ (target)));
      if (at >= 0) onChoose(this.#pairs[at]);
    });
  }

  /**
   * @param {HeadPair[]} pairs by layer, then by head
   * @param {boolean} matched whether each is with the head that it is most like, to be named
   */
  show(pairs, matched) {
    this.#pairs = pairs;
    const heads = pairs.filter(({ a: [layer] }) => layer === 0).length;
    const most = Math.max(...pairs.map(({ divergence }) => divergence ?? 0), 1e-9);
    const table = document.createElement("table");
    table.className = "divergence-grid";
    const head = table.createTHead().insertRow();
    head.append(header("", "col"));
    for (let i = 0; i < heads; i++) head.append(header(`H${i}`, "col"));
    const body = table.createTBody();
    this.#buttons = pairs.map((pair) => buttonOf(pair, matched, most));
    this.#buttons.forEach((button, i) => {
      const row = i % heads === 0 ? body.insertRow() : body.rows[body.rows.length - 1];
      if (i % heads === 0) row.append(header(`L${pairs[i].a[0]}`, "row"));
      row.insertCell().append(button);
    });
    this.#element.replaceChildren(table);
  }

  /** @param {number} layer @param {number} head of side 1 */
  mark(layer, head) {
    this.#pairs.forEach(({ a }, i) => {
      this.#buttons[i].setAttribute("aria-pressed", String(a[0] === layer && a[1] === head));
    });
  }
}

/**
 * @param {HeadPair} pair
 * @param {boolean} matched
 * @param {number} most the largest divergence: it has the strongest colour
 */
function buttonOf({ a, b, divergence, similarity }, matched, most) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "divergence";
  const number = document.createElement("span");
  number.className = "number";
  number.textContent = divergence === null ? "none" : divergence.toFixed(3);
  button.append(number);
  const other = b ? `layer ${b[0]}, head ${b[1]}` : "no head";
  const alike = similarity === null ? "" : `, similarity ${similarity.toFixed(3)}`;
  button.title = `Layer ${a[0]}, head ${a[1]} and ${other} of the second run${alike}`;
  button.setAttribute("aria-label", `${button.title}: divergence ${number.textContent}`);
  button.style.setProperty("--share", `${Math.round((100 * (divergence ?? 0)) / most)}%`);
  button.disabled = b === null;
  if (matched && b) {
    const place = document.createElement("span");
    place.className = "divergence-pair";
    place.textContent = `→ L${b[0]} H${b[1]}`;
    button.append(place);
  }
  return button;
}

/** @param {string} words @param {"col" | "row"} scope */
function header(words, scope) {
  const cell = document.createElement(words ? "th" : "td");
  if (cell instanceof HTMLTableCellElement && words) cell.scope = scope;
  cell.textContent = words;
  return cell;
}
