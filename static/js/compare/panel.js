// One run on the page: chosen, prompted, watched, taken away.
import { announce } from "../announce.js";
import { ApiError, isAbort, streamCompletion } from "../api.js";
import { download } from "../download.js";
import { grouped } from "../format.js";
import { tokenUnit } from "../losses.js";
import { bits } from "../surprise.js";
import { TokenText } from "../tokens.js";
import { replayAddress } from "./replay_link.js";
import { fillRunPicker, runDifferences, runFacts } from "./run_picker.js";
import { fillStepPicker, runStep, runStepWord } from "./run_step.js";
import { asJson, asText } from "./transcript.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {import("../api.js").RunList} RunList */
/** @typedef {import("../api.js").CompletionChunk} CompletionChunk */
/** @typedef {import("./composer.js").Writing} Writing */
/** @typedef {"empty" | "waiting" | "writing" | "done" | "stopped" | "failed"} PanelState */

const ALTERNATIVES = 5;
const SLOW_MS = 4000;
const TELLING_MS = 100; // of a shorter time of writing the browser's own pauses are too large a part

export class Panel {
  element;
  /** @type {PanelState} */
  state = "empty";
  #list;
  #onChange;
  #run;
  /** @type {number | null} */
  #step;
  #text;
  /** @type {AbortController | null} */
  #abort = null;
  /** @type {Writing | null} */
  #writing = null;
  /** @type {import("../api.js").Context | null} */
  #context = null;
  #startedAt = 0;
  #firstAt = 0;
  #lastAt = 0;
  /** how many tokens came at once with the first */
  #atFirst = 0;

  /**
   * @param {HTMLTemplateElement} template
   * @param {RunList} list
   * @param {string} choice a run, or a run at a step
   * @param {{ onRun: () => void, onRemove: (panel: Panel) => void, onState: () => void }} on
   */
  constructor(template, list, choice, on) {
    const content = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (content.firstElementChild);
    this.#list = list;
    ({ run: this.#run, step: this.#step } = runStep(choice));
    this.#onChange = on.onState;
    this.#text = new TokenText(this.#part("text"));
    const picker = /** @type {HTMLSelectElement} */ (this.#part("picker"));
    fillRunPicker(picker, list, this.#run);
    picker.addEventListener("change", () => {
      this.#choose(picker.value, null);
      on.onRun();
    });
    const step = /** @type {HTMLSelectElement} */ (this.#part("step"));
    step.addEventListener("change", () => {
      this.#choose(this.#run, step.value === "" ? null : Number(step.value));
      on.onRun();
    });
    this.#part("remove").addEventListener("click", () => on.onRemove(this));
    this.#part("retry").addEventListener("click", () => this.#retry());
    this.#part("copy").addEventListener("click", () => this.#copy());
    this.#part("save-text").addEventListener("click", () => this.#save("txt"));
    this.#part("save-json").addEventListener("click", () => this.#save("json"));
    this.#describe();
    this.#show("empty");
  }

  get runId() {
    return this.#run;
  }

  /** The run and the step, in a word. */
  get choice() {
    return runStepWord({ run: this.#run, step: this.#step });
  }

  /** How it stands, to be read aloud. */
  get report() {
    return `${this.choice}: ${this.#statusText() || this.#part("error-text").textContent}`;
  }

  get busy() {
    return this.state === "waiting" || this.state === "writing";
  }

  /** @param {TokenText} text @returns {boolean} whether it is the one that this run writes */
  writes(text) {
    return text === this.#text;
  }

  /**
   * @param {number} index of a character
   * @returns {string | null} where to see what the heads looked at when it was chosen, if it has any
   */
  momentOf(index) {
    const run = this.#find();
    if (!run || !this.#writing) return null;
    const [before, after] = this.#text.around(index);
    const { prompt, length: _, ...sampling } = this.#writing;
    return replayAddress({ run, step: this.#step, prompt, before, after, sampling });
  }

  /**
   * Write on from a prompt, until the end, an error, or stop().
   * @param {Writing} writing
   */
  async generate(writing) {
    this.stop();
    const abort = new AbortController();
    this.#abort = abort;
    this.#writing = writing;
    this.#context = null;
    this.#text.restart(writing.prompt);
    this.#startedAt = performance.now();
    this.#show("waiting");
    const slow = setTimeout(() => this.state === "waiting" && this.#showStatus(), SLOW_MS);
    try {
      for await (const chunk of streamCompletion(this.#request(writing), abort.signal)) {
        if (abort.signal.aborted) break;
        this.#receive(chunk);
      }
      if (this.#abort === abort) this.#show(abort.signal.aborted ? "stopped" : "done");
    } catch (error) {
      if (this.#abort === abort) this.#fail(error);
    } finally {
      clearTimeout(slow);
    }
  }

  stop() {
    if (!this.busy) return;
    this.#abort?.abort();
    this.#show("stopped");
  }

  /** @param {CompletionChunk} chunk */
  #receive({ context, choices }) {
    if (context) {
      this.#context = context;
      this.#text.markSeen(this.#writing?.prompt ?? "", context.seen_text.length);
      this.#showContext();
    }
    const [choice] = choices;
    const logprobs = choice?.logprobs;
    if (!logprobs || logprobs.tokens.length === 0) return;
    this.#lastAt = performance.now();
    if (this.state === "waiting") {
      this.#firstAt = this.#lastAt;
      this.#atFirst = logprobs.tokens.length;
      this.#show("writing");
    }
    this.#text.append(
      textOfTokens(choice.text, logprobs.text_offset).map((text, index) => ({
        text,
        logprob: logprobs.token_logprobs[index] ?? 0,
        top: Object.entries(logprobs.top_logprobs[index] ?? {}),
      })),
    );
    this.#showStatus();
  }

  /** @param {unknown} error */
  #fail(error) {
    if (isAbort(error)) return this.#show("stopped");
    if (!(error instanceof ApiError)) throw error;
    const { retryAfter } = error;
    const wait = retryAfter ? ` Try again in ${retryAfter} s.` : "";
    this.#part("error-text").textContent = sentence(error.message) + wait;
    this.#part("error").classList.toggle("is-disconnected", error.disconnected);
    this.#show("failed");
  }

  /** @param {string} run @param {number | null} step */
  #choose(run, step) {
    this.stop();
    this.#run = run;
    this.#step = step;
    this.#writing = null;
    this.#context = null;
    this.#text.restart("");
    this.#describe();
    this.#show("empty");
  }

  #describe() {
    const run = this.#find();
    const chips = run ? runDifferences(run, this.#list.runs) : [];
    this.#part("title").textContent = run?.title || this.#run;
    this.#part("id").textContent = this.#run;
    this.#part("facts").textContent = run ? runFacts(run, this.#step) : "";
    this.#part("text").classList.toggle("has-heads", run?.attention === true);
    this.#part("differences").replaceChildren(...chips);
    const step = /** @type {HTMLSelectElement} */ (this.#part("step"));
    fillStepPicker(step, run, this.#step);
    step.hidden = step.options.length < 2;
    this.#part("text").setAttribute("aria-label", `Text written by ${this.choice}`);
    this.#part("remove").setAttribute("aria-label", `Remove ${this.choice}`);
  }

  /** @param {PanelState} state */
  #show(state) {
    this.state = state;
    this.element.dataset.state = state;
    this.element.setAttribute("aria-busy", String(this.busy));
    const some = this.#text.tokens.length > 0;
    this.#part("empty").hidden = state !== "empty";
    this.#part("text").hidden = state === "empty" || (state === "failed" && !some);
    if (!this.busy) this.#text.flush();
    this.#part("error").hidden = state !== "failed";
    this.#part("spinner").hidden = !this.busy;
    this.#part("actions").hidden = this.busy || !some;
    this.#showContext();
    this.#showStatus();
    if (!this.busy && some) this.#linkToAttention();
    this.#onChange();
  }

  #showStatus() {
    this.#part("status").textContent = this.#statusText();
  }

  #statusText() {
    const unit = tokenUnit(this.#find());
    const count = grouped(this.#text.tokens.length);
    switch (this.state) {
      case "waiting": {
        const slow = performance.now() - this.#startedAt >= SLOW_MS;
        return slow
          ? "Still waiting: the model is being loaded, or others are ahead"
          : "Waiting for the first character";
      }
      case "writing":
        return `${count} of ${grouped(this.#writing?.length ?? 0)}${this.#speed(` ${unit}/s`)}`;
      case "done":
        return `${count} ${unit}${this.#speed("/s")} · ${this.#meanSurprise()}`;
      case "stopped":
        return `Stopped after ${count} ${unit}${this.#speed("/s")}`;
      case "failed":
        return this.#text.tokens.length > 0 ? `Broke off after ${count} ${unit}` : "";
      default:
        return "";
    }
  }

  /** @param {string} unit */
  #speed(unit) {
    const { length } = this.#text.tokens;
    const writing = this.#lastAt - this.#firstAt;
    // What comes first was written before. Where all comes nearly at once, only how long it took
    // from the request on is known, and so a speed that it had at least.
    const [count, ms] =
      writing >= TELLING_MS
        ? [length - this.#atFirst, writing]
        : [length, this.#lastAt - this.#startedAt];
    if (ms <= 0 || count === 0) return "";
    return ` · ${grouped(Math.round((1000 * count) / ms))}${unit}`;
  }

  #meanSurprise() {
    const { tokens } = this.#text;
    const total = tokens.reduce((sum, token) => sum + bits(token.logprob), 0);
    return `${(total / tokens.length).toFixed(2)} bits each`;
  }

  #showContext() {
    const context = this.#context;
    const cropped = context !== null && context.seen_tokens < context.prompt_tokens;
    this.#part("context").hidden = !cropped;
    if (!cropped) return;
    const { seen_tokens: seen, prompt_tokens: all } = context;
    const last = seen === 1 ? "the last one" : `the last ${grouped(seen)}`;
    this.#part("context").textContent =
      `Saw only ${last} of ${grouped(all)} ${tokenUnit(this.#find())}.`;
  }

  #linkToAttention() {
    const run = this.#find();
    const link = /** @type {HTMLAnchorElement} */ (this.#part("attention"));
    link.hidden = !run?.attention;
    if (!run?.attention) return;
    const text = ((this.#writing?.prompt ?? "") + this.#text.written).slice(-run.block_size);
    const params = new URLSearchParams({ run: run.id, text });
    if (this.#step !== null) params.set("step", String(this.#step));
    link.href = `/attention?${params}`;
  }

  #find() {
    return this.#list.runs.find(({ id }) => id === this.#run);
  }

  #retry() {
    if (this.#writing) void this.generate(this.#writing);
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(asText(this.#transcript()));
      announce(`Copied the text of ${this.choice}`);
    } catch {
      announce("The browser does not let this page copy; select the text instead");
    }
  }

  /** @param {"txt" | "json"} kind */
  #save(kind) {
    const transcript = this.#transcript();
    const name = `sidelight-${this.choice}-${transcript.sampling.seed}.${kind}`;
    const [content, type] =
      kind === "txt"
        ? [asText(transcript), "text/plain"]
        : [asJson(transcript), "application/json"];
    download(name, new Blob([content], { type }));
  }

  #transcript() {
    if (!this.#writing) throw new Error("nothing has been written");
    const { prompt, ...sampling } = this.#writing;
    const { tokens } = this.#text;
    const written = { prompt, context: this.#context, sampling, tokens };
    return { run: this.#run, step: this.#step, ...written };
  }

  /**
   * @param {Writing} writing
   * @returns {import("../api.js").CompletionRequest}
   */
  #request({ prompt, length, ...sampling }) {
    const model = { model: this.#run, step: this.#step };
    return { ...model, prompt, max_tokens: length, logprobs: ALTERNATIVES, ...sampling };
  }

  /** @param {string} name */
  #part(name) {
    const part = this.element.querySelector(`[data-part="${name}"]`);
    if (!(part instanceof HTMLElement)) throw new Error(`the panel has no part "${name}"`);
    return part;
  }
}

/** @param {string} message */
function sentence(message) {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/**
 * @param {string} text that several tokens wrote
 * @param {number[]} offsets where each begins, in characters of the whole text
 * @returns {string[]} what each adds to it; nothing for one that only begins a character
 */
function textOfTokens(text, offsets) {
  const characters = [...text];
  return offsets.map((offset, index) => {
    const end = (offsets[index + 1] ?? Number.POSITIVE_INFINITY) - offsets[0];
    return characters.slice(offset - offsets[0], end).join("");
  });
}
