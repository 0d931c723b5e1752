// Tabs, each with a panel: only the open one works.

/** @typedef {import("./panel_context.js").Panel} Panel */

export class PanelTabs {
  #tabs;
  #root;
  /** @type {Map<string, Panel>} */
  #panels = new Map();
  #open = "";
  #waits = false;

  /**
   * @param {HTMLElement} root with a tablist and the panels' sections
   * @param {(name: string) => void} onOpen a person has chosen another
   */
  constructor(root, onOpen) {
    this.#root = root;
    this.#tabs = /** @type {HTMLElement[]} */ ([...root.querySelectorAll("[role=tab]")]);
    for (const tab of this.#tabs) {
      this.section(tab.dataset.tab ?? "").inert = true; // until there is somebody to listen
      tab.addEventListener("click", () => onOpen(tab.dataset.tab ?? ""));
      tab.addEventListener("keydown", (event) => this.#onKey(event, tab, onOpen));
    }
  }

  /** @param {string} name @returns {HTMLElement} the panel's section */
  section(name) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(`[data-panel="${name}"]`));
  }

  /** @param {string} name @param {Panel} panel */
  add(name, panel) {
    this.#panels.set(name, panel);
    this.section(name).inert = false;
  }

  /** @param {string} name */
  open(name) {
    if (name !== this.#open) this.#panels.get(this.#open)?.hide?.();
    this.#open = name;
    for (const tab of this.#tabs) {
      const is = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(is));
      tab.tabIndex = is ? 0 : -1;
      this.section(tab.dataset.tab ?? "").hidden = !is;
      if (is) reveal(tab);
    }
    this.changed();
  }

  /** Something that the open panel shows may be different: it is told once the rest is painted. */
  changed() {
    if (this.#waits) return;
    this.#waits = true;
    requestAnimationFrame(() =>
      setTimeout(() => {
        this.#waits = false;
        this.#panels.get(this.#open)?.show();
      }),
    );
  }

  /**
   * @param {KeyboardEvent} event
   * @param {HTMLElement} tab
   * @param {(name: string) => void} onOpen
   */
  #onKey(event, tab, onOpen) {
    const last = this.#tabs.length - 1;
    const at = this.#tabs.indexOf(tab);
    const to = {
      ArrowLeft: at === 0 ? last : at - 1,
      ArrowRight: at === last ? 0 : at + 1,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#tabs[to].focus();
    onOpen(this.#tabs[to].dataset.tab ?? "");
  }
}

/** Scroll the row of tabs, and nothing else, to where it can be read. @param {HTMLElement} tab */
function reveal(tab) {
  const row = /** @type {HTMLElement} */ (tab.parentElement);
  const left = tab.offsetLeft - row.offsetLeft;
  if (left < row.scrollLeft || left + tab.offsetWidth > row.scrollLeft + row.clientWidth)
    row.scrollLeft = left - (row.clientWidth - tab.offsetWidth) / 2;
}
