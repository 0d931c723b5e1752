// A running average that takes the jitter out of a curve.

/**
 * Exponential moving average, divided by the weight it has gathered: without that the first values
 * would be drawn towards 0. A value that is no number stays as it is, and is not averaged in.
 * @param {readonly number[]} values
 * @param {number} weight of what came before, from 0 (nothing is smoothed) to below 1
 * @returns {number[]} as many as there are values
 */
export function smoothed(values, weight) {
  let [sum, gathered] = [0, 0];
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    sum = weight * sum + (1 - weight) * value;
    gathered = weight * gathered + (1 - weight);
    return sum / gathered;
  });
}
