// Where the values of a setting stand along an axis: numbers by size, all else one after another.
import { valueText } from "./sweep_table.js";

/**
 * @typedef {object} FieldAxis
 * @property {boolean} log whether equal ratios are equally far apart
 * @property {(value: unknown) => number} place where on the axis: the number, or its logarithm, or
 *   the index of what is no number
 * @property {[number, number]} range of places, from the lowest to the highest
 * @property {{ at: number, text: string }[]} ticks
 */

const DECADE = 10;
const MOST_VALUES = 6;
const MOST_TICKS = 5;

/**
 * @param {readonly unknown[]} values of all runs of a sweep, one for each
 * @returns {FieldAxis}
 */
export function fieldAxis(values) {
  const numbers = values.filter((value) => typeof value === "number");
  return numbers.length === values.length && values.length > 0
    ? numericAxis(numbers)
    : categoryAxis(values);
}

/** @param {number[]} values @returns {FieldAxis} */
function numericAxis(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const log = low > 0 && high / low > DECADE;
  const place = (/** @type {unknown} */ value) => (log ? Math.log10(Number(value)) : Number(value));
  const distinct = [...new Set(values)].sort((a, b) => a - b);
  const range = /** @type {[number, number]} */ ([place(low), place(high)]);
  const ticks =
    distinct.length <= MOST_VALUES
      ? distinct.map((value) => ({ at: place(value), text: valueText(value) }))
      : log
        ? logTicks(range)
        : roundTicks(range);
  return { log, place, range, ticks };
}

/**
 * @param {[number, number]} range
 * @returns {{ at: number, text: string }[]} a few round numbers, evenly spaced
 */
export function roundTicks([low, high]) {
  const rough = (high - low) / MOST_TICKS;
  if (!(rough > 0)) return [{ at: low, text: valueText(low) }];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((size) => size * power >= rough) ?? 10);
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) {
    ticks.push({ at: i * step, text: valueText(i * step) });
  }
  return ticks;
}

/** Powers of ten, and thrice them where those are few. @param {[number, number]} range of logarithms */
function logTicks([low, high]) {
  const sizes = high - low > MOST_TICKS / 2 ? [1] : [1, 3];
  const ticks = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const size of sizes) {
      const at = power + Math.log10(size);
      if (at >= low && at <= high) ticks.push({ at, text: valueText(size * 10 ** power) });
    }
  }
  return ticks;
}

/** @param {readonly unknown[]} values @returns {FieldAxis} */
function categoryAxis(values) {
  const texts = [...new Map(values.map((value) => [valueText(value), value]))].sort(
    ([one, a], [other, b]) => rank(a) - rank(b) || one.localeCompare(other),
  );
  const order = texts.map(([text]) => text);
  return {
    log: false,
    place: (value) => order.indexOf(valueText(value)),
    range: [0, Math.max(0, order.length - 1)],
    ticks: order.map((text, at) => ({ at, text })),
  };
}

/** Nothing comes first, then numbers by size, then words. @param {unknown} value */
function rank(value) {
  if (typeof value === "number") return value;
  return value === null || value === undefined ? -Number.MAX_VALUE : Number.MAX_VALUE;
}
