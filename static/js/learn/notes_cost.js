// The same cost in three units: minutes, which a device decides, and tokens and operations, which
// the settings do.
import { tokensSeen } from "../curve_axis.js";
import { grouped } from "../format.js";
import { threeDigits } from "./axes.js";
import { NONE } from "./notes_numbers.js";

/** @typedef {import("../api.js").Run} Run */
/** @typedef {import("../runs/cost_gain.js").Outcome} Outcome */

/** Of a forward pass; the backward pass takes twice as many more. */
const PASSES = 3;

/**
 * @param {HTMLTableSectionElement} body
 * @param {readonly Outcome[]} outcomes
 */
export function showCosts(body, outcomes) {
  body.replaceChildren(
    ...outcomes.map(({ run, minutes, change }) => {
      const row = document.createElement("tr");
      const name = document.createElement("th");
      name.scope = "row";
      name.textContent = run.title;
      row.append(name);
      const most = run.config.train?.patience ? "at most " : "";
      const [tokens, count] = [tokensOf(run), operations(run)];
      for (const text of [
        minutes === null ? NONE : threeDigits(minutes),
        tokens === null ? NONE : most + grouped(tokens),
        count === null ? NONE : most + threeDigits(count),
        change === null ? NONE : `${(100 * change).toFixed(1).replace("-", "−")} %`,
      ]) {
        const cell = row.insertCell();
        cell.className = "number";
        cell.textContent = text;
      }
      return row;
    }),
  );
}

/** @param {Run} run @returns {number | null} null where nobody knows */
function tokensOf(run) {
  const tokens = tokensSeen(run, Number(run.config.train?.max_iters ?? NaN));
  return Number.isNaN(tokens) ? null : tokens;
}

/**
 * About how many additions and multiplications a GPT's training took: two for each number that a
 * token is multiplied with, and those of its scores and its weighted values, over half of what it
 * could see on average. Evaluation is not in it.
 * @param {Run} run
 * @returns {number | null} null for what multiplies no matrices, or where nobody knows
 */
export function operations(run) {
  const { model, train } = run.config;
  const tokens = tokensOf(run);
  if (run.kind !== "gpt" || tokens === null) return null;
  const [width, layers] = [Number(model.n_embd), Number(model.n_layer)];
  const window = Number(train?.window ?? model.block_size);
  const read = model.tie_weights ? 0 : Number(model.vocab_size);
  const places = model.position === "learned" ? Number(model.block_size) : 0;
  const multiplied = run.params - (read + places) * width; // the tables are only looked up
  const seen = Math.min(window, Number(model.attention_window ?? window));
  const keys = seen - seen ** 2 / (2 * window); // half of the window where all of it is seen
  return PASSES * 2 * (multiplied + 2 * layers * width * keys) * tokens;
}
