// A number in a table, with a bar below it.

/**
 * @param {string} words
 * @param {number} share how long the bar is, 0 to 1; -1 to 1 where it is signed
 * @param {{ signed?: boolean }} [options] signed: it begins in the middle
 * @returns {HTMLTableCellElement}
 */
export function barCell(words, share, { signed = false } = {}) {
  const cell = document.createElement("td");
  cell.className = "number bar-cell";
  cell.textContent = words;
  showBar(cell, share, { signed });
  return cell;
}

/**
 * @param {HTMLElement} element of class bar-cell
 * @param {number} share
 * @param {{ signed?: boolean }} [options]
 */
export function showBar(element, share, { signed = false } = {}) {
  const length = Math.min(1, Math.abs(share)) * (signed ? 50 : 100);
  const from = signed ? 50 - (share < 0 ? length : 0) : 0;
  element.style.setProperty("--begin", `${from.toFixed(2)}%`);
  element.style.setProperty("--end", `${(from + length).toFixed(2)}%`);
  element.classList.toggle("is-negative", share < 0);
}

/**
 * @param {string} words
 * @param {string} [scope]
 * @returns {HTMLTableCellElement}
 */
export function headCell(words, scope = "row") {
  const cell = document.createElement("th");
  cell.scope = scope;
  cell.textContent = words;
  return cell;
}

/** @param {string} words @returns {HTMLTableCellElement} */
export function textCell(words) {
  const cell = document.createElement("td");
  cell.textContent = words;
  return cell;
}

/** @param {...HTMLElement} cells @returns {HTMLTableRowElement} */
export function rowOf(...cells) {
  const row = document.createElement("tr");
  row.append(...cells);
  return row;
}
