// What a hyperparameter's value is typed, chosen or switched with.

/** @typedef {import("./config_schema.js").ConfigField} ConfigField */
/** @typedef {import("./config_schema.js").Value} Value */

/**
 * @typedef {object} Control
 * @property {HTMLElement} element
 * @property {HTMLInputElement | HTMLSelectElement} main what the field's label belongs to
 * @property {() => string} read as text, to be parsed
 * @property {(value: Value) => void} show
 */

/** What an optional number begins with when it is switched on. */
const FIRST_VALUES = new Map([
  ["model.attention_window", 16],
  ["train.window", 64],
  ["train.patience", 10],
  ["train.grad_clip", 1],
]);

/**
 * @param {ConfigField} field
 * @param {string} id of its main control
 * @returns {Control}
 */
export function controlOf(field, id) {
  switch (field.type) {
    case "boolean":
      return switchOf(id);
    case "choice":
      return selectOf(field, id);
    default:
      return field.nullable ? optionalNumber(field, id) : number(field, id);
  }
}

/** @param {string} id @returns {Control} */
function switchOf(id) {
  const element = document.createElement("span");
  element.className = "switch";
  const box = toggle();
  box.id = id;
  element.append(box);
  return {
    element,
    main: box,
    read: () => String(box.checked),
    show: (value) => (box.checked = value === true),
  };
}

/** @param {ConfigField} field @param {string} id @returns {Control} */
function selectOf(field, id) {
  const select = document.createElement("select");
  select.className = "select";
  select.id = id;
  select.append(...field.choices.map((choice) => new Option(choice, choice)));
  return {
    element: select,
    main: select,
    read: () => select.value,
    show: (value) => (select.value = String(value)),
  };
}

/** @param {ConfigField} field @param {string} id @returns {Control} */
function number(field, id) {
  const input = document.createElement("input");
  input.className = "input";
  input.type = "number";
  input.id = id;
  input.step = stepOf(field);
  if (field.min) input.min = String(field.min.value);
  if (field.max) input.max = String(field.max.value);
  return {
    element: input,
    main: input,
    // A browser gives an empty text for what it cannot read as a number.
    read: () => (input.validity.badInput ? "?" : input.value),
    show: (value) => (input.value = value === null ? "" : String(value)),
  };
}

/** @param {ConfigField} field @param {string} id @returns {Control} */
function optionalNumber(field, id) {
  const inner = number(field, id);
  const input = /** @type {HTMLInputElement} */ (inner.main);
  const element = document.createElement("span");
  element.className = "config-optional switch";
  const box = toggle();
  box.setAttribute("aria-label", `Use ${field.name}`);
  element.append(box, input);
  let last = String(FIRST_VALUES.get(field.path) ?? field.min?.value ?? 1);
  const use = (/** @type {boolean} */ used) => {
    box.checked = used;
    input.disabled = !used;
    input.placeholder = used ? "" : "off";
  };
  // Before the row around it hears of the same event and reads the value.
  box.addEventListener("input", () => {
    if (!box.checked) last = input.value || last;
    use(box.checked);
    input.value = box.checked ? last : "";
    if (box.checked) input.select();
  });
  return {
    element,
    main: input,
    read: () => (box.checked ? inner.read() || "?" : ""),
    show: (value) => {
      use(value !== null);
      inner.show(value);
    },
  };
}

function toggle() {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.setAttribute("role", "switch");
  return box;
}

/**
 * @param {ConfigField} field
 * @returns {string} how far an arrow key goes: for fractions, a tenth of the default's size
 */
function stepOf(field) {
  if (field.type === "integer") return "1";
  const usual = Number(field.default) || 0.1;
  return String(10 ** (Math.floor(Math.log10(usual)) - 1));
}
