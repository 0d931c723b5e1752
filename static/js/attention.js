// The attention page. Its first maps are asked for before the rest of the page is here.
import { AttentionState } from "./attention/attention_state.js";
import { MapsStore } from "./attention/maps_store.js";
import { settleRuns } from "./attention/shown_runs.js";
import { mapRequestOf, requestsOf, selectionOf } from "./attention/side_request.js";
import { pageData } from "./page_data.js";
import { byId, part } from "./parts.js";

const { runs } = pageData();
const state = new AttentionState();
const store = new MapsStore();

/** @param {0 | 1} side */
function askFor(side) {
  const { step } = selectionOf(state, side);
  for (const request of requestsOf(state, runs, side, step)) store.prefetch(request);
  store.prefetchHead(mapRequestOf(state, runs, side));
}

const missing = settleRuns(state, runs);
byId("missing").hidden = missing.length === 0;
byId("missing").textContent =
  `No run with attention heads is called ${missing.join(" or ")}; another is shown instead.`;
if (state.shown.run === "") {
  part(byId("sides"), "waiting").textContent =
    "No run here has attention heads yet. Train one: sidelight train baseline";
} else {
  if (state.read) askFor(0);
  if (state.read && state.shown.run2) askFor(1);
  const { AttentionPage } = await import("./attention/attention_page.js");
  await new AttentionPage(state, runs, store).start();
}
