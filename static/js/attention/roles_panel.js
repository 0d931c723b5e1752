// "Head roles": what each head does, as scores, badges and definitions.
import { headRoles } from "../attention_api.js";
import { download } from "../download.js";
import { part } from "../parts.js";
import { orderedHeads } from "./head_order.js";
import { PanelFrame } from "./panel_frame.js";
import { showRoles } from "./role_table.js";

/**
 * @typedef {import("./panel_context.js").PanelContext} PanelContext
 * @typedef {import("../attention_api.js").Roles} Roles
 * @typedef {import("../attention_api.js").Role} Role
 */

/** Maps come first: what each head does is looked up once the page has been at rest. */
const AT_REST_MS = 600;

/** @type {Record<Role["unit"], string>} */
const UNITS = { share: "a share, 0 to 1", bits: "in bits", tokens: "in tokens" };

export class RolesPanel {
  /** @type {Roles | null} */
  #roles = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #open = false;
  /** what is drawn, to draw it only once @type {Roles | null} */
  #drawnRoles = null;
  #drawn = "";

  /**
   * @param {HTMLElement} element
   * @param {PanelContext} context
   */
  constructor(element, context) {
    this.element = element;
    this.context = context;
    this.frame = new PanelFrame(element);
    this.order = /** @type {HTMLSelectElement} */ (this.#part("order"));
    this.least = /** @type {HTMLInputElement} */ (this.#part("least"));
    this.uncorrected = /** @type {HTMLInputElement} */ (this.#part("uncorrected"));
    const { state } = context;
    this.order.addEventListener("change", () => state.set({ order: this.order.value }));
    this.least.addEventListener("input", () => state.set({ least: Number(this.least.value) }));
    this.uncorrected.addEventListener("change", () =>
      state.set({ uncorrected: this.uncorrected.checked }),
    );
    this.#part("csv").addEventListener("click", () => this.#download());
    this.#part("table").addEventListener("click", (event) => this.#onClick(event));
    state.on(["text", "end", "run", "step"], () => this.#loadLater());
    state.on(["order", "least"], () => this.#load());
    if (state.shown.order) this.#load();
    else this.#loadLater();
  }

  show() {
    this.#open = true;
    this.#load();
    this.#draw();
  }

  hide() {
    this.#open = false;
  }

  #loadLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.context.maps()) this.#load();
      else this.#loadLater();
    }, AT_REST_MS);
  }

  #load() {
    clearTimeout(this.#timer);
    const reading = this.context.request();
    if (!reading.text) {
      this.#roles = null;
      this.frame.empty("Type a text to see what the heads do with it.");
      this.context.setRoles(null);
      return;
    }
    const { run, step = null } = reading;
    if (run !== this.#roles?.run || step !== this.#roles.step) this.context.setRoles(null);
    this.frame.ask(reading, headRoles, (roles) => {
      this.#roles = roles;
      this.context.setRoles(roles);
      this.#fill(roles);
      this.#draw();
    });
  }

  /** @param {Roles} roles */
  #fill({ roles, random_sequences, random_tokens }) {
    const names = roles.map(({ name, title }) => new Option(title, name));
    this.order.replaceChildren(new Option("Layer and head", ""), ...names);
    this.#part("definitions").replaceChildren(
      ...roles.flatMap((role) => {
        const term = document.createElement("dt");
        term.textContent = role.title;
        const random = `On ${random_sequences} random sequences of ${random_tokens} tokens, each twice the same half.`;
        const on = role.on === "text" ? "On this text." : random;
        const from =
          role.badge_from === null ? "No badge." : `Badge from ${role.badge_from.toFixed(2)}.`;
        const description = document.createElement("dd");
        description.textContent = `${role.definition} ${on} ${sentence(UNITS[role.unit])} ${from} Source: ${role.source}.`;
        return [term, description];
      }),
    );
  }

  #draw() {
    const roles = this.#roles;
    if (!roles || !this.#open) return;
    const { order, least, uncorrected, layer, head } = this.context.state.shown;
    const drawn = [order, least, uncorrected, layer, head].join(" ");
    if (roles === this.#drawnRoles && drawn === this.#drawn) return;
    this.#drawnRoles = roles;
    this.#drawn = drawn;
    const known = roles.roles.find(({ name }) => name === order);
    this.order.value = known ? order : "";
    this.least.value = String(least);
    this.least.disabled = !known;
    this.uncorrected.checked = uncorrected;
    this.#part("least-value").textContent = least.toFixed(2);
    const heads = orderedHeads(roles, { order, least, uncorrected });
    showRoles(this.#part("table"), roles, heads, this.context.state.shown);
    const where = uncorrected ? "with the first token" : "without the first token";
    this.#part("note").textContent =
      `${heads.length} of ${roles.heads.length} heads. Scores ${where}, where that makes sense. Click a head to select it.`;
  }

  /** @param {MouseEvent} event */
  #onClick({ target }) {
    const element = /** @type {Element} */ (target);
    const sort = /** @type {HTMLElement | null} */ (element.closest("[data-sort]"));
    const row = /** @type {HTMLElement | null} */ (element.closest("tbody tr"));
    if (sort) this.context.state.set({ order: sort.dataset.sort });
    else if (row) {
      this.context.state.set({ layer: Number(row.dataset.layer), head: Number(row.dataset.head) });
    }
  }

  #download() {
    const roles = this.#roles;
    if (!roles) return;
    const names = roles.roles.map(({ name }) => name);
    const head = ["layer", "head", "badges", ...names, ...names.map((name) => `${name}_corrected`)];
    const rows = roles.heads.map(({ layer, head, badges, scores, corrected }) => [
      layer,
      head,
      badges.join(" "),
      ...names.map((name) => scores[name]),
      ...names.map((name) => corrected[name] ?? ""),
    ]);
    const text = [head, ...rows].map((cells) => `${cells.join(",")}\n`).join("");
    const name = `${roles.run}-step-${roles.step ?? "final"}-head-roles.csv`;
    download(name, new Blob([text], { type: "text/csv" }));
  }

  /** @param {string} name */
  #part(name) {
    return part(this.element, name);
  }
}

/** @param {string} words @returns {string} with a capital and a full stop */
function sentence(words) {
  return `${words[0].toUpperCase()}${words.slice(1)}.`;
}
