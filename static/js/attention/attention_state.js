// What the attention page shows, kept in its address; whoever shows a part of it is told of changes.
import {
  addressOf,
  choice,
  flag,
  integer,
  list,
  number,
  optional,
  readAddress,
  text,
  writeAddress,
} from "../state.js";

export const KINDS = /** @type {const} */ (["raw", "value_weighted", "output_weighted", "rollout"]);
export const MERGES = /** @type {const} */ (["none", "mean", "max"]);
export const VIEWS = /** @type {const} */ (["map", "lines", "table"]);
export const PANELS = /** @type {const} */ ([
  "token",
  "inside",
  "roles",
  "switch-off",
  "difference",
]);
export const MATCHES = /** @type {const} */ (["place", "layer", "anywhere"]);

const place = integer(0, 0, 999);
const position = optional(integer(0, 0, 1e6));

export const FIELDS = {
  text: text("To be, or not to be: that is"),
  /** how many characters of the text have been read; null: all of them */
  end: optional(integer(1, 1, 1e6)),
  run: text("baseline"),
  step: optional(integer(0, 0, 1e9)),
  layer: place,
  head: place,
  run2: text(""),
  step2: optional(integer(0, 0, 1e9)),
  layer2: place,
  head2: place,
  /** the cursor, in the window of the first side */
  query: position,
  key: position,
  kind: choice("raw", KINDS),
  /** how the maps of a layer, and of all layers, are shown as one beside the others */
  merge: choice("none", MERGES),
  /** a merged map is chosen: of the selected layer, or of all */
  merged: choice("", ["", "layer", "all"]),
  sink: flag(false),
  log: flag(false),
  view: choice("map", VIEWS),
  panel: choice("token", PANELS),
  /** the role by which heads are ordered, "" for their places, and the least score that is shown */
  order: text(""),
  least: number(0, 0, 1),
  match: choice("place", MATCHES),
  /** heads that are switched off, as "layer.head" */
  off: list([]),
  fill: choice("zero", ["zero", "mean"]),
  /** a text is replayed: how many of its characters were the prompt */
  replay: position,
  temperature: number(1, 0, 10),
  top_k: optional(integer(1, 1, 1e6)),
  top_p: number(1, 0, 1),
  seed: optional(integer(0, 0, 2 ** 31 - 1)),
  /** of the panels: how heads are merged over a text, keys in their order, the next token to explain
   *  ("" is the text's own), scores with the first token, characters to write */
  across: choice("mean", ["mean", "max"]),
  in_order: flag(false),
  target: text(""),
  uncorrected: flag(false),
  write: integer(100, 0, 500),
};

/** @typedef {import("../state.js").State<typeof FIELDS>} Shown */
/** @typedef {keyof Shown} Field */

/** Browsers refuse addresses that change too often, and a cursor moves with the pointer. */
const WRITTEN_AFTER_MS = 120;

export class AttentionState {
  /** @type {{ fields: Field[] | null, listener: () => void }[]} */
  #listeners = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #writes;

  constructor() {
    /** @type {Shown} */
    this.shown = readAddress(FIELDS);
  }

  /**
   * @param {Field[]} fields
   * @param {() => void} listener called once for each `set` that changes one of them
   */
  on(fields, listener) {
    this.#listeners.push({ fields, listener });
  }

  /** @param {() => void} listener called once for each `set` that changes anything */
  onAny(listener) {
    this.#listeners.push({ fields: null, listener });
  }

  /** @param {Partial<Shown>} changes */
  set(changes) {
    const changed = /** @type {Field[]} */ (Object.keys(changes)).filter(
      (name) => String(changes[name]) !== String(this.shown[name]),
    );
    if (changed.length === 0) return;
    Object.assign(this.shown, changes);
    this.#writes ??= setTimeout(() => {
      this.#writes = undefined;
      writeAddress(FIELDS, this.shown);
    }, WRITTEN_AFTER_MS);
    for (const { fields, listener } of this.#listeners) {
      if (!fields || fields.some((name) => changed.includes(name))) listener();
    }
  }

  /** The address that reopens what is shown. */
  get link() {
    return location.origin + addressOf(location.pathname, FIELDS, this.shown);
  }

  /** The text that has been read: all of it, or its beginning. */
  get read() {
    const { text: all, end } = this.shown;
    return end === null ? all : [...all].slice(0, end).join("");
  }
}
