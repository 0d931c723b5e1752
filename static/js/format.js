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

/**
 * @param {number} seconds
 * @returns {string} "4.2 s", "45 s", "3 min 5 s", "2 h"
 */
export function duration(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return inTwo(whole, "min", "s");
  return inTwo(Math.round(whole / 60), "h", "min");
}

/**
 * @param {number} count
 * @returns {string} "812 bytes", "1.1 MB", "8.2 GB"
 */
export function bytes(count) {
  if (count < 1000) return `${count} bytes`;
  const power = Math.min(4, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${["", "kB", "MB", "GB", "TB"][power]}`;
}

/**
 * @param {number} count of the smaller unit
 * @param {string} larger 60 of the smaller
 * @param {string} smaller
 */
function inTwo(count, larger, smaller) {
  const [many, rest] = [Math.floor(count / 60), count % 60];
  return rest ? `${grouped(many)} ${larger} ${rest} ${smaller}` : `${grouped(many)} ${larger}`;
}
