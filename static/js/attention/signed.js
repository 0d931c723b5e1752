// Numbers around zero: how they are written, and how strongly they are coloured.

/**
 * @param {number} value
 * @param {number} [digits]
 * @returns {string} "+0.123", "−0.040", and "0.000" for what rounds to nothing
 */
export function signed(value, digits = 3) {
  const size = Math.abs(value).toFixed(digits);
  if (Number(size) === 0) return size;
  return `${value > 0 ? "+" : "−"}${size}`;
}

/** @param {Iterable<number>} values @returns {number} the largest distance from zero; never 0 */
export function reach(values) {
  let largest = 1e-12;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return largest;
}

/**
 * Colour an element by a share of the strongest: orange above zero, blue below.
 * @param {HTMLElement} element of a class that has .is-tinted's rules
 * @param {number} share -1 to 1
 */
export function tint(element, share) {
  const strength = Math.min(1, Math.abs(share));
  element.style.setProperty("--share", `${(100 * strength).toFixed(1)}%`);
  element.classList.toggle("is-negative", share < 0);
}
