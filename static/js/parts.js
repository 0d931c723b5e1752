// The named parts of a piece of the page.

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} name what its `data-part` says
 * @returns {T}
 */
export function part(root, name) {
  const element = root.querySelector(`[data-part="${name}"]`);
  if (!element) throw new Error(`there is no part ${name}`);
  return /** @type {T} */ (element);
}

/**
 * @param {string} id
 * @returns {HTMLElement} of the page
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/**
 * @param {HTMLElement} element
 * @param {string} words it is hidden where there are none
 */
export function showWords(element, words) {
  element.textContent = words;
  element.hidden = words === "";
}

/**
 * @param {HTMLTemplateElement} template
 * @returns {HTMLElement} a new copy of the one element in it
 */
export function copyOf(template) {
  const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
  return /** @type {HTMLElement} */ (copy.firstElementChild);
}
