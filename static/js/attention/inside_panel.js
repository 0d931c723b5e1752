// "Inside": how one head's query comes to its weights, and the model to its next token.
import { lookInside } from "../attention_api.js";
import { glyphs, spoken } from "../glyphs.js";
import { part } from "../parts.js";
import { AttributionView } from "./attribution_view.js";
import { showLens } from "./lens_table.js";
import { PanelFrame } from "./panel_frame.js";
import { keysOf, scoreRows } from "./score_table.js";
import { tokenAt, tokenName } from "./token_name.js";

/**
 * @typedef {import("./panel_context.js").PanelContext} PanelContext
 * @typedef {import("../attention_api.js").Inside} Inside
 */

const ROWS_AT_ONCE = 32;
/** of each layer: five are shown, the others can be chosen as the token to explain */
const CANDIDATES = 50;
/** The cursor may be on its way to somewhere else. */
const PATIENCE_MS = 80;

export class InsidePanel {
  /** @type {Inside | null} */
  #inside = null;
  #rows = ROWS_AT_ONCE;

  /**
   * @param {HTMLElement} element
   * @param {PanelContext} context
   */
  constructor(element, context) {
    this.element = element;
    this.context = context;
    this.frame = new PanelFrame(element);
    this.attribution = new AttributionView(element, (place) => context.state.set(place));
    this.target = /** @type {HTMLSelectElement} */ (this.#part("target"));
    this.target.addEventListener("change", () => context.state.set({ target: this.target.value }));
    this.#part("order").addEventListener("input", ({ target }) => {
      const { value } = /** @type {HTMLInputElement} */ (target);
      context.state.set({ in_order: value === "text" });
    });
    this.#part("more").addEventListener("click", () => {
      this.#rows = Number.POSITIVE_INFINITY;
      this.#showNumbers();
    });
  }

  show() {
    const { layer, head, query, target } = this.context.state.shown;
    const reading = this.context.request();
    if (!reading.text) {
      this.frame.empty("Type a text to look inside.");
      return;
    }
    const length = this.context.tokens().length;
    const inside = query !== null && (length === 0 || query < length);
    const question = {
      ...reading,
      layer,
      head,
      query: inside ? query : null,
      target: target || null,
      top: CANDIDATES,
    };
    this.frame.ask(question, lookInside, (answer) => this.#show(answer), PATIENCE_MS);
    this.#showNumbers();
  }

  hide() {
    this.frame.cancel();
  }

  /** @param {Inside} inside */
  #show(inside) {
    const { layer, head, lens, attribution } = inside;
    this.#inside = inside;
    this.#rows = ROWS_AT_ONCE;
    this.#showNumbers();
    this.#fillTargets(inside);
    showLens(this.#part("lens"), lens, attribution.target);
    this.attribution.show(attribution, inside, { layer, head });
  }

  #showNumbers() {
    if (!this.#inside) return;
    const { tokens, query, row, layer, head } = this.#inside;
    const inOrder = this.context.state.shown.in_order;
    const keys = keysOf(row, inOrder);
    this.#part("numbers").replaceChildren(...scoreRows(row, tokens, keys.slice(0, this.#rows)));
    this.#part("numbers-title").textContent =
      `Layer ${layer}, head ${head}: ${tokenAt(tokens, query)} against every key`;
    this.#part("numbers-note").textContent =
      `Scores are multiplied with ${row.scale.toFixed(4)}, then the softmax makes weights of those that are not masked.`;
    const left = keys.length - this.#rows;
    this.#part("more").hidden = left <= 0;
    this.#part("more").textContent = `Show ${left} more`;
    for (const radio of this.#part("order").querySelectorAll("input")) {
      radio.checked = (radio.value === "text") === inOrder;
    }
  }

  /** @param {Inside} inside the likeliest first, then those that are likely somewhere, or in the text */
  #fillTargets({ tokens, query, lens, attribution }) {
    const chosen = this.context.state.shown.target;
    const likely = [...lens].reverse().flatMap(({ top }) => top.map(([token]) => token));
    const known = new Set([...likely, ...tokens, ...(chosen ? [chosen] : [])]);
    const own = query + 1 < tokens.length ? "the text's own" : "the likeliest";
    const now = chosen ? "" : `: ${tokenName(attribution.target)}`;
    const options = [...known].map((token) => new Option(optionName(token), token));
    this.target.replaceChildren(new Option(`${own}${now}`, ""), ...options);
    this.target.value = chosen;
  }

  /** @param {string} name */
  #part(name) {
    return part(this.element, name);
  }
}

/** @param {string} token */
function optionName(token) {
  const [sign, word] = [glyphs(token), spoken(token)];
  return sign === word ? sign : `${sign} ${word}`;
}
