// What each run cost and brought, in a sentence each.

import { runColourName } from "../run_look.js";
import { sentence } from "./cost_gain.js";

/** @typedef {import("../api.js").Run} Run */

/**
 * @param {HTMLElement} list
 * @param {readonly import("./cost_gain.js").Outcome[]} outcomes
 * @param {Run} reference
 * @param {(run: Run) => number} numberOf
 */
export function showOutcomes(list, outcomes, reference, numberOf) {
  list.replaceChildren(
    ...outcomes.map((outcome) => {
      const { run } = outcome;
      const item = document.createElement("li");
      item.dataset.run = run.id;
      item.classList.toggle("is-reference", run === reference);
      item.style.setProperty("--run", `var(${runColourName(numberOf(run))})`);
      item.textContent = sentence(outcome, reference);
      return item;
    }),
  );
}
