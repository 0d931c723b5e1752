// Controls that show a field of the page's state, and change it: switches, choices, sliders.

/** @typedef {Record<string, any>} State */

/**
 * Each control names its field in `data-state`. Several may share one; they then stay the same.
 * @param {State} state
 * @param {(name: string) => void} onChange
 */
export function bindControls(state, onChange) {
  for (const control of controls("")) {
    show(control, state);
    control.addEventListener("input", () => {
      const name = control.dataset.state ?? "";
      state[name] = read(control);
      for (const other of controls(`="${name}"`)) show(other, state);
      onChange(name);
    });
  }
}

/** @param {string} which @returns {HTMLInputElement[]} */
function controls(which) {
  return [...document.querySelectorAll(`input[data-state${which}]`)].map(
    (element) => /** @type {HTMLInputElement} */ (element),
  );
}

/** @param {HTMLInputElement} control */
function read(control) {
  if (control.type === "checkbox") return control.checked;
  return control.type === "range" ? Number(control.value) : control.value;
}

/** @param {HTMLInputElement} control @param {State} state */
function show(control, state) {
  const value = state[control.dataset.state ?? ""];
  if (control.type === "checkbox") control.checked = value;
  else if (control.type === "radio") control.checked = control.value === value;
  else {
    control.value = String(value);
    const output = document.querySelector(`output[for="${control.id}"]`);
    if (output) output.textContent = value ? String(value) : "off";
  }
}
