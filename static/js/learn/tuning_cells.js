// Cells of the tables in the lesson on tuning.

/**
 * @param {string} words
 * @param {string} [className]
 * @returns {HTMLTableCellElement}
 */
export function cell(words, className = "") {
  const element = document.createElement("td");
  element.className = className;
  element.textContent = words;
  return element;
}

/**
 * @param {string} words
 * @returns {HTMLTableCellElement} of a row
 */
export function heading(words) {
  const element = document.createElement("th");
  element.scope = "row";
  element.textContent = words;
  return element;
}
