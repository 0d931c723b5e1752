// A text that is replayed: what the model saw, what comes next, what it had not written yet.
import { glyphs, spoken } from "../glyphs.js";

export class ReplayText {
  #element;
  /** @type {{ at: number, span: HTMLElement, look: string }[]} */
  #pieces = [];

  /**
   * @param {HTMLElement} element
   * @param {(at: number) => void} onPick the place of a generated character that was clicked
   */
  constructor(element, onPick) {
    this.#element = element;
    element.addEventListener("click", ({ target }) => {
      const piece = this.#pieces.find(({ span }) => span === target);
      if (piece?.span.classList.contains("is-generated")) onPick(piece.at);
    });
  }

  /**
   * @param {readonly string[]} characters
   * @param {readonly import("./token_starts.js").Start[]} starts of what was generated
   * @param {number} prompt how many characters were the prompt
   */
  show(characters, starts, prompt) {
    const own = characters.slice(0, prompt).map((_, at) => at);
    const places = [...own, ...starts.map(({ at }) => at).filter((at) => at >= prompt)];
    this.#pieces = places.map((at, i) => {
      const span = document.createElement("span");
      const text = characters.slice(at, places[i + 1]).join("");
      span.textContent = text;
      if (text === "\n") span.classList.add("is-newline");
      if (at >= prompt) {
        span.classList.add("is-generated");
        span.title = `${spoken(glyphs(text))}: look at the moment it was chosen`;
      }
      return { at, span, look: "" };
    });
    this.#element.replaceChildren(...this.#pieces.map(({ span }) => span));
  }

  /**
   * @param {number} from the first character that the model saw
   * @param {number} end the one that it chose
   */
  mark(from, end) {
    for (const piece of this.#pieces) {
      const look = lookOf(piece.at, from, end);
      if (look === piece.look) continue;
      if (piece.look) piece.span.classList.remove(piece.look);
      piece.span.classList.add(look);
      piece.span.removeAttribute("aria-current");
      if (look === "is-next") piece.span.setAttribute("aria-current", "true");
      piece.look = look;
    }
    this.#follow(this.#pieces.find(({ look }) => look === "is-next")?.span);
  }

  /** Bring it into view without moving the page. @param {HTMLElement} [span] */
  #follow(span) {
    const box = this.#element;
    if (!span) return;
    const top = span.offsetTop - box.offsetTop;
    const bottom = top + span.offsetHeight;
    if (top < box.scrollTop || bottom > box.scrollTop + box.clientHeight)
      box.scrollTop = top - box.clientHeight / 2;
  }
}

/**
 * @param {number} at
 * @param {number} from
 * @param {number} end
 */
function lookOf(at, from, end) {
  if (at === end) return "is-next";
  if (at > end) return "is-later";
  return at < from ? "is-unseen" : "is-seen";
}
