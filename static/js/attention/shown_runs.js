// Which runs can be shown on the attention page.

/** @typedef {import("../api.js").Run} Run */

/**
 * @param {readonly Run[]} runs
 * @param {string} wanted a run's id
 * @param {number} fallback the place of another among those with heads
 * @returns {string} an id; empty where no run has any
 */
export function knownRun(runs, wanted, fallback) {
  const some = runs.filter(({ attention }) => attention);
  return (some.find(({ id }) => id === wanted) ?? some[fallback] ?? some[0])?.id ?? "";
}

/**
 * Put others in place of runs that are gone, or have no heads, as an old link may name them.
 * @param {import("./attention_state.js").AttentionState} state
 * @param {readonly Run[]} runs
 * @returns {string[]} those that were asked for in vain
 */
export function settleRuns(state, runs) {
  const asked = [...new URLSearchParams(location.search)];
  const missing = asked
    .filter(([name]) => name === "run" || name === "run2")
    .map(([, id]) => id)
    .filter((id) => id && !runs.some((run) => run.id === id && run.attention));
  const { run, run2, merge } = state.shown;
  state.set({
    run: knownRun(runs, run, 0),
    run2: run2 && knownRun(runs, run2, 1),
    ...(merge === "none" && { merged: "" }),
  });
  return missing;
}
