// The ranking board on the page: keys, pointer and typing become actions on the desk (desk.js) and deliveries (deliver.js).
// The server renders each task (templates/labeling/board_task.html); scripts only move what moves.

import { giveUp, submit, undo } from "./deliver.js";
import { bind, dispatch, focusCard, follow, now } from "./desk.js";
import { watchDrags } from "./drag.js";
import { unfold } from "./fold.js";
import { readTyped } from "./notation.js";
import { LETTERS } from "./order.js";
import { board } from "./page.js";
import { send, sweepDrafts } from "./save.js";

const EXTEND_MS = 5 * 60 * 1000;

// ── commands ───────────────────────────────────────────────────────────────────────────────────────────────

function open(name) {
  const box = document.getElementById(name);
  if (!box) return;
  box.showModal();
  box.addEventListener("close", focusCard, { once: true });
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
  if (item >= 0 && item < now.state?.items) action = { type: "focus", item };
  if (digit) action = digit === "0" ? { type: "unrank" } : { type: "rank", tier: Number(digit) };
  const command = COMMAND_KEYS[key.toLowerCase()];
  if (action && now.state) dispatch(action);
  else if (command === "undo" || document.querySelector(`[data-do=${command}]`)) commands[command]();
  else return;
  event.preventDefault();
}

function singleKeys() {
  return localStorage.getItem("peringkat:single-keys") !== "off";
}

board.addEventListener("keydown", onKey);

const singleKeysBox = document.getElementById("single-keys");
singleKeysBox.checked = singleKeys();
singleKeysBox.addEventListener("change", () => {
  localStorage.setItem("peringkat:single-keys", singleKeysBox.checked ? "on" : "off");
});

// ── pointer and typing ─────────────────────────────────────────────────────────────────────────────────────

board.addEventListener("input", (event) => {
  if (event.target.id !== "notation" || now.sending) return;
  const order = readTyped(now.state.items);
  if (order) dispatch({ type: "replace", order });
});
board.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
board.addEventListener("change", (event) => {
  const card = event.target.closest(".ranks") && event.target.closest(".card");
  if (card) dispatch({ type: "rank", item: Number(card.dataset.item), tier: Number(event.target.value) });
});
board.addEventListener("focusin", (event) => {
  const card = event.target.closest(".card");
  if (card) follow(Number(card.dataset.item));
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
    focusCard();
  }
});
watchDrags(board, {
  enabled: () => Boolean(now.state) && !now.sending,
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

// ── at work ────────────────────────────────────────────────────────────────────────────────────────────────

let alive = false; // has the person done anything since the lease was last extended?
for (const sign of ["keydown", "pointerdown", "wheel", "scroll"])
  document.addEventListener(
    sign,
    () => {
      now.draft?.clock.sign();
      alive = true;
    },
    { passive: true, capture: true },
  );
document.addEventListener("visibilitychange", () => now.draft?.clock.sign());
setInterval(() => {
  // The lease goes on only while someone is at work.
  if (now.task && alive) send(now.task.dataset.extendUrl, {});
  alive = false;
}, EXTEND_MS);

sweepDrafts();
setLayout(localStorage.getItem("peringkat:layout") ?? "rows");
bind();
