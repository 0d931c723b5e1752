// From what the page's state says of a side to what the server is asked for.

/**
 * @typedef {import("../api.js").Run} Run
 * @typedef {import("../attention_api.js").AttentionRequest} AttentionRequest
 * @typedef {import("../attention_api.js").RunReading} RunReading
 * @typedef {import("./attention_state.js").AttentionState} AttentionState
 * @typedef {number | null} Step null: trained to the end, or the newest weights so far
 * @typedef {0 | 1} Index of a side
 */

/** What each side is called in the page's state. */
export const NAMES = /** @type {const} */ ([
  { run: "run", step: "step", layer: "layer", head: "head" },
  { run: "run2", step: "step2", layer: "layer2", head: "head2" },
]);

/** @param {AttentionState} state @param {Index} side */
export function selectionOf({ shown }, side) {
  const { run, step, layer, head } = NAMES[side];
  return { run: shown[run], step: shown[step], layer: shown[layer], head: shown[head] };
}

/**
 * Two runs read the same window: as much as both can see.
 * @param {AttentionState} state
 * @param {readonly Run[]} runs
 * @param {Index} side
 * @param {Step} step
 * @returns {RunReading}
 */
export function readingOf(state, runs, side, step) {
  const { run: one, run2: two } = state.shown;
  const { run } = selectionOf(state, side);
  const sizes = runs.filter(({ id }) => id === one || id === two).map((each) => each.block_size);
  const length = two ? Math.min(...sizes) : null;
  return { run, step: askedStep(runs, run, step), text: state.read, length };
}

/**
 * @param {AttentionState} state
 * @param {readonly Run[]} runs
 * @param {Index} side
 * @param {Step} step
 * @returns {AttentionRequest[]} for all heads; then, where they are wanted, for the merged maps of
 *   each layer, and of all
 */
export function requestsOf(state, runs, side, step) {
  const { kind, merge } = state.shown;
  const request = { ...readingOf(state, runs, side, step), kind };
  if (merge === "none") return [request];
  return [
    request,
    { ...request, merge: "heads", merge_by: merge },
    { ...request, merge: "all", merge_by: merge },
  ];
}

/**
 * @param {AttentionState} state
 * @param {readonly Run[]} runs
 * @param {Index} side
 * @param {import("../thumbnails.js").Place} [place] of the map; else it is the chosen one
 * @returns {AttentionRequest} for one map
 */
export function mapRequestOf(state, runs, side, place) {
  const { kind, merge, merged: chosen } = state.shown;
  const selection = selectionOf(state, side);
  const { layer, head, merged } = place ?? { ...selection, merged: chosen };
  const request = { ...readingOf(state, runs, side, selection.step), kind };
  if (!merged || merge === "none") return { ...request, layers: [layer], heads: [head] };
  if (merged === "all") return { ...request, merge: "all", merge_by: merge };
  return { ...request, layers: [layer], merge: "heads", merge_by: merge };
}

/**
 * @param {readonly Run[]} runs
 * @param {string} id
 * @param {Step} step
 * @returns {Step} of a run that is training its newest snapshot, in place of its final weights
 */
function askedStep(runs, id, step) {
  const run = runs.find((each) => each.id === id);
  return run?.training && step === null ? (run.steps.at(-1) ?? null) : step;
}
