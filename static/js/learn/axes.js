// What small figures of our own are drawn with: axes with round ticks, numbers, pieces of SVG.

/**
 * @typedef {object} Scale
 * @property {number[]} ticks
 * @property {(value: number) => number} share where a value lies, from 0 at the beginning to 1 at the
 *   end
 * @property {(tick: number) => string} text
 */

const FEW_DECADES = 2;
const SVG = "http://www.w3.org/2000/svg";
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/**
 * @param {number} least
 * @param {number} most more than that
 * @param {number} [steps] about so many from tick to tick
 * @returns {Scale} from the tick at or below the one to the tick at or above the other
 */
export function evenScale(least, most, steps = 4) {
  const rough = (most - least) / steps;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((each) => each * power >= rough) ?? 10);
  const bottom = Math.floor(least / step);
  const count = Math.ceil(most / step - 1e-9) - bottom;
  const ticks = Array.from({ length: count + 1 }, (_, index) => (bottom + index) * step);
  const share = (/** @type {number} */ value) => (value / step - bottom) / count;
  const text = (/** @type {number} */ tick) => String(Number(tick.toPrecision(6)));
  return { ticks, share, text };
}

/**
 * Equal factors are equal distances.
 * @param {number} least above 0
 * @param {number} most
 * @param {number} room how many ticks there is room for
 * @returns {Scale}
 */
export function logScale(least, most, room) {
  const [first, last] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  const few = Math.log10(most / least) <= FEW_DECADES;
  const stride = few ? 1 : Math.ceil((last - first) / room);
  const ticks = [];
  for (let power = first; power <= last; power += stride) {
    ticks.push(...(few ? [1, 2, 5] : [1]).map((digit) => Number(`${digit}e${power}`)));
  }
  const bottom = few ? (ticks.findLast((tick) => tick <= least) ?? ticks[0]) : ticks[0];
  const top = few ? (ticks.find((tick) => tick >= most && tick > bottom) ?? most) : 10 ** last;
  const share = (/** @type {number} */ value) => Math.log(value / bottom) / Math.log(top / bottom);
  const shown = ticks.filter((tick) => tick >= bottom && tick <= top);
  return { ticks: shown, share, text: powerText };
}

/**
 * @param {number} value
 * @returns {string} three digits: "0.0123", "4.56", "12,300", "1.23 · 10⁻⁶"
 */
export function threeDigits(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) {
    const [digits, power] = value.toExponential(2).split("e");
    return `${digits} · ${tenTo(Number(power))}`;
  }
  const rounded = Number(value.toPrecision(3));
  if (size >= 1000) return rounded.toLocaleString("en-US");
  return value === 0 ? "0" : value.toPrecision(3);
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 */
export function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/** @param {number} tick */
function powerText(tick) {
  if (tick >= 1e-3 && tick <= 1e4) return tick.toLocaleString("en-US");
  const [digit, power] = tick.toExponential(0).split("e");
  return digit === "1" ? tenTo(Number(power)) : `${digit} · ${tenTo(Number(power))}`;
}

/** @param {number} power */
function tenTo(power) {
  const digits = [...String(Math.abs(power))].map((digit) => SUPERSCRIPTS[Number(digit)]);
  return `10${power < 0 ? "⁻" : ""}${digits.join("")}`;
}
