// What each head looks at: small pictures of their maps, with what each of them does.
import { FIELDS } from "../attention/attention_state.js";
import { barCell, headCell, rowOf } from "../attention/bar_cell.js";
import { scoreOf } from "../attention/head_order.js";
import { reach } from "../attention/signed.js";
import { Colouring } from "../colour_scale.js";
import { bytePixels, paintTriangle, triangleOf } from "../compact_maps.js";
import { link } from "../elements.js";
import { addressOf } from "../state.js";

/**
 * @typedef {import("../attention_api.js").AttentionMaps} AttentionMaps
 * @typedef {import("../attention_api.js").Roles} Roles
 * @typedef {import("../attention_api.js").Role} Role
 * @typedef {import("../attention_api.js").HeadScores} HeadScores
 * @typedef {{ run: string, step: number | null, text: string }} Reading
 */

/** More pixels would be lost on so small a picture. */
const LARGEST_PICTURE = 128;

/** Every weight is a share of 1, so all pictures of the page have the same colours. */
const WHOLE = 1;

/**
 * @param {Reading} reading
 * @param {number} layer
 * @param {number} head
 * @returns {string} where the head can be looked at closely
 */
function attentionAddress({ run, step, text }, layer, head) {
  return addressOf("/attention", FIELDS, { run, step, text, layer, head });
}

/**
 * @param {AttentionMaps} maps of the layers and heads that are shown
 * @param {Reading} reading what they are of
 * @param {Roles | null} roles what the heads do, where that is told
 * @returns {HTMLElement[]} a row of pictures for each layer, each a link
 */
export function headRows(maps, reading, roles = null) {
  const { layers, heads } = maps.header;
  return layers.map((layer, row) => {
    const element = document.createElement("div");
    element.className = "head-tiles";
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", `Layer ${layer}`);
    element.style.setProperty("--n-head", String(heads.length));
    element.append(
      ...heads.map((head, column) => {
        const scores = roles?.heads.find((each) => each.layer === layer && each.head === head);
        const tile = tileOf(attentionAddress(reading, layer, head), layer, head);
        tile.prepend(picture(maps, row * heads.length + column));
        if (roles && scores) tile.append(...deeds(roles, scores));
        return tile;
      }),
    );
    return element;
  });
}

/**
 * @param {string} address
 * @param {number} layer
 * @param {number} head
 */
function tileOf(address, layer, head) {
  const tile = document.createElement("a");
  tile.className = "head-tile";
  tile.href = address;
  const name = document.createElement("span");
  name.className = "head-tile-name";
  name.textContent = `L${layer} H${head}`;
  tile.append(name);
  return tile;
}

/** @param {AttentionMaps} maps @param {number} index */
function picture(maps, index) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("aria-hidden", "true");
  const { header } = maps;
  const paint = () => {
    const pixels = bytePixels(header, new Colouring(WHOLE));
    paintTriangle(canvas, triangleOf(maps, index), header.length, pixels, LARGEST_PICTURE);
  };
  paint();
  repainted.set(canvas, paint);
  return canvas;
}

/** @type {WeakMap<HTMLCanvasElement, () => void>} how each picture is painted anew */
const repainted = new WeakMap();

document.addEventListener("themechange", () => {
  for (const canvas of document.querySelectorAll("canvas")) repainted.get(canvas)?.();
});

/**
 * @param {Roles} roles
 * @param {HeadScores} scores
 * @returns {HTMLElement[]} its badges with their scores; without any, the role it comes closest to
 */
function deeds({ roles }, scores) {
  const shares = roles.filter(({ badge_from }) => badge_from !== null);
  // Measured by what a badge takes, as some scores are large for any head.
  const nearness = (/** @type {Role} */ { name, badge_from }) =>
    scoreOf(scores, name, false) / (badge_from ?? 1);
  const pointing = shares.filter(({ name }) => name !== "diffuse");
  const closest = pointing.reduce((a, b) => (nearness(b) > nearness(a) ? b : a));
  const worn = shares.filter(({ name }) => scores.badges.includes(name));
  return (worn.length ? worn : [closest]).map((role) => {
    const line = document.createElement("span");
    line.className = worn.length ? "head-tile-role chip is-different" : "head-tile-role";
    line.title = role.definition;
    line.textContent = `${role.title} ${scoreOf(scores, role.name, false).toFixed(2)}`;
    return line;
  });
}

/**
 * All scores of all heads.
 * @param {HTMLElement} table with a thead and a tbody
 * @param {Roles} roles
 * @param {Reading} reading
 */
export function showScores(table, { roles, heads }, reading) {
  const columns = roles.map(({ title, definition, unit }) => {
    const cell = headCell(unit === "share" ? title : `${title}, in ${unit}`, "col");
    cell.title = definition;
    return cell;
  });
  table.querySelector("thead")?.replaceChildren(rowOf(headCell("Head", "col"), ...columns));
  const most = roles.map(({ name, unit }) =>
    unit === "share" ? 1 : reach(heads.map((head) => scoreOf(head, name, false))),
  );
  table.querySelector("tbody")?.replaceChildren(
    ...heads.map((scores) => {
      const name = headCell("");
      const { layer, head } = scores;
      const anchor = link(attentionAddress(reading, layer, head), `L${layer} H${head}`);
      anchor.setAttribute("aria-label", `Layer ${layer}, head ${head}`);
      name.append(anchor);
      const cells = roles.map((role, i) => {
        const score = scoreOf(scores, role.name, false);
        return barCell(score.toFixed(role.unit === "tokens" ? 1 : 2), score / most[i]);
      });
      return rowOf(name, ...cells);
    }),
  );
}

/**
 * What the roles mean.
 * @param {HTMLElement} list
 * @param {Roles} roles
 */
export function showDefinitions(list, { roles, random_tokens, random_sequences }) {
  list.replaceChildren(
    ...roles.flatMap(({ title, definition, on, source }) => {
      const term = document.createElement("dt");
      const description = document.createElement("dd");
      term.textContent = title;
      const random = ` On ${random_sequences} random sequences of ${random_tokens} tokens, each twice the same half.`;
      description.textContent = `${definition}${on === "text" ? "" : random} ${source}.`;
      return [term, description];
    }),
  );
}
