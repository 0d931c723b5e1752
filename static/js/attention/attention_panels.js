// What the attention page has beside its maps: panels, the replay, files.

import { byId, part } from "../parts.js";
import { AttentionExport } from "./attention_export.js";
import { DifferencePanel } from "./difference_panel.js";
import { InsidePanel } from "./inside_panel.js";
import { ReplayBar } from "./replay_bar.js";
import { RolesPanel } from "./roles_panel.js";
import { SwitchOffPanel } from "./switch_off_panel.js";
import { TokenPanel } from "./token_panel.js";

/**
 * @param {import("./panel_tabs.js").PanelTabs} tabs
 * @param {import("./panel_context.js").PanelContext} context
 * @param {import("./attention_side.js").AttentionSide[]} sides both of them
 */
export function addPanels(tabs, context, sides) {
  tabs.add("token", new TokenPanel(tabs.section("token"), context));
  tabs.add("inside", new InsidePanel(tabs.section("inside"), context));
  tabs.add("roles", new RolesPanel(tabs.section("roles"), context));
  tabs.add("difference", new DifferencePanel(tabs.section("difference"), context));
  tabs.add("switch-off", new SwitchOffPanel(tabs.section("switch-off"), context));
  new AttentionExport(part(sides[0].element, "exports"), sides[0], context);
  new AttentionExport(part(sides[1].element, "exports"), sides[1], context);
  new ReplayBar(byId("replay-bar"), context).show();
}
