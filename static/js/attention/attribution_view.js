// Direct logit attribution: what each part of the model added to one token's logit.

import { percent } from "../format.js";
import { part } from "../parts.js";
import { barCell, headCell, rowOf } from "./bar_cell.js";
import { HeadGrid } from "./head_grid.js";
import { reach, signed } from "./signed.js";
import { tokenName } from "./token_name.js";

/**
 * @typedef {import("../attention_api.js").Attribution} Attribution
 * @typedef {import("../attention_api.js").Contribution} Contribution
 * @typedef {{ layer: number, head: number }} Place
 */

const LISTED = 16;

/** what each kind of part is called, and several of them */
const NAMES = /** @type {Record<Contribution["part"], [one: string, several: string]>} */ ({
  embedding: ["embedding", "embeddings"],
  head: ["head", "heads"],
  attention_bias: ["attention bias", "attention biases"],
  mlp: ["mlp", "mlps"],
  norm_bias: ["last norm's bias", "last norm's biases"],
  output_bias: ["output bias", "output biases"],
});

export class AttributionView {
  /**
   * @param {HTMLElement} root with the parts attribution, parts and sum
   * @param {(place: Place) => void} onChoose
   */
  constructor(root, onChoose) {
    this.root = root;
    this.grid = new HeadGrid(part(root, "attribution"), onChoose, { idle: "–" });
  }

  /**
   * @param {Attribution} attribution
   * @param {{ n_layer: number, n_head: number }} shape
   * @param {Place} chosen
   */
  show({ target, probability, logit, parts }, { n_layer, n_head }, chosen) {
    const values = Array.from({ length: n_layer }, () => new Array(n_head).fill(null));
    for (const { part: kind, layer, head, logit: added } of parts) {
      if (kind === "head" && layer !== null && head !== null) values[layer][head] = added;
    }
    this.grid.show({
      nLayer: n_layer,
      nHead: n_head,
      values,
      pressed: (layer, head) => layer === chosen.layer && head === chosen.head,
      name: ({ layer, head }) => `Layer ${layer}, head ${head}`,
    });
    const ordered = [...parts].sort((a, b) => Math.abs(b.logit) - Math.abs(a.logit));
    const most = reach(parts.map((one) => one.logit));
    const rows = ordered.slice(0, LISTED).map((one) => {
      return rowOf(
        headCell(nameOf(one)),
        barCell(signed(one.logit), one.logit / most, { signed: true }),
      );
    });
    const rest = ordered.slice(LISTED);
    if (rest.length) {
      const left = sum(rest);
      const name = `${rest.length} smaller parts`;
      rows.push(rowOf(headCell(name), barCell(signed(left), left / most, { signed: true })));
    }
    part(this.root, "parts")
      .querySelector("tbody")
      ?.replaceChildren(...rows);
    part(this.root, "sum").textContent =
      `${sumOf(parts)} = ${signed(sum(parts))}: the logit of ${tokenName(target)} is ${signed(logit)} ` +
      `against the average one, which makes it ${percent(probability)} likely.`;
  }
}

/** @param {Contribution[]} parts @returns {string} "embedding −0.1, heads +2.0, mlps +1.1" */
function sumOf(parts) {
  return Object.entries(NAMES)
    .map(([kind, names]) => ({ names, of: parts.filter((one) => one.part === kind) }))
    .filter(({ of }) => of.length > 0)
    .map(({ names: [one, several], of }) => `${of.length > 1 ? several : one} ${signed(sum(of))}`)
    .join(", ");
}

/** @param {Contribution[]} parts */
function sum(parts) {
  return parts.reduce((total, { logit }) => total + logit, 0);
}

/** @param {Contribution} contribution */
function nameOf({ part: kind, layer, head }) {
  if (kind === "head") return `layer ${layer}, head ${head}`;
  return layer === null ? NAMES[kind][0] : `layer ${layer}, ${NAMES[kind][0]}`;
}
