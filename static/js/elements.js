// Small pieces of a page that several of its parts are made of.

/**
 * @param {string} href
 * @param {string} words
 * @returns {HTMLAnchorElement}
 */
export function link(href, words) {
  const anchor = document.createElement("a");
  anchor.href = href;
  anchor.textContent = words;
  return anchor;
}

/**
 * @param {[name: string, value: string]} entry of a list of numbers
 * @returns {HTMLElement[]} its term and its description
 */
export function entryOf([name, value]) {
  const term = document.createElement("dt");
  const description = document.createElement("dd");
  term.textContent = name;
  description.textContent = value;
  description.className = "number";
  return [term, description];
}
