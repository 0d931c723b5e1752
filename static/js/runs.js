// The page of runs: table, curves, samples.
import { announce } from "./announce.js";
import { getRun } from "./api.js";
import { drawCurves } from "./curves.js";
import { pageData } from "./page_data.js";
import { changes, columns, sorted } from "./runs_table.js";
import { SampleView } from "./sample_view.js";
import { flag, integer, list, readAddress, writeAddress } from "./state.js";

/** @typedef {import("./api.js").Run} Run */

const MOST_PROMPTED = 4;
const { runs, broken } = pageData();
const baseline = runs.find((run) => run.id === "baseline") ?? runs[0];
const COLUMNS = columns(baseline);
const FIELDS = {
  runs: list(runs.filter((run) => run.kind === "gpt").map((run) => run.id)),
  sort: integer(-1, -1, COLUMNS.length - 1),
  descending: flag(false),
  time: flag(false),
  log: flag(false),
};
const state = readAddress(FIELDS);
const ticked = new Set(state.runs);

/** @type {Map<string, Promise<import("./api.js").RunWithHistory>>} */
const histories = new Map();

/** @param {string} id */
function history(id) {
  const known = histories.get(id) ?? getRun(id);
  histories.set(id, known);
  known.catch(() => histories.delete(id));
  return known;
}

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

function remember() {
  state.runs = runs.map(({ id }) => id).filter((id) => ticked.has(id));
  writeAddress(FIELDS, state);
  const link = /** @type {HTMLAnchorElement} */ (byId("prompt-them"));
  link.href = `/?runs=${state.runs.slice(0, MOST_PROMPTED).join(",")}`;
  const all = state.runs.length <= MOST_PROMPTED;
  const which = all ? "the ticked runs" : `the first ${MOST_PROMPTED} runs`;
  link.textContent = `Prompt ${which} side by side`;
  link.toggleAttribute("hidden", state.runs.length === 0);
}

function drawHead() {
  const cells = COLUMNS.map((column, i) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.name;
    if (column.title) button.title = column.title;
    button.addEventListener("click", () => sortBy(i));
    cell.append(button);
    if (state.sort === i) cell.ariaSort = state.descending ? "descending" : "ascending";
    return cell;
  });
  const tick = document.createElement("td");
  tick.append(hidden("Show its curve"));
  const row = document.createElement("tr");
  row.append(tick, ...cells);
  document.querySelector("#runs thead")?.replaceChildren(row);
}

/** @param {number} column */
function sortBy(column) {
  state.descending = state.sort === column && !state.descending;
  state.sort = column;
  remember();
  drawTable();
  /** @type {HTMLElement | undefined} */ (
    document.querySelectorAll("#runs thead button")[column]
  )?.focus();
}

function drawTable() {
  drawHead();
  const order = state.sort < 0 ? runs : sorted(runs, COLUMNS[state.sort], state.descending);
  document.querySelector("#runs tbody")?.replaceChildren(...order.map(row));
}

/** @param {Run} run */
function row(run) {
  const line = document.createElement("tr");
  line.dataset.run = run.id;
  const tick = document.createElement("td");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = ticked.has(run.id);
  box.setAttribute("aria-label", `Show the curve of ${run.title}`);
  box.addEventListener("change", () => {
    if (box.checked) ticked.add(run.id);
    else ticked.delete(run.id);
    remember();
    showCurves();
  });
  tick.append(box);
  line.append(tick, nameCell(run), changedCell(run));
  for (const column of COLUMNS.slice(2)) {
    const cell = document.createElement("td");
    cell.className = "number";
    cell.textContent = column.text?.(run) ?? "";
    line.append(cell);
  }
  return line;
}

/** @param {Run} run */
function nameCell(run) {
  const cell = document.createElement("th");
  cell.scope = "row";
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = run.title;
  details.append(summary);
  for (const [label, words] of [
    ["Hypothesis", run.hypothesis],
    ["Outcome", run.outcome],
  ]) {
    if (!words) continue;
    const paragraph = document.createElement("p");
    const strong = document.createElement("strong");
    strong.textContent = `${label}. `;
    paragraph.append(strong, words);
    details.append(paragraph);
  }
  const links = document.createElement("p");
  links.append(link(`/?runs=${run.id}`, "Prompt it"));
  if (run.attention) links.append(" · ", link(`/attention?run=${run.id}`, "Look inside"));
  details.append(links);
  cell.append(details);
  return cell;
}

/** @param {Run} run */
function changedCell(run) {
  const cell = document.createElement("td");
  cell.className = "changed";
  for (const { name, value, other } of changes(run, baseline)) {
    const chip = document.createElement("span");
    chip.className = "chip is-different";
    chip.textContent = `${name} ${value}`;
    chip.title = `${name}: ${value}, the baseline has ${other}`;
    cell.append(chip, " ");
  }
  return cell;
}

/** @param {string} href @param {string} words */
function link(href, words) {
  const anchor = document.createElement("a");
  anchor.href = href;
  anchor.textContent = words;
  return anchor;
}

/** @param {string} words */
function hidden(words) {
  const span = document.createElement("span");
  span.className = "visually-hidden";
  span.textContent = words;
  return span;
}

async function showCurves() {
  const alert = byId("curves-alert");
  try {
    const chosen = runs
      .map((run, number) => ({ run, number }))
      .filter(({ run }) => ticked.has(run.id));
    const curves = await Promise.all(
      chosen.map(async ({ run, number }) => ({ run: await history(run.id), number })),
    );
    await drawCurves(byId("curves"), curves, { byTime: state.time, logX: state.log });
    alert.hidden = true;
  } catch (error) {
    alert.textContent = /** @type {Error} */ (error).message;
    alert.hidden = false;
  }
}

/** @param {string} id @param {"time" | "log"} name */
function bind(id, name) {
  const box = /** @type {HTMLInputElement} */ (byId(id));
  box.checked = state[name];
  box.addEventListener("change", () => {
    state[name] = box.checked;
    remember();
    showCurves();
  });
}

function showBroken() {
  byId("broken").hidden = broken.length === 0;
  byId("broken-list").replaceChildren(
    ...broken.map(({ id, reason }) => {
      const item = document.createElement("li");
      item.textContent = `${id}: ${reason}`;
      return item;
    }),
  );
}

function start() {
  remember();
  drawTable();
  bind("by-time", "time");
  bind("log-x", "log");
  showCurves();
  document.addEventListener("themechange", showCurves);
  byId("copy-link").addEventListener("click", async () => {
    await navigator.clipboard.writeText(location.href);
    announce("The link is copied.");
  });
  const best =
    sorted(
      runs.filter((run) => run.attention),
      COLUMNS[6],
      false,
    )[0] ?? runs[0];
  for (const [side, which] of /** @type {const} */ ([
    ["left", "first"],
    ["right", "last"],
  ])) {
    const element = /** @type {HTMLElement} */ (document.querySelector(`[data-sample=${side}]`));
    new SampleView(element, runs, history).show(best.id, which);
  }
}

showBroken();
byId("no-runs").hidden = runs.length > 0;
byId("with-runs").hidden = runs.length === 0;
if (runs.length) start();
