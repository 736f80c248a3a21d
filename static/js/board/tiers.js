// The strip of tiers at the foot of the board: what the order looks like, and where letters can be dropped.

import { LETTERS, unranked } from "./order.js";
import { element, texts } from "./page.js";

/** The parts of the strip, best first: gaps between tiers, tiers, the acceptability line, and those that are not ranked. */
export function tierStrip(state) {
  const { tiers, line, rest } = state;
  const unnamed = unranked(state);
  const chip = (item) =>
    element("span", { class: "chip letter", "data-drag": item, "data-focused": item === state.focus ? "1" : null }, LETTERS[item]);
  const ordinal = (text) => element("span", { class: "ordinal" }, text);
  const gap = (at, above) => element("div", { class: "gap", "data-drop": "insert", "data-at": at, "data-above": above });
  const lineMark = () =>
    element("div", { class: "line", "data-drag": "line" }, element("span", {}, `← ${texts.good_enough}`));

  const parts = [];
  for (let at = 0; at <= tiers.length; at += 1) {
    parts.push(gap(at, "1"));
    if (line === at) parts.push(lineMark(), gap(at, ""));
    if (at === tiers.length) break;
    const attributes = { class: "tier", "data-drop": "join", "data-tier": at };
    parts.push(element("div", attributes, ordinal(texts.short_ordinals[at]), ...tiers[at].map(chip)));
  }
  if (!tiers.length) {
    parts.at(-1).append(element("span", { class: "hint" }, texts.start_here));
    parts.at(-1).append(element("span", { class: "hint short" }, texts.start_here_by_touch));
  }
  parts.at(-1).classList.add("last");

  const isRest = rest && unnamed.length;
  const tray = element("div", { class: isRest ? "tray rest" : "tray", "data-drop": "unrank", "data-label": texts.unranked_label });
  if (unnamed.length) tray.append(ordinal(isRest ? texts.rest_label : texts.unranked_label), ...unnamed.map(chip));
  parts.push(tray);
  if (isRest && line !== null && line > tiers.length) parts.push(lineMark());
  return parts;
}
