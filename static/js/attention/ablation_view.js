// What heads are missed for: the loss, the next token, each token of the text, and what is written.

import { percent } from "../format.js";
import { glyphs, spoken } from "../glyphs.js";
import { part } from "../parts.js";
import { headCell, rowOf, textCell } from "./bar_cell.js";
import { ShadedText } from "./shaded_text.js";
import { reach, signed } from "./signed.js";
import { tokenAt } from "./token_name.js";
import { firstDifference, marked } from "./written_texts.js";

/** @typedef {import("../attention_api.js").Ablation} Ablation */

export class AblationView {
  /** @type {Ablation | null} */
  #ablation = null;
  #token = -1;

  /**
   * @param {HTMLElement} root with the parts loss, next, changed, token-readout, written,
   *   written-note, text-before and text-after
   */
  constructor(root) {
    this.root = root;
    const changed = part(root, "changed");
    this.text = new ShadedText(changed, (index) => this.#point(index));
    changed.addEventListener("pointerover", ({ target }) => {
      const index = this.text.indexOf(target);
      if (index >= 0) this.#point(index);
    });
  }

  /**
   * @param {Ablation} ablation
   * @param {string} unit of the losses
   */
  show(ablation, unit) {
    this.#ablation = ablation;
    this.#token = -1;
    part(this.root, "loss").textContent = lossSentence(ablation, unit);
    part(this.root, "next").replaceChildren(...nextRows(ablation.next));
    this.#showText();
    this.#showWritten(ablation);
  }

  /** @param {number} index of a token */
  #point(index) {
    this.#token = index;
    this.#showText();
  }

  #showText() {
    if (!this.#ablation) return;
    const { tokens, losses_before, losses_after } = this.#ablation;
    const changes = tokens.map((_, i) => (losses_after[i] ?? 0) - (losses_before[i] ?? 0));
    const most = reach(changes);
    const words = tokens.map((_, i) => {
      const [before, after] = [losses_before[i], losses_after[i]];
      if (typeof before !== "number" || typeof after !== "number") return "nothing foretells it";
      return `loss ${before.toFixed(3)} → ${after.toFixed(3)} (${signed(changes[i])})`;
    });
    this.text.show(tokens, this.#token, (i) => ({ share: changes[i] / most, title: words[i] }));
    part(this.root, "token-readout").textContent =
      this.#token < 0
        ? "Point at a token, or move with the arrow keys."
        : `${tokenAt(tokens, this.#token)}: ${words[this.#token]}`;
  }

  /** @param {Ablation} ablation */
  #showWritten({ text_before, text_after }) {
    const [before, after] = [text_before, text_after].map((text) => [...text]);
    part(this.root, "written").hidden = before.length + after.length === 0;
    const at = firstDifference(before, after);
    part(this.root, "written-note").textContent =
      at === null
        ? "Both texts are the same."
        : `From the same seed. Character ${at} is the first that differs.`;
    part(this.root, "text-before").replaceChildren(...marked(before, at));
    part(this.root, "text-after").replaceChildren(...marked(after, at));
  }
}

/**
 * @param {Ablation} ablation
 * @param {string} unit
 */
function lossSentence({ loss_before, loss_after }, unit) {
  if (loss_before === null || loss_after === null) return "A single token has no loss.";
  const change = signed(loss_after - loss_before);
  return `Loss on the text: ${loss_before.toFixed(3)} → ${loss_after.toFixed(3)} ${unit} (${change})`;
}

/** @param {Ablation["next"]} next */
function nextRows(next) {
  return next.map(({ token, before, after }) => {
    const head = headCell(glyphs(token));
    head.title = spoken(token);
    const bars = textCell("");
    bars.className = "pair-cell";
    bars.append(bar("is-before", before), bar("is-after", after));
    const change = signed(100 * (after - before), 1);
    const numbers = [percent(before), percent(after), change].map((words) => {
      const cell = textCell(words);
      cell.className = "number";
      return cell;
    });
    return rowOf(head, bars, ...numbers);
  });
}

/**
 * @param {string} className
 * @param {number} share
 */
function bar(className, share) {
  const span = document.createElement("span");
  span.className = className;
  span.style.width = `${100 * share}%`;
  return span;
}
