// What the next token is drawn from, stage by stage: the model's own odds, then temperature and filters.
import { isAbort } from "../api.js";
import { distribution } from "../attention_api.js";
import { grouped, percent } from "../format.js";
import { glyphs, spoken } from "../glyphs.js";
import { part } from "../parts.js";

/**
 * @typedef {import("./panel_context.js").PanelContext} PanelContext
 * @typedef {import("../attention_api.js").Distribution} Distribution
 * @typedef {import("../attention_api.js").Candidate} Candidate
 * @typedef {{ temperature: number, top_k: number | null, top_p: number }} Drawing
 */

const FEW = 8;
const MANY = 200; // as many as the server gives
const SETTLES_MS = 120;
const LEAST_TOP_P = 0.01;
const CONTROLS = /** @type {const} */ (["temperature", "top_k", "top_p"]);

/** @type {Record<import("../attention_api.js").Stage, string>} */
const TITLES = {
  model: "Model",
  repetition_penalty: "Repetition penalty",
  temperature: "Temper\u00adature", // may break there
  top_k: "Top-k",
  top_p: "Top-p",
  min_p: "Min-p",
};

export class DistributionView {
  #element;
  #context;
  #onReply;
  #top = FEW;
  /** @type {string | null} the token that was drawn */
  #drawn = null;
  /** @type {Drawing | null} with what it was drawn */
  #original = null;
  #shown = "";
  /** @type {AbortController | null} */
  #abort = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #settling;

  /**
   * @param {HTMLElement} element
   * @param {PanelContext} context
   * @param {(reply: Distribution) => void} onReply
   */
  constructor(element, context, onReply) {
    this.#element = element;
    this.#context = context;
    this.#onReply = onReply;
    for (const name of CONTROLS) {
      this.#control(name).addEventListener("input", () => {
        this.#showValues();
        clearTimeout(this.#settling);
        this.#settling = setTimeout(() => this.#take(), SETTLES_MS);
      });
    }
    part(element, "as-drawn").addEventListener("click", () => {
      if (this.#original) context.state.set(this.#original);
    });
    part(element, "more").addEventListener("click", () => {
      this.#top = this.#top === FEW ? MANY : FEW;
      this.show(this.#drawn);
    });
  }

  /** @param {string | null} drawn the token that was drawn; null at the end of the text */
  show(drawn) {
    const drawing = this.#drawing;
    this.#original ??= drawing;
    this.#drawn = drawn;
    this.#showControls(drawing);
    const { run, step } = this.#context.state.shown;
    const asked = { run, step, text: this.#context.state.read, ...drawing, top: this.#top };
    const request = { ...asked, ...(drawn !== null && { target: drawn }) };
    const what = JSON.stringify(request);
    if (what === this.#shown) return;
    this.#shown = what;
    void this.#ask(request);
  }

  hide() {
    clearTimeout(this.#settling);
    this.#abort?.abort();
    this.#shown = "";
    this.#original = null;
  }

  /** @returns {Drawing} */
  get #drawing() {
    const { temperature, top_k, top_p } = this.#context.state.shown;
    return { temperature, top_k, top_p: Math.max(LEAST_TOP_P, top_p) };
  }

  /** @param {import("../attention_api.js").DistributionRequest} request */
  async #ask(request) {
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.#element.setAttribute("aria-busy", "true");
    try {
      const reply = await distribution(request, abort.signal);
      if (abort.signal.aborted) return;
      part(this.#element, "distribution-alert").hidden = true;
      this.#fill(reply);
      this.#onReply(reply);
    } catch (error) {
      if (isAbort(error)) return;
      this.#shown = "";
      this.#fail(/** @type {Error} */ (error));
    }
    this.#element.setAttribute("aria-busy", "false");
  }

  /** @param {Error} error */
  #fail(error) {
    const alert = part(this.#element, "distribution-alert");
    alert.textContent = error.message;
    alert.hidden = false;
    part(this.#element, "distribution-table").replaceChildren();
    part(this.#element, "more").hidden = true;
  }

  /** @param {Distribution} reply */
  #fill(reply) {
    const head = document.createElement("thead");
    const titles = reply.stages.map((stage) => this.#titleOf(stage));
    head.append(row(["Next", ...titles].map((words) => cell("th", words, "col"))));
    const body = document.createElement("tbody");
    body.append(...reply.candidates.map((candidate) => this.#rowOf(candidate)));
    const foot = document.createElement("tfoot");
    const left = reply.left.map((count) => cell("td", grouped(count)));
    foot.append(row([cell("th", "left", "row"), ...left]));
    part(this.#element, "distribution-table").replaceChildren(head, body, foot);
    const more = part(this.#element, "more");
    const others = Math.min(MANY, reply.left[0]) - reply.candidates.length;
    more.hidden = others <= 0 && this.#top === FEW;
    more.textContent = this.#top === FEW ? `${grouped(others)} more` : "Fewer";
  }

  /** @param {import("../attention_api.js").Stage} stage */
  #titleOf(stage) {
    const drawing = this.#drawing;
    const value = stage in drawing ? ` ${drawing[/** @type {keyof Drawing} */ (stage)]}` : "";
    return TITLES[stage] + value;
  }

  /** @param {Candidate} candidate */
  #rowOf({ token, probabilities }) {
    const name = cell("th", glyphs(token), "row");
    name.title = spoken(token);
    const cells = probabilities.map((probability, i) =>
      probability > 0 ? oddsCell(probability) : leftOutCell(lastBefore(probabilities, i)),
    );
    const element = row([name, ...cells]);
    if (token === this.#drawn) {
      element.className = "is-drawn";
      name.append(unseen(", the one that was drawn"));
    }
    element.classList.toggle("is-out", probabilities.at(-1) === 0);
    return element;
  }

  /** @param {Drawing} drawing */
  #showControls(drawing) {
    for (const name of CONTROLS) {
      const control = this.#control(name);
      if (document.activeElement !== control) control.value = String(drawing[name] ?? "");
    }
    this.#showValues();
    const first = this.#original ?? drawing;
    const changed = CONTROLS.some((name) => drawing[name] !== first[name]);
    part(this.#element, "as-drawn").hidden = !changed;
    part(this.#element, "drawn-with").textContent = this.#words(first);
  }

  /** @param {Drawing} drawing */
  #words({ temperature, top_k, top_p }) {
    const { seed } = this.#context.state.shown;
    const settings = [`temperature ${temperature}`, `top-k ${top_k ?? "all"}`, `top-p ${top_p}`];
    if (seed !== null) settings.push(`seed ${seed}`);
    return `It was drawn with ${settings.join(", ")}.`;
  }

  #showValues() {
    for (const name of /** @type {const} */ (["temperature", "top_p"]))
      part(this.#element, `${name}-value`).textContent = Number(this.#control(name).value).toFixed(
        2,
      );
  }

  /** Take over what the controls say, as far as it can be used. */
  #take() {
    const [temperature, top_k, top_p] = CONTROLS.map((name) => this.#control(name));
    this.#context.state.set({
      temperature: temperature.valueAsNumber,
      top_k: top_k.value === "" ? null : Math.max(1, Math.round(top_k.valueAsNumber)),
      top_p: Math.max(LEAST_TOP_P, top_p.valueAsNumber),
    });
  }

  /** @param {typeof CONTROLS[number]} name @returns {HTMLInputElement} */
  #control(name) {
    return part(this.#element, name);
  }
}

/** @param {number} probability */
function oddsCell(probability) {
  const element = cell("td", percent(probability));
  element.style.setProperty("--share", `${100 * probability}%`);
  return element;
}

/** @param {number} probability what it had before it was left out */
function leftOutCell(probability) {
  const element = cell("td", "");
  const struck = document.createElement("s");
  struck.textContent = percent(probability);
  element.append(unseen("left out, had "), struck);
  return element;
}

/**
 * @param {number[]} probabilities
 * @param {number} index
 */
function lastBefore(probabilities, index) {
  return probabilities.slice(0, index).findLast((probability) => probability > 0) ?? 0;
}

/** @param {HTMLElement[]} cells */
function row(cells) {
  const element = document.createElement("tr");
  element.append(...cells);
  return element;
}

/**
 * @param {"th" | "td"} name
 * @param {string} words
 * @param {"row" | "col"} [scope]
 */
function cell(name, words, scope) {
  const element = document.createElement(name);
  element.textContent = words;
  if (scope) element.scope = scope;
  return element;
}

/** @param {string} words for those who listen */
function unseen(words) {
  const element = document.createElement("span");
  element.className = "visually-hidden";
  element.textContent = words;
  return element;
}
