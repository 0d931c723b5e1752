// One run on the attention page: its heads, the chosen one's map, the text shaded by it.
import { isAbort } from "./api.js";
import { attentionFile, attentionMaps } from "./attention_api.js";
import { download } from "./download.js";
import { glyphs } from "./glyphs.js";
import { Heatmap } from "./heatmap.js";
import { tokenUnit } from "./losses.js";
import { readNpy } from "./npy.js";
import { Thumbnails } from "./thumbnails.js";
import { TokenStrip } from "./token_strip.js";

/**
 * @typedef {import("./api.js").Run} Run
 * @typedef {import("./thumbnails.js").Place} Place
 * @typedef {{ run: string, step: number | null, layer: number, head: number }} Selection
 * @typedef {{ query: number, key: number }} Cell positions in the whole text
 */

export class AttentionSide {
  /**
   * @param {HTMLElement} element
   * @param {Run[]} runs
   * @param {Selection} selection
   * @param {{ changed: () => void, picked: () => void, moved: (cell: Cell | null) => void }} listener
   */
  constructor(element, runs, selection, listener) {
    this.element = element;
    this.runs = runs;
    this.selection = selection;
    this.listener = listener;
    this.text = "";
    this.brightest = 1;
    /** @type {import("./attention_api.js").AttentionMaps | null} */
    this.maps = null;
    /** @type {AbortController | null} */
    this.request = null;
    this.thumbnails = new Thumbnails(this.part("thumbnails"), (place) => this.#choose(place));
    this.heatmap = new Heatmap(this.part("heatmap"), (cell) => this.#moved(cell));
    this.strip = new TokenStrip(this.part("strip"), (query) => this.#look(query));
    this.#fillRuns();
    this.#fillSteps();
    this.part("run").addEventListener("change", () => this.#pickRun());
    this.part("step").addEventListener("change", () => this.#pickStep());
    for (const button of element.querySelectorAll("[data-export]")) {
      button.addEventListener("click", () =>
        this.#export(/** @type {HTMLElement} */ (button).dataset.export ?? ""),
      );
    }
  }

  /** @param {string} name @returns {HTMLElement} */
  part(name) {
    return /** @type {HTMLElement} */ (this.element.querySelector(`[data-part=${name}]`));
  }

  /** @returns {Run | undefined} */
  get run() {
    return this.runs.find((run) => run.id === this.selection.run);
  }

  /** Ask for the maps of a text. Resolves when they are here, or the reason is shown. @param {string} text */
  async load(text) {
    this.text = text;
    this.request?.abort();
    const request = (this.request = new AbortController());
    this.maps = null;
    if (!text) return this.#say("Type something to see what the heads make of it.");
    this.#say("Loading…");
    try {
      this.maps = await attentionMaps(this.#asked(), request.signal);
      this.strip.show(this.maps.header.tokens);
    } catch (error) {
      if (!isAbort(error)) this.#fail(/** @type {Error} */ (error));
    }
  }

  /** @param {boolean} withoutFirst @returns {number} the largest weight that the colours must reach */
  largest(withoutFirst) {
    if (!this.maps || !withoutFirst) return 1;
    const { triangles, header } = this.maps;
    let [largest, at] = [0, 0];
    while (at < triangles.length) {
      for (let query = 0; query < header.length; query++) {
        for (let key = 0; key <= query; key++, at++)
          if (key > 0 && triangles[at] > largest) largest = triangles[at];
      }
    }
    return Math.max(0.01, largest / header.scale);
  }

  /** @param {number} brightest the weight that gets the strongest colour */
  async paint(brightest) {
    this.brightest = brightest;
    if (!this.maps) return;
    const { header } = this.maps;
    this.part("waiting").hidden = true;
    this.part("alert").hidden = true;
    this.part("figures").hidden = false;
    const cropped = this.part("cropped");
    cropped.hidden = !header.text_offset;
    cropped.textContent = `This run sees ${header.length} ${tokenUnit(this.run)} at once: the first ${header.text_offset} characters of the text are left out.`;
    this.selection.layer = Math.min(this.selection.layer, header.n_layer - 1);
    this.selection.head = Math.min(this.selection.head, header.n_head - 1);
    this.thumbnails.choose(this.selection);
    this.thumbnails.show(this.maps, brightest);
    await this.#showHead();
  }

  /** @param {Cell | null} cell in the whole text; shown here without telling anybody */
  mark(cell) {
    const offset = this.maps?.header.text_offset ?? 0;
    this.heatmap.mark(cell && { query: cell.query - offset, key: cell.key - offset });
    this.#describe();
  }

  async #showHead() {
    if (!this.maps) return;
    const { layer, head } = this.selection;
    const { tokens } = this.maps.header;
    this.part("title").textContent = `Layer ${layer}, head ${head}`;
    try {
      const blob = await attentionFile(
        this.#askedHead(),
        "application/x-npy",
        this.request?.signal,
      );
      const weights = readNpy(await blob.arrayBuffer());
      if (layer !== this.selection.layer || head !== this.selection.head) return;
      await this.heatmap.show(weights, tokens, this.brightest);
      this.element.dataset.shown = `${this.selection.run} ${this.selection.step ?? "final"} ${layer} ${head}`;
      this.#describe();
    } catch (error) {
      if (!isAbort(error)) this.#fail(/** @type {Error} */ (error));
    }
  }

  #asked() {
    return { run: this.selection.run, step: this.selection.step, text: this.text };
  }

  #askedHead() {
    return { ...this.#asked(), layers: [this.selection.layer], heads: [this.selection.head] };
  }

  /** @param {Place} place */
  #choose(place) {
    Object.assign(this.selection, place);
    this.#showHead();
    this.listener.changed();
  }

  #pickRun() {
    this.selection.run = /** @type {HTMLSelectElement} */ (this.part("run")).value;
    this.selection.step = null;
    this.#fillSteps();
    this.listener.picked();
  }

  #pickStep() {
    const { value } = /** @type {HTMLSelectElement} */ (this.part("step"));
    this.selection.step = value === "" ? null : Number(value);
    this.listener.picked();
  }

  /** @param {import("./heatmap.js").Cell | null} cell */
  #moved(cell) {
    this.#describe();
    const offset = this.maps?.header.text_offset ?? 0;
    this.listener.moved(cell && { query: cell.query + offset, key: cell.key + offset });
  }

  /** @param {number} query put the cursor on what it attends to most */
  #look(query) {
    let key = 0;
    for (let k = 1; k <= query; k++) {
      if (this.heatmap.weight({ query, key: k }) > this.heatmap.weight({ query, key })) key = k;
    }
    this.heatmap.move({ query, key });
  }

  #describe() {
    const { cell } = this.heatmap;
    const { tokens } = this.heatmap;
    const readout = this.part("readout");
    this.strip.shade(cell?.query ?? null, (key) => {
      return this.heatmap.weight({ query: cell?.query ?? 0, key }) / this.brightest;
    });
    if (!cell) {
      readout.textContent = "Point at a cell, or move with the arrow keys.";
      return;
    }
    const name = (/** @type {number} */ i) => `'${glyphs(tokens[i])}' (${i})`;
    const weight = cell.key > cell.query ? "not seen yet" : this.heatmap.weight(cell).toFixed(4);
    readout.textContent = `query ${name(cell.query)} → key ${name(cell.key)}: ${weight}`;
  }

  /** @param {string} kind */
  async #export(kind) {
    const { run, step, layer, head } = this.selection;
    const words = [run, `step ${step ?? "final"}`, `layer ${layer}`, `head ${head}`];
    const name = `${words.join(" ").replaceAll(" ", "-")}.${kind}`;
    try {
      if (kind === "json")
        download(name, await attentionFile(this.#askedHead(), "application/json"));
      else if (kind === "csv") download(name, new Blob([this.#csv()], { type: "text/csv" }));
      else download(name, imageOf(await this.heatmap.image(words.join(", "))));
    } catch (error) {
      this.#fail(/** @type {Error} */ (error));
    }
  }

  #csv() {
    const { tokens } = this.heatmap;
    const quoted = tokens.map((token) => `"${token.replaceAll('"', '""')}"`);
    const lines = ["query,query_token,key,key_token,weight"];
    for (let query = 0; query < tokens.length; query++) {
      for (let key = 0; key <= query; key++) {
        lines.push(
          [query, quoted[query], key, quoted[key], this.heatmap.weight({ query, key })].join(","),
        );
      }
    }
    return `${lines.join("\n")}\n`;
  }

  #fillRuns() {
    const options = this.runs.map((run) => {
      const option = new Option(run.attention ? run.title : `${run.title} (has no heads)`, run.id);
      option.disabled = !run.attention;
      option.selected = run.id === this.selection.run;
      return option;
    });
    this.part("run").replaceChildren(...options);
  }

  #fillSteps() {
    const steps = this.run?.steps ?? [];
    const options = steps.map((step) => new Option(step.toLocaleString("en-US"), String(step)));
    options.push(new Option("final", ""));
    for (const option of options)
      option.selected = option.value === String(this.selection.step ?? "");
    this.part("step").replaceChildren(...options);
  }

  /** @param {string} message shown in place of the figures, unless there are some already */
  #say(message) {
    const waiting = this.part("waiting");
    waiting.textContent = message;
    waiting.hidden = false;
    this.part("alert").hidden = true;
    if (!this.text) this.part("figures").hidden = true;
  }

  /** @param {Error} error */
  #fail(error) {
    const alert = this.part("alert");
    alert.textContent = error.message;
    alert.hidden = false;
    this.part("waiting").hidden = true;
    this.part("figures").hidden = true;
  }
}

/** @param {string} address a data address @returns {Blob} */
function imageOf(address) {
  const bytes = Uint8Array.from(atob(address.split(",")[1]), (character) =>
    character.charCodeAt(0),
  );
  return new Blob([bytes], { type: "image/png" });
}
