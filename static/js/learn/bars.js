// Tokens with a bar and a number each: a distribution, or how often something occurs.
import { glyphs, spoken } from "../glyphs.js";

/**
 * @typedef {object} Bar
 * @property {string} token
 * @property {number} share of the full width, 0 to 1
 * @property {string} written the number as it is read
 * @property {string} [title] more of it
 */

/**
 * @param {readonly Bar[]} bars
 * @param {{ name: string, chosen?: string | null, onChoose?: (token: string) => void }} look
 *   name: what they are together; onChoose makes each token a button
 * @returns {HTMLOListElement}
 */
export function barList(bars, { name, chosen = null, onChoose }) {
  const list = document.createElement("ol");
  list.className = "bars";
  list.setAttribute("aria-label", name);
  list.append(...bars.map((bar) => barOf(bar, chosen, onChoose)));
  return list;
}

/**
 * @param {HTMLElement} list made by barList
 * @param {string} token to be marked instead of the one that was
 */
export function markBar(list, token) {
  for (const button of list.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.value === token));
  }
}

/**
 * @param {Bar} bar
 * @param {string | null} chosen
 * @param {((token: string) => void) | undefined} onChoose
 */
function barOf({ token, share, written, title }, chosen, onChoose) {
  const item = document.createElement("li");
  if (title) item.title = title;
  const track = document.createElement("span");
  track.className = "bar-track";
  track.style.setProperty("--share", `${(100 * Math.min(1, share)).toFixed(2)}%`);
  const value = document.createElement("span");
  value.className = "bar-value number";
  value.textContent = written;
  item.append(nameOf(token, chosen, onChoose), track, value);
  return item;
}

/**
 * @param {string} token
 * @param {string | null} chosen
 * @param {((token: string) => void) | undefined} onChoose
 */
function nameOf(token, chosen, onChoose) {
  const name = document.createElement(onChoose ? "button" : "span");
  name.className = "bar-name";
  name.textContent = glyphs(token);
  name.setAttribute("aria-label", spoken(token));
  if (name instanceof HTMLButtonElement) {
    name.type = "button";
    name.value = token;
    name.setAttribute("aria-pressed", String(token === chosen));
    name.addEventListener("click", () => onChoose?.(token));
  } else name.setAttribute("role", "img");
  return name;
}
