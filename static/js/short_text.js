// A text cut to the room that there is.

const measure = document.createElement("canvas").getContext("2d");

/**
 * @param {string} text
 * @param {number} width in pixels
 * @param {string} font as in CSS: "13px serif"
 * @returns {string} the text, or as much of its beginning as fits, with "…"
 */
export function shortened(text, width, font) {
  if (!measure) throw new Error("the browser measures no text");
  measure.font = font;
  const fits = (/** @type {string} */ words) => measure.measureText(words).width <= width;
  if (fits(text)) return text;
  const letters = [...text]; // not in the middle of one
  let [some, tooMany] = [0, letters.length];
  while (tooMany - some > 1) {
    const half = Math.floor((some + tooMany) / 2);
    if (fits(`${letters.slice(0, half).join("")}…`)) some = half;
    else tooMany = half;
  }
  return `${letters.slice(0, some).join("").trimEnd()}…`;
}
