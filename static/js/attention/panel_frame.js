// What the panels around attention do alike: ask for the newest only, and say how it stands.
import { isAbort } from "../api.js";
import { part } from "../parts.js";

export class PanelFrame {
  #asked = "";
  #answered = false;
  /** @type {AbortController | null} */
  #request = null;
  /** @type {() => void} */
  #again = () => {};

  /** @param {HTMLElement} element with the parts waiting, alert, reason, again and body */
  constructor(element) {
    this.element = element;
    part(element, "again").addEventListener("click", () => this.#again());
  }

  /**
   * Ask for what is to be shown, unless it is shown already; what was asked before is given up.
   * @template {object} Q, A
   * @param {Q} question
   * @param {(question: Q, signal: AbortSignal) => Promise<A>} answerTo
   * @param {(answer: A) => void} show
   * @param {number} [patience] milliseconds in which it may still change
   */
  async ask(question, answerTo, show, patience = 0) {
    const key = JSON.stringify(question);
    if (key === this.#asked) return;
    this.#request?.abort();
    const { signal } = (this.#request = new AbortController());
    this.#asked = key;
    this.#again = () => {
      this.#asked = "";
      this.ask(question, answerTo, show);
    };
    this.#wait();
    const answer = await this.#answer(() => answerTo(question, signal), patience, signal);
    if (!answer) return;
    this.#answered = true;
    this.#say({ body: true });
    show(answer);
  }

  /** Give up what is not answered yet; the next question is asked anew. */
  cancel() {
    if (!this.#request) return;
    this.#request.abort();
    this.#request = null;
    this.#asked = "";
  }

  /** There is nothing to ask. @param {string} why */
  empty(why) {
    this.cancel();
    this.#asked = "";
    this.#answered = false;
    this.#say({ waiting: why });
  }

  /**
   * @template A
   * @param {() => Promise<A>} ask
   * @param {number} patience
   * @param {AbortSignal} signal
   * @returns {Promise<A | null>} null where it was given up, or went wrong, which then is said
   */
  async #answer(ask, patience, signal) {
    try {
      if (patience) await pause(patience, signal);
      const answer = await ask();
      this.#request = null;
      return answer;
    } catch (error) {
      if (isAbort(error)) return null;
      this.#request = null;
      this.#answered = false;
      this.#say({ alert: /** @type {Error} */ (error).message });
      return null;
    }
  }

  /** What was answered before stays in sight, faint, until the new answer is there. */
  #wait() {
    if (this.#answered) this.element.setAttribute("aria-busy", "true");
    else this.#say({ waiting: "Loading…" });
  }

  /** @param {{ waiting?: string, alert?: string, body?: boolean }} what */
  #say({ waiting = "", alert = "", body = false }) {
    this.element.removeAttribute("aria-busy");
    part(this.element, "waiting").textContent = waiting;
    part(this.element, "waiting").hidden = waiting === "";
    part(this.element, "reason").textContent = alert;
    part(this.element, "alert").hidden = alert === "";
    part(this.element, "body").hidden = !body;
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("given up", "AbortError"));
    });
  });
}
