// Selection <-> address, so that a link reopens what it was copied from.
//
// A page describes its state once, as fields:
//   const FIELDS = { run: text("baseline"), layer: integer(0, 0, 99), runs: list([]) };
//   const state = readAddress(FIELDS);      // what the address says, else the defaults
//   writeAddress(FIELDS, state);            // replaces the address; defaults are left out

/**
 * @template T
 * @typedef {{ initial: T, parse: (raw: string) => T | undefined, format: (value: T) => string }} Field
 * `parse` gives undefined for what cannot be used; the initial value then holds.
 */

/** @typedef {Record<string, Field<any>>} Fields */

/**
 * @template {Fields} F
 * @typedef {{ [K in keyof F]: F[K] extends Field<infer T> ? T : never }} State
 */

/**
 * @param {string} initial
 * @returns {Field<string>}
 */
export function text(initial) {
  return { initial, parse: (raw) => raw, format: (value) => value };
}

/**
 * A number between two bounds; what lies outside is brought to the nearer one.
 * @param {number} initial
 * @param {number} min
 * @param {number} max
 * @returns {Field<number>}
 */
export function number(initial, min, max) {
  return {
    initial,
    parse: (raw) => (raw.trim() === "" ? undefined : within(Number(raw), min, max)),
    format: String,
  };
}

/**
 * @param {number} initial
 * @param {number} min
 * @param {number} max
 * @returns {Field<number>}
 */
export function integer(initial, min, max) {
  const parse = number(initial, min, max).parse;
  return {
    initial,
    parse: (raw) => {
      const value = parse(raw);
      return value === undefined ? undefined : Math.round(value);
    },
    format: String,
  };
}

/**
 * A field that may be absent.
 * @template T
 * @param {Field<T>} field
 * @returns {Field<T | null>}
 */
export function optional(field) {
  return {
    initial: null,
    parse: field.parse,
    format: (value) => (value === null ? "" : field.format(value)),
  };
}

/**
 * Words with commas between them, such as run ids.
 * @param {readonly string[]} initial
 * @returns {Field<string[]>}
 */
export function list(initial) {
  return {
    initial: [...initial],
    parse: (raw) => raw.split(",").filter((word) => word !== ""),
    format: (words) => words.join(","),
  };
}

/**
 * @param {boolean} initial
 * @returns {Field<boolean>}
 */
export function flag(initial) {
  return { initial, parse: (raw) => raw === "1", format: (value) => (value ? "1" : "0") };
}

/**
 * One of a few words.
 * @template {string} W
 * @param {W} initial
 * @param {readonly W[]} words
 * @returns {Field<W>}
 */
export function choice(initial, words) {
  return { initial, parse: (raw) => words.find((word) => word === raw), format: String };
}

/**
 * @template {Fields} F
 * @param {F} fields
 * @param {string} [search] an address's part from "?" on
 * @returns {State<F>}
 */
export function readAddress(fields, search = location.search) {
  const params = new URLSearchParams(search);
  /** @type {Record<string, unknown>} */
  const state = {};
  for (const [name, field] of Object.entries(fields)) {
    const raw = params.get(name);
    state[name] = (raw === null ? undefined : field.parse(raw)) ?? field.initial;
  }
  return /** @type {State<F>} */ (state);
}

/**
 * @template {Fields} F
 * @param {string} path
 * @param {F} fields
 * @param {Partial<State<F>>} state
 * @param {{ whole?: boolean }} [options] whole: with the defaults too, for a link that says the same
 *   on a server, or in a version, with other ones
 * @returns {string} the path with everything in it that is not as it is by default
 */
export function addressOf(path, fields, state, { whole = false } = {}) {
  const params = new URLSearchParams();
  for (const [name, field] of Object.entries(fields)) {
    const value = state[name];
    if (value === undefined || value === null) continue;
    const raw = field.format(value);
    const usual = field.initial === null ? null : field.format(field.initial);
    if (whole || raw !== usual) params.set(name, raw);
  }
  const query = params.toString();
  return query ? `${path}?${query}` : path;
}

/**
 * @template {Fields} F
 * @param {F} fields
 * @param {Partial<State<F>>} state
 * @param {{ push?: boolean, whole?: boolean }} [options] push: make it a step that Back undoes
 */
export function writeAddress(fields, state, { push = false, whole = false } = {}) {
  const address = addressOf(location.pathname, fields, state, { whole });
  if (address === location.pathname + location.search) return;
  if (push) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

/**
 * @param {number} value
 * @param {number} min
 * @param {number} max
 * @returns {number | undefined}
 */
function within(value, min, max) {
  return Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : undefined;
}
