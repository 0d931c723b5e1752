// What is wrong with a field, said at the field.
//
// A field is any element with `data-param`, the name that the API knows it by. Its first control is
// marked as invalid and described by the message; a closed <details> around it opens.

/**
 * @param {ParentNode} root
 * @param {string | null} param a dotted path; an error inside of a field counts as the field's
 * @returns {HTMLElement | null} the field it speaks of, if the form has it
 */
export function fieldOf(root, param) {
  for (let path = param ?? ""; path; path = path.slice(0, Math.max(0, path.lastIndexOf(".")))) {
    const field = root.querySelector(`[data-param="${CSS.escape(path)}"]`);
    if (field) return /** @type {HTMLElement} */ (field);
  }
  return null;
}

/**
 * @param {HTMLElement} field
 * @param {string} message
 * @param {{ aloud?: boolean }} [options] aloud: read out at once, and not only at the field
 */
export function showProblem(field, message, { aloud = false } = {}) {
  clearProblem(field);
  const words = document.createElement("p");
  words.className = "field-problem";
  words.id = `problem-${field.dataset.param}`;
  if (aloud) words.setAttribute("role", "alert");
  words.textContent = asSentence(message);
  field.append(words);
  field.classList.add("is-wrong");
  for (const control of controls(field)) {
    control.setAttribute("aria-invalid", "true");
    describe(control, [...descriptions(control), words.id]);
  }
  for (let outer = field.closest("details"); outer; ) {
    outer.open = true;
    outer = outer.parentElement?.closest("details") ?? null;
  }
}

/**
 * @param {HTMLElement} field
 * @returns {string} what is said to be wrong with it; empty where nothing is
 */
export function problemOf(field) {
  return field.querySelector(":scope > .field-problem")?.textContent ?? "";
}

/** @param {HTMLElement} field */
export function clearProblem(field) {
  const words = field.querySelector(":scope > .field-problem");
  if (!words) return;
  words.remove();
  field.classList.remove("is-wrong");
  for (const control of controls(field)) {
    control.removeAttribute("aria-invalid");
    describe(
      control,
      descriptions(control).filter((id) => id !== words.id),
    );
  }
}

/** @param {ParentNode} root */
export function clearProblems(root) {
  for (const field of root.querySelectorAll(".is-wrong")) {
    clearProblem(/** @type {HTMLElement} */ (field));
  }
}

/**
 * @param {ParentNode} root
 * @returns {boolean} whether there was a problem to go to
 */
export function focusFirstProblem(root) {
  const field = /** @type {HTMLElement | null} */ (root.querySelector(".is-wrong"));
  if (!field) return false;
  const control =
    controls(field).find((each) => !each.disabled && !each.hidden) ?? controls(field)[0];
  control?.focus();
  return true;
}

/**
 * @param {HTMLElement} field
 * @returns {(HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement)[]} what one types or picks
 *   in, without the switches beside it
 */
function controls(field) {
  const found = /** @type {NodeListOf<HTMLInputElement>} */ (
    field.querySelectorAll("input, select, textarea")
  );
  const typed = [...found].filter(({ type }) => type !== "checkbox");
  return typed.length > 0 ? typed : [...found];
}

/** @param {string} message @returns {string} a name of a file or a setting stays as it is written */
function asSentence(message) {
  return /^[a-z]+\b(?![._:])/.test(message) ? message[0].toUpperCase() + message.slice(1) : message;
}

/** @param {Element} control */
function descriptions(control) {
  return (control.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id !== "");
}

/**
 * @param {Element} control
 * @param {string[]} ids
 */
function describe(control, ids) {
  if (ids.length > 0) control.setAttribute("aria-describedby", ids.join(" "));
  else control.removeAttribute("aria-describedby");
}
