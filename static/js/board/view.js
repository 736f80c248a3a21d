// The ranking board on the page: shows the state of order.js, turns keys, pointers and typing into its actions, and delivers.
// The server renders each task (templates/labeling/board_task.html); this script only moves what moves.

import { confirmed } from "../app.js";
import { watchDrags } from "./drag.js";
import { LETTERS, format, initial, isEmpty, parse, reduce, tierOf, unranked } from "./order.js";
import { Draft, send, sweepDrafts } from "./save.js";

const UNDO_MS = 10000;
const SLOW_MS = 400;
const EXTEND_MS = 5 * 60 * 1000;

const board = document.getElementById("board");
const toast = document.getElementById("toast");
const texts = JSON.parse(document.getElementById("board-texts").textContent);
const find = (selector) => board.querySelector(selector);
const findAll = (selector) => board.querySelectorAll(selector);
const dialog = (name) => document.getElementById(name);

let task = null; // the element of the present task; null when none waits
let state = null;
let draft = null;
let sending = false;
let askedUnread = false;
let problemLasts = false; // is the problem shown one that a change of the order does not mend?
let retryOnline = null; // the save that is tried again by itself when the browser is back online
let recall = null; // {url, until}: the last submit, as long as it can be called back
let alive = false; // has the person done anything since the lease was last extended?

// ── a task comes, a task goes ──────────────────────────────────────────────────────────────────────────────

function bind() {
  task = find("#task[data-items]");
  askedUnread = false;
  if (!task) {
    state = draft = null;
    find("#task [tabindex]")?.focus({ preventScroll: true });
    return;
  }
  state = initial(Number(task.dataset.items));
  draft = new Draft(task.dataset.assignment);
  if (draft.order) {
    state = reduce(state, { type: "replace", order: draft.order });
    if (!isEmpty(state)) showToast(texts.draft);
    if (!isEmpty(state) && draft.key) {
      showProblem([texts.unstored]); // it was sent, and nothing was heard
      problemLasts = true;
    }
  } else if (task.dataset.before) {
    state = reduce(state, { type: "replace", order: parse(task.dataset.before, state.items) });
  }
  state = { ...state, past: [], focus: unranked(state)[0] ?? 0 };
  foldLongTexts();
  if (find(".turns")) find(".prompt").scrollTop = find(".prompt").scrollHeight; // the turn that is answered is the last one
  render();
  focusCard();
}

function show(answer) {
  find("#task").outerHTML = answer.html;
  document.getElementById("progress").textContent = answer.progress;
  bind();
}

// ── showing the state ──────────────────────────────────────────────────────────────────────────────────────

function dispatch(action) {
  if (!state || sending) return;
  const before = state;
  state = reduce(state, action);
  if (state === before) return;
  if (state.past !== before.past) {
    draft.keep(state);
    mended();
  }
  say(before, action);
  const typing = action.type === "replace";
  render({ typing });
  if (!typing) focusCard();
}

function render({ typing = false } = {}) {
  const unnamed = unranked(state);
  for (const card of findAll(".card")) {
    const item = Number(card.dataset.item);
    const tier = tierOf(state, item);
    card.toggleAttribute("data-focused", item === state.focus);
    card.tabIndex = item === state.focus ? 0 : -1;
    card.toggleAttribute("data-below-line", state.line !== null && tier >= state.line);
    for (const radio of card.querySelectorAll(".ranks input")) radio.checked = Number(radio.value) === tier + 1;
  }
  find(".tiers").replaceChildren(...tierStrip(unnamed));
  if (!typing) {
    find("#notation").value = format(state);
    showTypingError(null);
  }
  find("#copy-notation").dataset.copy = format(state);
  find("[data-do=rest]")?.setAttribute("aria-pressed", String(state.rest));
  find("[data-do=line]")?.setAttribute("aria-pressed", String(state.line !== null));
  const ready = format(state) && (!unnamed.length || task.dataset.partial);
  find("[data-do=submit]").classList.toggle("waiting", !ready);
}

function tierStrip(unnamed) {
  const parts = [];
  const { tiers, line } = state;
  const gap = (at, above) => element("div", { class: "gap", "data-drop": "insert", "data-at": at, "data-above": above });
  const lineMark = () =>
    element("div", { class: "line", "data-drag": "line" }, element("span", {}, `← ${texts.good_enough}`));
  for (let at = 0; at <= tiers.length; at += 1) {
    parts.push(gap(at, "1"));
    if (line === at) parts.push(lineMark(), gap(at, ""));
    if (at === tiers.length) break;
    parts.push(
      element(
        "div",
        { class: "tier", "data-drop": "join", "data-tier": at },
        element("span", { class: "ordinal" }, texts.short_ordinals[at]),
        ...tiers[at].map(chip),
      ),
    );
  }
  if (!tiers.length) {
    parts.at(-1).append(element("span", { class: "hint" }, texts.start_here));
    parts.at(-1).append(element("span", { class: "hint short" }, texts.start_here_by_touch));
  }
  parts.at(-1).classList.add("last");
  if (state.rest && unnamed.length) {
    const afterRest = line !== null && line > tiers.length;
    parts.push(element("div", { class: "tray rest", "data-drop": "unrank" }, element("span", { class: "ordinal" }, texts.rest_label), ...unnamed.map(chip)));
    if (afterRest) parts.push(lineMark());
  } else if (unnamed.length) {
    const label = element("span", { class: "ordinal" }, texts.unranked_label);
    parts.push(element("div", { class: "tray", "data-drop": "unrank" }, label, ...unnamed.map(chip)));
  } else {
    parts.push(element("div", { class: "tray", "data-drop": "unrank" }));
  }
  return parts;
}

function chip(item) {
  const focused = item === state.focus ? "1" : null;
  return element("span", { class: "chip letter", "data-drag": item, "data-focused": focused }, LETTERS[item]);
}

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function cardOf(item) {
  return find(`.card[data-item="${item}"]`);
}

function focusCard() {
  const card = cardOf(state.focus);
  if (!card.contains(document.activeElement)) card.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
}

// ── words ──────────────────────────────────────────────────────────────────────────────────────────────────

function filled(template, values) {
  return template.replace(/%\((\w+)\)s/g, (_, name) => values[name]);
}

function letters(items) {
  const names = items.map((item) => LETTERS[item]);
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} ${texts.and} ${names.at(-1)}`;
}

function announce(text) {
  document.getElementById("announce").textContent = text;
}

/** Say what an action did: "B second, tied with D". */
function say(before, action) {
  if (action.type === "focus" || action.type === "step") return; // the card that gets the focus speaks for itself
  if (action.type === "undo") return announce(texts.undone);
  if (action.type === "replace") return announce(format(state));
  if (state.rest !== before.rest) return announce(state.rest ? texts.rest_on : texts.rest_off);
  const item = action.item ?? (state.last === null || action.type === "shift" ? before.focus : state.last);
  const tier = tierOf(state, item);
  if (action.type === "line" || action.type === "toggleLine" || (action.type === "shift" && state.tiers === before.tiers)) {
    const above = state.tiers.slice(0, state.line ?? 0).flat();
    if (state.line === null) return announce(texts.line_removed);
    return announce(above.length ? filled(texts.line_drawn, { letters: letters(above) }) : texts.line_none);
  }
  const letter = LETTERS[item];
  if (tier < 0) return announce(filled(texts.unranked, { letter }));
  const others = letters(state.tiers[tier].filter((other) => other !== item));
  const ordinal = texts.ordinals[tier];
  announce(filled(others ? texts.placed_tied : texts.placed, { letter, ordinal, others }));
}

function showToast(text, button = null, milliseconds = 4000) {
  clearTimeout(toast.timer);
  toast.replaceChildren(element("span", {}, text), ...(button ? [button] : []));
  toast.hidden = false;
  toast.timer = setTimeout(() => (toast.hidden = true), milliseconds);
}

function button(label, onClick, kind = "") {
  const node = element("button", { type: "button", class: `btn small ${kind}` }, label);
  node.addEventListener("click", onClick);
  return node;
}

/** Say what is wrong, above the desk, until the order changes or something else is done about it. */
function showProblem(problems, ...actions) {
  problemLasts = false;
  const place = find("#problem");
  if (!place) return showToast(problems.join(" "), null, UNDO_MS);
  const lines = problems.map((problem) => element("p", {}, problem));
  place.replaceChildren(...lines, element("div", { class: "row" }, ...actions));
}

function clearProblem() {
  retryOnline = null;
  find("#problem")?.replaceChildren();
}

/** The order changed: what was wrong with it is over, and what waited to be sent is no longer what the person sees. */
function mended() {
  retryOnline = null;
  if (!problemLasts) clearProblem();
}

// ── typing ─────────────────────────────────────────────────────────────────────────────────────────────────

function typed(text) {
  if (sending) return;
  const read = text.trim() ? parse(text, state.items) : { tiers: [], line: null, rest: false };
  if (read.error) return showTypingError(read.error, text);
  showTypingError(null);
  dispatch({ type: "replace", order: read });
}

/** Below the field: the text again with the character marked, and what was expected there. */
function showTypingError(error, text = "") {
  const input = find("#notation");
  const place = find("#typed-error");
  if (!error) {
    if (input.hasAttribute("aria-invalid")) mended();
    input.removeAttribute("aria-invalid");
    place.replaceChildren();
    return;
  }
  const characters = Array.from(text);
  const unfinished = error.code === "ends_early" || error.code === "empty";
  input.setAttribute("aria-invalid", String(!unfinished));
  const marked = element("span", { class: "mono", "aria-hidden": "true" });
  marked.append(
    characters.slice(0, error.at).join(""),
    element("mark", {}, characters[error.at] ?? "\u00a0"),
    characters.slice(error.at + 1).join(""),
  );
  place.classList.toggle("unfinished", unfinished);
  place.replaceChildren(marked, element("span", {}, filled(texts.errors[error.code], error.params)));
}

// ── long texts ─────────────────────────────────────────────────────────────────────────────────────────────

function foldLongTexts() {
  for (const card of findAll(".card")) {
    const text = card.querySelector(".reading");
    // A fold that would hide only a line or two is not worth its button.
    const long = text.scrollHeight > text.clientHeight + 48;
    text.classList.toggle("folded", long);
    card.querySelector(".read-on").hidden = !long;
  }
}

function unfold(card) {
  card.querySelector(".reading").classList.remove("folded");
  card.querySelector(".read-on").hidden = true;
}

function unread() {
  return [...findAll(".card:has(.reading.folded)")].map((card) => Number(card.dataset.item));
}

// ── delivering ─────────────────────────────────────────────────────────────────────────────────────────────

async function submit() {
  if (!state || sending) return;
  if (find("#notation").hasAttribute("aria-invalid")) {
    find("#notation").focus();
    return showProblem([texts.fix_typing]);
  }
  const ranking = format(state);
  const missing = unranked(state);
  if (!ranking || (missing.length && !task.dataset.partial)) {
    showProblem([ranking ? filled(texts.missing, { letters: letters(missing) }) : texts.nothing_said]);
    return dispatch({ type: "focus", item: missing[0] });
  }
  const folded = unread();
  if (folded.length && !askedUnread) {
    askedUnread = true;
    if (!(await confirmed(filled(texts.unread, { letters: letters(folded) }), texts.submit))) {
      unfold(cardOf(folded[0]));
      return dispatch({ type: "focus", item: folded[0] });
    }
  }
  const fields = { ranking, client_key: draft.keyFor(ranking), seconds: draft.clock.seconds };
  await deliver(task.dataset.submitUrl, fields, { done: filled(texts.stored, { ranking }), again: submit });
}

/**
 * Send; on success say `done` and show the next task, on failure keep everything and say why. `again` is what a retry does.
 * The draft has done its duty, unless `keepDraft`.
 */
async function deliver(url, fields, { done, again, keepDraft = false }) {
  sending = true;
  board.setAttribute("aria-busy", "true");
  clearProblem();
  const slow = setTimeout(() => showToast(texts.saving, null, 60000), SLOW_MS);
  const answer = await send(url, fields);
  clearTimeout(slow);
  if (toast.textContent === texts.saving) toast.hidden = true;
  board.removeAttribute("aria-busy");
  sending = false;
  if (!answer.ok) return explain(answer, fields, again);
  if (!keepDraft) draft?.forget();
  show(answer.body);
  recall = answer.body.undo ? { url: answer.body.undo, until: performance.now() + UNDO_MS } : null;
  if (recall) showToast(done, button(`${texts.undo} (Z)`, callBack), UNDO_MS);
  else showToast(done);
  announce(task ? filled(texts.new_task, { progress: answer.body.progress }) : texts.all_done);
}

function explain(answer, fields, again) {
  const retry = button(texts.retry, again, "primary");
  if (answer.kind === "signed_out") {
    const link = element("a", { class: "btn small", target: "_blank", href: document.getElementById("board-sign-in").href }, texts.sign_in);
    showProblem([texts.signed_out], link, retry);
    problemLasts = true;
    return;
  }
  if (answer.kind === "conflict") {
    const next = button(texts.next, () => location.reload());
    if (!fields.ranking) return showProblem(answer.problems, next);
    const revise = () =>
      deliver(task.dataset.reviseUrl, fields, { done: filled(texts.stored, fields), again: revise });
    return showProblem(answer.problems, button(texts.revise, revise), next);
  }
  if (answer.kind === "refused") return showProblem(answer.problems, retry);
  showProblem([answer.kind === "offline" ? texts.offline : texts.broken], retry);
  problemLasts = true;
  if (answer.kind === "offline" && fields.ranking) retryOnline = again;
}

/** Call the last submit back. The task that goes back to the queue instead keeps its draft. */
async function callBack() {
  if (sending || !recall) return;
  const { url } = recall;
  await deliver(url, {}, { done: texts.called_back, again: callBack, keepDraft: true });
}

function undo() {
  if (state?.past.length) dispatch({ type: "undo" });
  else if (recall && performance.now() < recall.until) callBack();
  else announce(texts.nothing_to_undo);
}

/** Skip or flag: ask in the dialog, then send what it says. */
async function giveUp(name) {
  const box = dialog(name);
  if (!task || sending || box.open) return;
  box.returnValue = "";
  box.showModal();
  await new Promise((resolve) => box.addEventListener("close", resolve, { once: true }));
  if (box.returnValue !== "yes") return focusCard();
  const fields = Object.fromEntries(new FormData(box.querySelector("form")));
  if (name === "skip" && !fields.reason) fields.reason = fields.other;
  const [url, done] = name === "skip" ? [task.dataset.skipUrl, texts.skipped] : [task.dataset.flagUrl, texts.flagged];
  const again = () => deliver(url, fields, { done, again });
  await again();
}

function open(name) {
  const box = dialog(name);
  if (!box) return;
  box.showModal();
  box.addEventListener("close", () => state && focusCard(), { once: true });
}

const commands = {
  submit,
  undo,
  skip: () => giveUp("skip"),
  flag: () => giveUp("flag"),
  guidelines: () => open("guidelines"),
  help: () => open("help"),
  line: () => dispatch({ type: "toggleLine" }),
  rest: () => dispatch({ type: "toggleRest" }),
};

// ── keys ───────────────────────────────────────────────────────────────────────────────────────────────────

const KEYS = {
  ArrowUp: { type: "step", by: -1 },
  ArrowDown: { type: "step", by: 1 },
  ArrowLeft: { type: "step", by: -1 },
  ArrowRight: { type: "step", by: 1 },
  "shift ArrowUp": { type: "shift", by: -1 },
  "shift ArrowDown": { type: "shift", by: 1 },
  "shift ArrowLeft": { type: "shift", by: -1 },
  "shift ArrowRight": { type: "shift", by: 1 },
  Backspace: { type: "unrank" },
  Delete: { type: "unrank" },
  "=": { type: "tie" },
  ">": { type: "below" },
};
const SIGNS = "=>|*?";
const COMMAND_KEYS = { s: "skip", x: "flag", u: "guidelines", z: "undo", "?": "help", "|": "line", "*": "rest" };

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
  const { target, key } = event;
  if (target.matches("input:not([type=radio]), textarea, select")) {
    if (key === "Escape") focusCard();
    return;
  }
  const onControl = target.matches("button, a, summary");
  if (key === "Enter" && !onControl && !event.repeat) {
    event.preventDefault();
    return submit();
  }
  if (event.repeat && !key.startsWith("Arrow")) return;
  if (target.matches("[type=radio]") && key.startsWith("Arrow")) return; // moves within the radio buttons
  if (/^[\x20-\x7e]$/.test(key) && !singleKeys()) return;
  // Digits by their place on the keyboard: on a French one they need no shift here. Signs come first: there they share keys.
  const digit = SIGNS.includes(key) || event.shiftKey ? null : /^(?:Digit|Numpad)([0-9])$/.exec(event.code)?.[1];
  const item = key.length === 1 ? LETTERS.indexOf(key.toUpperCase()) : -1;
  let action = KEYS[key.length > 1 && event.shiftKey ? `shift ${key}` : key];
  if (item >= 0 && item < state?.items) action = { type: "focus", item };
  if (digit) action = digit === "0" ? { type: "unrank" } : { type: "rank", tier: Number(digit) };
  const command = COMMAND_KEYS[key.toLowerCase()];
  if (action && state) dispatch(action);
  else if (command === "undo" || document.querySelector(`[data-do=${command}]`)) commands[command]();
  else return;
  event.preventDefault();
}

function singleKeys() {
  return localStorage.getItem("peringkat:single-keys") !== "off";
}

// ── wiring ─────────────────────────────────────────────────────────────────────────────────────────────────

board.addEventListener("keydown", onKey);
board.addEventListener("input", (event) => {
  if (event.target.id === "notation") typed(event.target.value);
});
board.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
board.addEventListener("change", (event) => {
  const card = event.target.closest(".card");
  if (card) dispatch({ type: "rank", item: Number(card.dataset.item), tier: Number(event.target.value) });
});
board.addEventListener("focusin", (event) => {
  const card = event.target.closest(".card");
  if (card && state && Number(card.dataset.item) !== state.focus) {
    state = reduce(state, { type: "focus", item: Number(card.dataset.item) });
    render({ typing: true });
  }
});
document.addEventListener("click", (event) => {
  const name = event.target.closest("[data-do]")?.dataset.do;
  if (name && name !== "submit") commands[name]();
  if (event.target.closest(".read-on")) {
    unfold(event.target.closest(".card"));
    focusCard();
  }
  const layout = event.target.closest("button[data-layout]")?.dataset.layout;
  if (layout) {
    setLayout(layout);
    if (state) focusCard();
  }
});
watchDrags(board, {
  enabled: () => Boolean(state) && !sending,
  onTap: (what) => what !== "line" && dispatch({ type: "focus", item: Number(what) }),
  onDrop(what, { dataset }) {
    const at = Number(dataset.at);
    if (what === "line") {
      if (dataset.drop === "insert") dispatch({ type: "line", at });
      else if (dataset.drop === "join") dispatch({ type: "line", at: Number(dataset.tier) + 1 });
      return;
    }
    const item = Number(what);
    if (dataset.drop === "insert") dispatch({ type: "insert", item, at, above: dataset.above === "1" });
    else if (dataset.drop === "join") dispatch({ type: "join", item, tier: Number(dataset.tier) });
    else dispatch({ type: "unrank", item });
  },
});

function setLayout(layout) {
  localStorage.setItem("peringkat:layout", layout);
  board.dataset.layout = layout;
  for (const each of document.querySelectorAll("button[data-layout]"))
    each.setAttribute("aria-pressed", String(each.dataset.layout === layout));
}

const singleKeysBox = document.getElementById("single-keys");
singleKeysBox.checked = singleKeys();
singleKeysBox.addEventListener("change", () => {
  localStorage.setItem("peringkat:single-keys", singleKeysBox.checked ? "on" : "off");
});

for (const sign of ["keydown", "pointerdown", "wheel", "scroll"])
  document.addEventListener(
    sign,
    () => {
      draft?.clock.sign();
      alive = true;
    },
    { passive: true, capture: true },
  );
addEventListener("online", () => !sending && retryOnline?.());
document.addEventListener("visibilitychange", () => draft?.clock.sign());
setInterval(() => {
  // The lease goes on only while someone is at work.
  if (task && alive) send(task.dataset.extendUrl, {});
  alive = false;
}, EXTEND_MS);

sweepDrafts();
setLayout(localStorage.getItem("peringkat:layout") ?? "rows");
bind();
