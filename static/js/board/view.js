// The ranking board on the page: keys, pointer and typing become actions on the desk (desk.js) and deliveries (deliver.js).
// The server renders each task (templates/labeling/board_task.html); scripts only move what moves.

import { submit, undo } from "./deliver.js";
import { bind, dispatch, edited, focusCard, follow, now } from "./desk.js";
import { watchDrags } from "./drag.js";
import { readTyped } from "./notation.js";
import { LETTERS, tierOf } from "./order.js";
import { board, showProblem, texts } from "./page.js";
import { showPace } from "./pace.js";
import { prefer, preference } from "./preferences.js";
import { READING_COMMANDS, READING_KEYS } from "./reading.js";
import { send, sweepDrafts } from "./save.js";

const EXTEND_MS = 5 * 60 * 1000;

// ── commands ───────────────────────────────────────────────────────────────────────────────────────────────

function open(name) {
  const box = document.getElementById(name);
  if (!box) return;
  box.showModal();
  box.addEventListener("close", focusCard, { once: true });
}

/** The note about the task: to its field, which unfolds. */
function note() {
  const field = document.querySelector(".note textarea");
  if (!field) return;
  field.closest("details").open = true;
  field.focus();
}

let opening = false; // a dialog was asked for and is still being loaded: no key after that is meant for the ranking

/** Skip, flag or ask. */
async function inDialog(name) {
  opening = true;
  const dialogs = await import("./dialogs.js").catch(() => null);
  opening = false;
  if (!dialogs) return showProblem([texts.offline]);
  return name === "ask" ? dialogs.ask() : dialogs.giveUp(name);
}

const commands = {
  submit,
  undo,
  skip: () => inDialog("skip"),
  flag: () => inDialog("flag"),
  guidelines: () => open("guidelines"),
  help: () => open("help"),
  ask: () => inDialog("ask"),
  note,
  questions: (event) => now.questions?.walk(event?.shiftKey ? -1 : 1),
  line: () => dispatch({ type: "toggleLine" }),
  rest: () => dispatch({ type: "toggleRest" }),
  ...READING_COMMANDS,
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
const COMMAND_KEYS = {
  s: "skip", x: "flag", u: "guidelines", z: "undo", q: "questions", n: "note", k: "ask", "?": "help", "|": "line", "*": "rest",
  ...READING_KEYS,
}; // prettier-ignore
const ALWAYS = new Set(["undo", ...Object.keys(READING_COMMANDS)]); // the others need their button
const TYPED = "textarea, select, input:not([type=radio], [type=checkbox])";

/** The key pressed; where the keyboard writes no Latin letters, the one that stands in that place elsewhere. */
function latin({ key, code }) {
  return (/^[^\x00-\x7f]$/u.test(key) && /^Key([A-Z])$/.exec(code)?.[1].toLowerCase()) || key;
}

function onKey(event) {
  if (event.isComposing || opening || document.querySelector("dialog[open]")) return;
  const { target } = event;
  const key = latin(event);
  // On many keyboards | and others are signs of the AltGr key (Option on a Mac).
  const composed = SIGNS.includes(key) && (event.altKey || event.getModifierState("AltGraph"));
  if ((event.ctrlKey || event.metaKey || event.altKey) && !composed) {
    if (key === "Enter" && !event.altKey && !event.repeat && target.matches("textarea")) submit();
    return;
  }
  // Digits by their place on the keyboard: on a French one they need no shift here. Signs come first: there they share keys.
  const digit = SIGNS.includes(key) || event.shiftKey ? null : /^(?:Digit|Numpad)([0-9])$/.exec(event.code)?.[1];
  if (now.questions?.onKey(event, { digit, single: singleKeys() })) return;
  if (target.matches(TYPED)) {
    if (key === "Escape") focusCard({ force: true });
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
  const item = key.length === 1 ? LETTERS.indexOf(key.toUpperCase()) : -1;
  let action = KEYS[key.length > 1 && event.shiftKey ? `shift ${key}` : key];
  if (item >= 0 && item < now.state?.items) action = { type: "focus", item };
  if (digit) action = digit === "0" ? { type: "unrank" } : { type: "rank", tier: Number(digit) };
  const command = COMMAND_KEYS[key.toLowerCase()];
  if (action && now.state) dispatch(action);
  else if (ALWAYS.has(command) || document.querySelector(`[data-do=${command}], [data-key=${command}]`)) commands[command](event);
  else return;
  event.preventDefault();
}

function singleKeys() {
  return preference("single-keys", "on") !== "off";
}

board.addEventListener("keydown", onKey);

const singleKeysBox = document.getElementById("single-keys");
singleKeysBox.checked = singleKeys();
singleKeysBox.addEventListener("change", () => {
  prefer("single-keys", singleKeysBox.checked ? "on" : "off");
});

// ── pointer and typing ─────────────────────────────────────────────────────────────────────────────────────

board.addEventListener("input", (event) => {
  if (!now.state) return;
  if (event.target.id !== "notation") return edited();
  const order = now.sending ? null : readTyped(now.state.items);
  if (order) dispatch({ type: "replace", order });
});
board.addEventListener("submit", (event) => {
  if (event.target.id !== "desk-form") return;
  event.preventDefault();
  submit();
});
board.addEventListener("change", (event) => {
  const card = event.target.closest(".ranks") && event.target.closest(".card");
  if (card) dispatch({ type: "rank", item: Number(card.dataset.item), tier: Number(event.target.value) });
  else if (event.target.closest(".question")) edited();
});
board.addEventListener("click", (event) => {
  // A rank pressed once more is taken away; by pointer only, for Space on a radio button says "this one" again.
  if (!event.detail || !event.target.matches(".ranks input") || !now.state) return;
  const item = Number(event.target.closest(".card").dataset.item);
  if (tierOf(now.state, item) + 1 === Number(event.target.value)) dispatch({ type: "unrank", item });
});
board.addEventListener("focusin", (event) => {
  const card = event.target.closest(".card");
  if (card) follow(Number(card.dataset.item));
});
document.addEventListener("click", (event) => {
  const name = event.target.closest("[data-do]")?.dataset.do;
  if (name && name !== "submit") commands[name]();
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
  if (now.task?.dataset.extendUrl && alive) send(now.task.dataset.extendUrl, []);
  alive = false;
}, EXTEND_MS);

sweepDrafts();
showPace();
// Before the task is taken up: a Q that came too early would leave its digits to the ranking.
if (document.querySelector("#task[data-asks]")) now.questions = await import("./questions.js").catch(() => null);
bind();
