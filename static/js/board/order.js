// The weak order while it is being made: pure state, actions, and the notation. No page, no network.
//
// The grammar is that of labeling/ranking.py, and so are the codes and parameters of its errors:
//     order  :=  [ "|" ] tier { ( ">" | "|" ) tier } [ "|" ]          at most one "|"
//     tier   :=  letter { "=" letter }   or   "*", as the last tier
//
// A state is never changed; reduce() makes the next one.
//     items    how many outputs there are; output 0 has the letter A
//     tiers    best first; a tier may be empty while the order is being made (digit 3 before anything is on tier 1);
//              the notation, which is what gets submitted, closes such gaps
//     line     how many tiers lie above the acceptability line; null: no line. With `rest`, tiers.length + 1 is "all of them"
//     rest     the outputs not named lie below all that are named ("> *")
//     focus    the output that digits and signs act on
//     last     the output placed last: what "=" and ">" refer to
//     past     earlier {tiers, line, rest, last}, newest last

export const LETTERS = "ABCDEFGHI";
const MEMORY = 50;

export function initial(items) {
  return { items, tiers: [], line: null, rest: false, focus: 0, last: null, past: [] };
}

// Reading a state

export function tierOf(state, item) {
  return state.tiers.findIndex((tier) => tier.includes(item));
}

export function unranked(state) {
  return allItems(state).filter((item) => tierOf(state, item) < 0);
}

export function isEmpty(state) {
  return state.tiers.every((tier) => tier.length === 0) && state.line === null && !state.rest;
}

/** The notation; "" while it would say nothing. */
export function format({ items, tiers, line, rest }) {
  const levels = [];
  let above = 0;
  tiers.forEach((tier, index) => {
    if (!tier.length) return;
    levels.push([...tier].sort().map((item) => LETTERS[item]).join(" = "));
    if (index < line) above += 1;
  });
  const named = new Set(tiers.flat()).size;
  if (rest && named < items) {
    levels.push("*");
    if (line > tiers.length) above += 1;
  }
  if (!named && (line === null || levels.length === 0)) return "";
  if (line === null) return levels.join(" > ");
  return `${levels.slice(0, above).join(" > ")} | ${levels.slice(above).join(" > ")}`.trim();
}

/** Read the notation: {tiers, line, rest}, or {error: {code, at, params}} with `at` counted in characters from 0. */
export function parse(text, items) {
  const characters = Array.from(text);
  const last = LETTERS[items - 1];
  const tiers = [];
  const seen = new Map();
  let line = null;
  let lineAt = null;
  let restAt = null;
  let waiting = ""; // the sign that waits for its tier ("" at the start), null behind a letter
  const failed = (code, at, params = {}) => ({ error: { code, at, params: { at: at + 1, ...params } } });

  for (const [at, char] of characters.entries()) {
    if (/\s/.test(char)) continue;
    if (char === "|" && (waiting === null || waiting === "")) {
      if (lineAt !== null) return failed("second_line", at, { first: lineAt + 1 });
      [line, lineAt, waiting] = [tiers.length + (restAt !== null), at, "|"];
    } else if (waiting === null) {
      if (restAt !== null) return failed("rest_not_last", at, { found: char });
      if (char !== ">" && char !== "=") return failed("expected_sign", at, { found: char });
      waiting = char;
    } else if (restAt !== null) {
      return failed("rest_not_last", at, { found: char });
    } else if (char === "*") {
      if (waiting === "=") return failed("rest_tied", at);
      [restAt, waiting] = [at, null];
    } else {
      const letter = char.toUpperCase();
      if (!/^[A-Za-z]$/.test(char)) {
        const doubled = char === "|" || (waiting === "|" && (char === ">" || char === "="));
        return failed(doubled ? "line_not_alone" : "expected_letter", at, { found: char, last });
      }
      if (letter > last) return failed("unknown_letter", at, { found: letter, last });
      const item = letter.charCodeAt(0) - 65;
      if (seen.has(item)) return failed("repeated_letter", at, { found: letter, first: seen.get(item) + 1 });
      seen.set(item, at);
      if (waiting === "=") tiers.at(-1).push(item);
      else tiers.push([item]);
      waiting = null;
    }
  }

  const end = Array.from(text.trimEnd()).length;
  const levels = tiers.length + (restAt !== null);
  if (!levels && line === null) return failed("empty", end, { last });
  if (waiting !== null && !(waiting === "|" && levels)) return failed("ends_early", end, { after: waiting, last });
  if (restAt !== null) {
    if (!tiers.length && line === null) return failed("nothing_said", restAt, { last });
    if (seen.size === items) return failed("rest_empty", restAt, { items });
  }
  return { tiers: tiers.map((tier) => tier.sort()), line, rest: restAt !== null };
}

// Changing it

/**
 * What may happen to an order:
 *   {type: "rank", tier}            digit: the focused output goes to that tier (from 1), the focus to the next unranked one
 *   {type: "rank", tier, item}      the same for a named output, which takes the focus
 *   {type: "tie"}, {type: "below"}  = and >: the focused output beside, or in a new tier below, the one placed last
 *   {type: "join", item, tier}      dropped on a tier (from 0)
 *   {type: "insert", item, at, above}   dropped between tiers: a new tier at `at`; `above` the line, where the line is right there
 *   {type: "shift", by}             the focused output one step up (-1) or down (1): out of a tie, or into the next tier
 *   {type: "unrank", item}          back to the unranked; the focused one if no item is named
 *   {type: "line", at}              draw the line below that many tiers; null takes it away
 *   {type: "toggleLine"}            below the focused output's tier; if it is there, above it; if there, away. Below all for one that is not ranked
 *   {type: "toggleRest"}            "> *"
 *   {type: "replace", order}        a parsed notation, or a draft
 *   {type: "focus", item}, {type: "step", by}, {type: "undo"}
 */
export function reduce(state, action) {
  switch (action.type) {
    case "rank": {
      if (action.tier < 1 || action.tier > state.items) return state;
      const item = action.item ?? state.focus;
      if (tierOf(state, item) === action.tier - 1)
        return { ...state, last: item, focus: action.item ?? nextUnranked(state) };
      const tiers = without(state, item);
      while (tiers.length < action.tier) tiers.push([]);
      tiers[action.tier - 1].push(item);
      const next = changed(state, { tiers, last: item });
      return { ...next, focus: action.item ?? nextUnranked(next) };
    }
    case "tie":
    case "below": {
      const item = state.focus;
      if (item === state.last) return { ...state, focus: nextUnranked(state) };
      const reference = state.last === null ? -1 : tierOf(state, state.last);
      let next;
      if (reference < 0) next = inserted(state, item, state.tiers.length, true);
      else if (action.type === "tie") next = joined(state, item, reference);
      else next = inserted(state, item, reference + 1, state.line !== reference + 1);
      return { ...next, focus: nextUnranked(next) };
    }
    case "join":
      return { ...joined(state, action.item, action.tier), focus: action.item };
    case "insert":
      return { ...inserted(state, action.item, action.at, action.above), focus: action.item };
    case "shift":
      return shifted(state, state.focus, action.by);
    case "unrank": {
      const item = action.item ?? state.focus;
      if (tierOf(state, item) < 0) return { ...state, focus: item };
      const { tiers, line } = pulledOut(state, item);
      return { ...changed(state, { tiers, line, last: null }), focus: item };
    }
    case "line":
      return action.at === state.line ? state : changed(state, { line: action.at });
    case "toggleLine": {
      const tier = tierOf(state, state.focus);
      const below = tier < 0 ? state.tiers.length : tier + 1;
      if (state.line !== below) return changed(state, { line: tier >= 0 && state.line === tier ? null : below });
      return changed(state, { line: tier < 0 ? null : tier });
    }
    case "toggleRest":
      return changed(state, { rest: !state.rest });
    case "replace": {
      const { tiers, line, rest } = action.order;
      const next = { ...state, tiers: tiers.map((tier) => [...tier]), line, rest };
      return format(next) === format(state) ? state : changed(state, { ...next, last: tiers.at(-1)?.at(-1) ?? null });
    }
    case "focus":
      return action.item >= 0 && action.item < state.items ? { ...state, focus: action.item } : state;
    case "step":
      return { ...state, focus: (state.focus + action.by + state.items) % state.items };
    case "undo": {
      if (!state.past.length) return state;
      return { ...state, ...state.past.at(-1), past: state.past.slice(0, -1) };
    }
    default:
      throw new Error(`unknown action ${action.type}`);
  }
}

function allItems(state) {
  return Array.from({ length: state.items }, (_, item) => item);
}

/** The next output that has no tier, going round from the focus; the focus itself when all are ranked. */
function nextUnranked(state) {
  for (let step = 1; step < state.items; step += 1) {
    const item = (state.focus + step) % state.items;
    if (tierOf(state, item) < 0) return item;
  }
  return state.focus;
}

/** The next state, with the present one remembered, no empty tier at the end, and the line within bounds. */
function changed(state, change) {
  const { tiers, line, rest, last } = state;
  const next = { ...state, ...change, past: [...state.past, { tiers, line, rest, last }].slice(-MEMORY) };
  // "all of them, the rest included" stays that, however many tiers there are
  const belowRest = next.rest && next.line !== null && next.line > (change.tiers ?? tiers).length;
  next.tiers = [...next.tiers];
  while (next.tiers.length && !next.tiers.at(-1).length) next.tiers.pop();
  if (next.line !== null) next.line = belowRest ? next.tiers.length + 1 : Math.min(next.line, next.tiers.length);
  return next;
}

/** The tiers without an output; its place stays, maybe empty. */
function without(state, item) {
  return state.tiers.map((tier) => tier.filter((other) => other !== item));
}

/** Tiers and line after an output is taken away by hand: a tier of its own goes with it. */
function pulledOut(state, item) {
  const from = tierOf(state, item);
  const tiers = without(state, item);
  if (from < 0 || tiers[from].length) return { tiers, line: state.line, gone: null };
  tiers.splice(from, 1);
  const line = state.line !== null && from < state.line ? state.line - 1 : state.line;
  return { tiers, line, gone: from };
}

function joined(state, item, tier) {
  if (state.tiers[tier]?.includes(item)) return state;
  const { tiers, line, gone } = pulledOut(state, item);
  const at = gone !== null && gone < tier ? tier - 1 : tier;
  while (tiers.length <= at) tiers.push([]);
  tiers[at].push(item);
  return changed(state, { tiers, line, last: item });
}

function inserted(state, item, at, above) {
  let { tiers, line, gone } = pulledOut(state, item);
  let index = gone !== null && gone < at ? at - 1 : at;
  // The output's own tier, put back where it was: nothing happened, unless it crossed the line.
  if (line !== null && (index < line || (index === line && above))) line += 1;
  tiers.splice(index, 0, [item]);
  if (gone === index && line === state.line) return state;
  for (let empty; tiers.length > state.items && (empty = tiers.findIndex((tier) => !tier.length)) >= 0; ) {
    tiers.splice(empty, 1); // no more tiers than outputs, or there would be tiers no digit reaches
    if (line !== null && empty < line) line -= 1;
  }
  return changed(state, { tiers, line, last: item });
}

function shifted(state, item, by) {
  const tier = tierOf(state, item);
  if (tier < 0) return inserted(state, item, by < 0 ? 0 : state.tiers.length, by < 0);
  if (state.tiers[tier].length > 1) return inserted(state, item, by < 0 ? tier : tier + 1, by > 0);
  const target = tier + by;
  // A lone output first crosses the line, if that is what lies next to it.
  if (state.line !== null && state.line === (by < 0 ? tier : tier + 1)) return changed(state, { line: state.line - by });
  if (target < 0 || target >= state.tiers.length) return state;
  return joined(state, item, target);
}
