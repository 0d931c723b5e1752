// A generated text, character by character as the model chose them: the page shows what it saw.
import { isAbort } from "../api.js";
import { distribution } from "../attention_api.js";
import { spoken } from "../glyphs.js";
import { perCharacter, tokenUnit } from "../losses.js";
import { part } from "../parts.js";
import { DistributionView } from "./distribution_view.js";
import { ReplayText } from "./replay_text.js";
import { characterStarts, tokenStarts } from "./token_starts.js";

/**
 * @typedef {import("./panel_context.js").PanelContext} PanelContext
 * @typedef {import("./token_starts.js").Start} Start
 */

const PLAY_MS = 700;
const TYPED_IN = "input, textarea, select, [contenteditable]";

export class ReplayBar {
  #element;
  #context;
  #text;
  #distribution;
  /** @type {string[]} */
  #characters = [];
  /** where each token begins, of the generated ones @type {Start[]} */
  #starts = [];
  #shown = "";
  /** @type {AbortController | null} */
  #abort = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #playing;

  /**
   * @param {HTMLElement} element
   * @param {PanelContext} context
   */
  constructor(element, context) {
    this.#element = element;
    this.#context = context;
    this.#text = new ReplayText(part(element, "replay-text"), (at) => this.#go(at));
    this.#distribution = new DistributionView(part(element, "distribution"), context, (reply) =>
      this.#answered(reply),
    );
    this.#on("replay-back", () => this.#move(-1));
    this.#on("replay-forward", () => this.#move(1));
    this.#on("replay-play", () => (this.#playing ? this.#pause() : this.#play()));
    this.#on("replay-leave", () => context.state.set({ replay: null, end: null }));
    part(element, "replay-text").addEventListener("keydown", (event) => this.#walk(event));
    document.addEventListener("keydown", (event) => this.#key(event));
    /** @type {import("./attention_state.js").Field[]} */
    const fields = ["text", "end", "replay", "run", "step", "temperature", "top_k", "top_p"];
    context.state.on(fields, () => this.show());
  }

  /** Show the moment that the page's state says; nothing where no text is replayed. */
  show() {
    const { replay } = this.#context.state.shown;
    this.#element.hidden = replay === null;
    if (replay === null) return this.hide();
    const { text, run, step } = this.#context.state.shown;
    const what = JSON.stringify([text, run, step, replay]);
    if (what !== this.#shown) {
      this.#shown = what;
      void this.#read(replay);
    }
    this.#showMoment();
  }

  hide() {
    this.#pause();
    this.#abort?.abort();
    this.#shown = "";
    this.#distribution.hide();
  }

  get #run() {
    return this.#context.runs.find(({ id }) => id === this.#context.state.shown.run);
  }

  /** Where the model stands: how many characters it had read. */
  get #end() {
    const { end } = this.#context.state.shown;
    return Math.min(end ?? this.#characters.length, this.#characters.length);
  }

  /** The first place that can be gone to: something must have been read. */
  get #first() {
    return Math.max(1, this.#context.state.shown.replay ?? 0);
  }

  /** Find out where the tokens of a text begin. @param {number} replay */
  async #read(replay) {
    const { run, step, text } = this.#context.state.shown;
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.#characters = [...text];
    this.#starts = characterStarts(this.#characters);
    if (this.#run && !perCharacter(this.#run)) {
      try {
        this.#starts = await startsOf({ run, step }, this.#characters, replay, abort.signal);
      } catch (error) {
        if (isAbort(error)) return;
        // The distribution says what is wrong; until then it goes by characters.
      }
      if (abort.signal.aborted) return;
    }
    this.#text.show(this.#characters, this.#starts, replay);
    this.#showMoment();
  }

  #showMoment() {
    const end = this.#end;
    const seen = this.#run?.block_size ?? end;
    const next = this.#starts.find(({ at }) => at === end);
    this.#text.mark(Math.max(0, end - seen), end);
    this.#button("replay-back").disabled = this.#neighbour(-1) === null;
    this.#button("replay-forward").disabled = this.#neighbour(1) === null;
    const read = `${end} of ${this.#characters.length} characters read`;
    part(this.#element, "replay-place").textContent = next
      ? `${read}; then came ${named(next.token)}.`
      : `${read}; what would come next was not drawn.`;
    this.#distribution.show(next?.token ?? null);
  }

  /** What the server says was seen. @param {import("../attention_api.js").Window} reply */
  #answered({ tokens, text_offset }) {
    this.#text.mark(text_offset, this.#end);
    const { query } = this.#context.state.shown;
    const { length } = this.#context.request(0);
    const last = Math.min(tokens.length, length ?? tokens.length) - 1;
    if (query === null || query > last) this.#context.state.set({ query: last });
    const unit = tokenUnit(this.#run);
    part(this.#element, "replay-window").textContent =
      `The model saw the last ${tokens.length} ${unit}, as they are marked here.`;
  }

  /** @param {number} by @returns {number | null} */
  #neighbour(by) {
    const places = [...this.#starts.map(({ at }) => at), this.#characters.length];
    const end = this.#end;
    const place = by < 0 ? places.findLast((at) => at < end) : places.find((at) => at > end);
    return place === undefined || place < this.#first ? null : place;
  }

  /** @param {number} by @returns {boolean} whether there was somewhere to go */
  #move(by) {
    const place = this.#neighbour(by);
    if (place !== null) this.#go(place);
    return place !== null;
  }

  /** @param {number} end */
  #go(end) {
    const run = this.#run;
    const seen = this.#context.request(0).length ?? run?.block_size ?? end;
    const tokens =
      run && perCharacter(run) ? end : this.#starts.filter(({ at }) => at < end).length;
    const place = Math.max(end, this.#first);
    this.#context.state.set({ end: place, query: Math.max(0, Math.min(tokens, seen) - 1) });
  }

  #play() {
    const button = this.#button("replay-play");
    button.setAttribute("aria-pressed", "true");
    this.#speak("off"); // each step would be cut short
    const next = () => {
      if (this.#move(1)) this.#playing = setTimeout(next, PLAY_MS);
      else this.#pause();
    };
    this.#playing = setTimeout(next, 0);
  }

  #pause() {
    clearTimeout(this.#playing);
    this.#playing = undefined;
    this.#button("replay-play").setAttribute("aria-pressed", "false");
    this.#speak("polite");
  }

  /** @param {"off" | "polite"} live whether each step is read aloud */
  #speak(live) {
    part(this.#element, "replay-place").setAttribute("aria-live", live);
  }

  /** @param {KeyboardEvent} event on the text itself */
  #walk(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    this.#pause();
    this.#move(by);
  }

  /** @param {KeyboardEvent} event anywhere on the page */
  #key(event) {
    const by = { "[": -1, "]": 1 }[event.key];
    const typing = event.target instanceof Element && event.target.closest(TYPED_IN);
    // Where the brackets need AltGr, a browser may report Ctrl and Alt together.
    if (by === undefined || typing || event.metaKey || event.ctrlKey !== event.altKey) return;
    if (this.#context.state.shown.replay === null) return;
    event.preventDefault();
    this.#pause();
    this.#move(by);
  }

  /** @param {string} name @returns {HTMLButtonElement} */
  #button(name) {
    return part(this.#element, name);
  }

  /** @param {string} name @param {() => void} act */
  #on(name, act) {
    part(this.#element, name).addEventListener("click", () => {
      if (name !== "replay-play") this.#pause();
      act();
    });
  }
}

/** @param {string} token */
function named(token) {
  const name = spoken(token);
  return name === token ? `'${token}'` : name;
}

/**
 * A window at a time, from the end back to where the prompt ends.
 * @param {import("../attention_api.js").RunAt} run
 * @param {string[]} characters
 * @param {number} replay
 * @param {AbortSignal} signal
 * @returns {Promise<Start[]>}
 */
async function startsOf(run, characters, replay, signal) {
  /** @type {Start[]} */
  const starts = [];
  for (let end = characters.length; end > replay; ) {
    const read = characters.slice(0, end);
    const request = { ...run, text: read.join(""), top: 1 };
    const { tokens, text_offset } = await distribution(request, signal);
    starts.unshift(...tokenStarts(read, tokens));
    if (text_offset >= end) break;
    end = Math.min(text_offset, starts[0]?.at ?? text_offset);
  }
  return starts;
}
