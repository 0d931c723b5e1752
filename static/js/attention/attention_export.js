// What a side of the attention page shows, as files.
import { announce } from "../announce.js";
import { attentionFile } from "../attention_api.js";
import { byteValues } from "../compact_maps.js";
import { download } from "../download.js";
import { exportedPage } from "./exported_page.js";
import { headsPicture } from "./heads_picture.js";
import { linesPicture, pngOf } from "./lines_picture.js";
import { csv, fileName } from "./map_files.js";
import { mapPicture } from "./map_picture.js";
import { readNpy } from "./npy.js";

/**
 * @typedef {import("./panel_context.js").PanelContext} PanelContext
 * @typedef {import("./attention_side.js").AttentionSide} AttentionSide
 * @typedef {"png" | "svg" | "csv" | "json" | "npy" | "heads" | "html"} Kind
 */

/** @type {[kind: Kind, word: string, what: string][]} */
const KINDS = [
  ["png", "PNG", "The picture"],
  ["svg", "SVG", "The picture, for print"],
  ["csv", "CSV", "The numbers, one a line"],
  ["json", "JSON", "The numbers, as the API gives them"],
  ["npy", "npy", "The numbers, for NumPy"],
  ["heads", "All heads, PNG", "Every map in one picture"],
  ["html", "Web page", "Every map in one file that opens without this server"],
];

export class AttentionExport {
  #side;
  #context;
  #menu;

  /**
   * @param {HTMLElement} element where the menu is put
   * @param {AttentionSide} side
   * @param {PanelContext} context
   */
  constructor(element, side, context) {
    this.#side = side;
    this.#context = context;
    this.#menu = document.createElement("details");
    this.#menu.className = "exports";
    const summary = document.createElement("summary");
    summary.className = "button is-quiet";
    summary.textContent = "Save as …";
    const list = document.createElement("div");
    list.className = "exports-list";
    list.append(...KINDS.map((kind) => this.#button(kind)));
    this.#menu.append(summary, list);
    element.replaceChildren(this.#menu);
    this.#closeByItself(summary);
  }

  /** @param {[kind: Kind, word: string, what: string]} entry */
  #button([kind, word, what]) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "exports-kind";
    button.dataset.export = kind;
    const name = document.createElement("strong");
    name.textContent = word;
    const note = document.createElement("span");
    note.textContent = what;
    button.append(name, " ", note);
    button.addEventListener("click", () => this.#save(kind));
    return button;
  }

  /** @param {HTMLElement} summary */
  #closeByItself(summary) {
    document.addEventListener("click", ({ target }) => {
      if (!this.#menu.contains(/** @type {Node} */ (target))) this.#menu.open = false;
    });
    this.#menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#menu.open) return;
      event.stopPropagation();
      this.#menu.open = false;
      summary.focus();
    });
  }

  /** @param {Kind} kind */
  async #save(kind) {
    this.#menu.open = false;
    const all = kind === "heads" || kind === "html";
    const title = all ? `${this.#runTitle}, all heads` : this.#title;
    const name = fileName(title, kind === "heads" ? "png" : kind);
    try {
      download(name, await this.#file(kind));
      announce(`Saved ${name}`);
    } catch (error) {
      announce(`That could not be saved: ${/** @type {Error} */ (error).message}`);
    }
  }

  /** @param {Kind} kind @returns {Promise<Blob>} */
  async #file(kind) {
    switch (kind) {
      case "json":
        return attentionFile(this.#side.chosenRequest, "application/json");
      case "npy":
        return attentionFile(this.#side.chosenRequest, "application/x-npy");
      case "csv":
        return new Blob([csv(this.#tokens, await this.#weights())], { type: "text/csv" });
      case "heads":
        return headsPicture(
          `${this.#runTitle}: ${this.#kindWords}`,
          this.#maps,
          this.#context.colouring(),
        );
      case "html":
        return this.#page();
      default:
        return this.#picture(kind);
    }
  }

  /** @param {"png" | "svg"} format */
  async #picture(format) {
    const drawn = {
      title: this.#title,
      tokens: this.#tokens,
      weights: await this.#weights(),
      colouring: this.#context.colouring(),
    };
    if (this.#context.state.shown.view !== "lines") return mapPicture(drawn, format);
    const svg = linesPicture(drawn, this.#side.view.lines.visible);
    return format === "svg" ? svg : pngOf(svg);
  }

  async #page() {
    const colouring = this.#context.colouring();
    const { layers, heads, shape } = this.#maps.header;
    const { reading, selection } = this.#side;
    const { kind } = this.#maps.header;
    const { layer, head } = selection;
    const row = Math.max(0, layers.indexOf(layer));
    const column = Math.max(0, heads.indexOf(head));
    const values = [...byteValues(this.#maps.header)];
    return exportedPage({
      title: `${this.#runTitle}: what every head looks at`,
      facts: this.#facts(),
      maps: this.#maps,
      shades: values.map((value) => Math.round(255 * colouring.share(value))),
      chosen: Math.min(row, shape[0] - 1) * shape[1] + Math.min(column, shape[1] - 1),
      weights: await this.#numbers({ ...reading, kind, layers: [layer], heads: [head] }),
    });
  }

  /** @returns {[name: string, value: string][]} */
  #facts() {
    const { run, step, text, text_offset } = {
      ...this.#maps.header,
      ...this.#side.reading,
    };
    const { sink, log } = this.#context.state.shown;
    const colours = `${log ? "logarithmic" : "linear"}${sink ? ", without the first token" : ""}`;
    const { layer, head } = this.#side.selection;
    /** @type {[string, string]} */
    const seen = ["Seen of it", `what comes after its first ${text_offset} characters`];
    return [
      ["Run", run],
      ["Training step", step == null ? "final" : String(step)],
      ["Maps", this.#kindWords],
      ["Exact", `layer ${layer}, head ${head}; the others are rounded to 256 levels`],
      ["Colours", colours],
      ["Text", text],
      ...(text_offset ? [seen] : []),
      ["Seen at", this.#context.state.link],
    ];
  }

  get #maps() {
    const { maps } = this.#side;
    if (!maps) throw new Error("the maps are not here yet");
    return maps;
  }

  get #tokens() {
    return this.#maps.header.tokens;
  }

  get #title() {
    return this.#side.words.join(", ");
  }

  get #runTitle() {
    const { run, step } = this.#maps.header;
    return step === null ? run : `${run}, step ${step}`;
  }

  get #kindWords() {
    return this.#maps.header.kind.replace("_", "-");
  }

  /** @returns {Promise<Float32Array>} the exact numbers of the chosen map */
  async #weights() {
    return this.#side.exact ?? this.#numbers(this.#side.chosenRequest);
  }

  /** @param {import("../attention_api.js").AttentionRequest} request for one map */
  async #numbers(request) {
    const file = await attentionFile(request, "application/x-npy");
    return readNpy(await file.arrayBuffer());
  }
}
