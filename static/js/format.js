// Numbers as a person reads them.

/**
 * @param {number} value a probability
 * @returns {string} "41.2 %", "0.03 %"
 */
export function percent(value) {
  const hundredths = value * 100;
  if (hundredths > 0 && hundredths < 0.01) return "< 0.01 %";
  return `${hundredths.toFixed(hundredths < 1 ? 2 : 1)} %`;
}

/**
 * @param {number} count parameters
 * @returns {string} "0.210 M"
 */
export function millions(count) {
  return `${(count / 1e6).toFixed(3)} M`;
}

/**
 * @param {number} count
 * @returns {string} "10,000"
 */
export function grouped(count) {
  return count.toLocaleString("en-US");
}
