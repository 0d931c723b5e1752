// The attention page: one text, one run or two beside one another, one scale, one cursor.
import { announce } from "./announce.js";
import { AttentionSide } from "./attention_side.js";
import { pageData } from "./page_data.js";
import { flag, integer, optional, readAddress, text, writeAddress } from "./state.js";

const LOADS_AFTER_MS = 250;
const FIELDS = {
  text: text("To be, or not to be: that is"),
  run: text("baseline"),
  step: optional(integer(0, 0, 1e9)),
  layer: integer(0, 0, 999),
  head: integer(0, 0, 999),
  run2: text(""),
  step2: optional(integer(0, 0, 1e9)),
  layer2: integer(0, 0, 999),
  head2: integer(0, 0, 999),
  sink: flag(false),
};

const { runs } = pageData();
const withHeads = runs.filter((run) => run.attention);
const state = readAddress(FIELDS);

/** @param {string} id */
const byId = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));
const [textBox, compare, sink] = [byId("text"), byId("compare"), byId("sink")];

textBox.value = state.text;
compare.checked = state.run2 !== "";
sink.checked = state.sink;

/** @param {string} wanted @param {number} fallback */
function known(wanted, fallback) {
  const run = withHeads.find(({ id }) => id === wanted) ?? withHeads[fallback] ?? withHeads[0];
  return run?.id ?? "";
}

/** An old link may name a run that is gone, or one without heads: say so, rather than swap it unseen. */
function tellWhatIsMissing() {
  const asked = new URLSearchParams(location.search);
  const missing = ["run", "run2"]
    .map((name) => asked.get(name) ?? "")
    .filter((id) => id && !withHeads.some((run) => run.id === id));
  const note = byId("missing");
  note.hidden = missing.length === 0;
  note.textContent = `No run with attention heads is called ${missing.join(" or ")}; another is shown instead.`;
}

const selections = [
  { run: known(state.run, 0), step: state.step, layer: state.layer, head: state.head },
  { run: known(state.run2, 1), step: state.step2, layer: state.layer2, head: state.head2 },
];
const sides = selections.map((selection, i) => {
  const element = /** @type {HTMLElement} */ (document.querySelector(`[data-side="${i + 1}"]`));
  return new AttentionSide(element, runs, selection, {
    changed: remember,
    picked: () => load([sides[i]]),
    moved: (cell) => shown().forEach((side) => side !== sides[i] && side.mark(cell)),
  });
});

function shown() {
  return compare.checked ? sides : sides.slice(0, 1);
}

function remember() {
  const [one, two] = selections;
  writeAddress(FIELDS, {
    ...{ text: textBox.value, run: one.run, step: one.step, layer: one.layer, head: one.head },
    ...(compare.checked && { run2: two.run, step2: two.step, layer2: two.layer, head2: two.head }),
    sink: sink.checked,
  });
}

/** The scale is one for all, so all are painted anew. @param {AttentionSide[]} [which] */
async function load(which = shown()) {
  remember();
  await Promise.all(which.map((side) => side.load(textBox.value)));
  await paint();
}

async function paint() {
  const brightest = Math.max(...shown().map((side) => side.largest(sink.checked)));
  byId("brightest").textContent = brightest.toFixed(2);
  await Promise.all(shown().map((side) => side.paint(brightest)));
}

/** @type {number | undefined} */
let timer;
textBox.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => load(), LOADS_AFTER_MS);
});
compare.addEventListener("change", () => {
  sides[1].element.hidden = !compare.checked;
  load();
});
sink.addEventListener("change", () => {
  remember();
  paint();
});
byId("copy-link").addEventListener("click", async () => {
  await navigator.clipboard.writeText(location.href);
  announce("The link is copied.");
});
document.addEventListener("themechange", paint);

tellWhatIsMissing();
sides[1].element.hidden = !compare.checked;
if (withHeads.length) load();
else
  sides[0].part("waiting").textContent =
    "No run here has attention heads yet. Train one: sidelight train baseline";
