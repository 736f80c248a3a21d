// How the texts are read: layout, size, rendered or as written, folds, code that is copied, links that ask first.
// What few need at once loads when it is first used: compare.js (with diff.js) and find.js.

import { confirmed } from "../app.js";
import { prefer, preference } from "./preferences.js";

const LAYOUTS = ["rows", "equal", "columns", "focus"];
const SIZES = [80, 90, 100, 115, 130, 150, 175];
const FOLD_SLACK = 48; // px: a fold that would hide only a line or two is not worth its button

const board = document.getElementById("board");
const menu = document.getElementById("reading-menu");
const texts = menu.dataset;

let desk = null; // what the rest of the board does for us, see startReading
let comparing = null; // compare.js once it was used
let finding = null; // find.js once it was used

/** `desk`: {focused() → item or null, choose(item), focusCard(), announce(text)}. Once, before the first task. */
export function startReading(given) {
  desk = given;
  setLayout(preference("layout", "rows"));
  setSize(Number(preference("text-size", 100)));
  setView(preference("text-view", "rendered"));
}

// ── a task comes ───────────────────────────────────────────────────────────────────────────────────────────

/** A task is on the page: none of its texts is read yet. */
export function newTexts() {
  comparing?.stop();
  finding?.stop();
  for (const card of board.querySelectorAll(".card")) delete card.dataset.read;
  if (board.querySelector("#task[data-items]")) settle();
}

/** The focus went to another output; the card has not got it yet. */
export function focusMoved(item) {
  comparing?.follow(item);
  if (board.dataset.layout === "focus") requestAnimationFrame(noticeRead);
}

// ── folds ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Fold what is long and not read yet, in the present layout, size and view. */
function settle() {
  const cards = [...board.querySelectorAll(".card")];
  for (const card of cards) textOf(card).classList.toggle("folded", !("read" in card.dataset));
  const long = cards.map((card) => {
    const text = textOf(card);
    if ("read" in card.dataset) return false;
    if (board.dataset.layout === "focus") return true; // only the chosen one is shown whole
    return text.scrollHeight > text.clientHeight + (scrollsInside(text) ? 8 : FOLD_SLACK);
  });
  cards.forEach((card, at) => {
    textOf(card).classList.toggle("folded", long[at]);
    card.toggleAttribute("data-unread", long[at]);
    showFold(card);
  });
  for (const each of board.querySelectorAll(".reading, .reading :is(pre, .wide)")) {
    // What scrolls by itself is reached by keyboard.
    const scrolls = each.scrollWidth > each.clientWidth + 1 || (scrollsInside(each) && each.scrollHeight > each.clientHeight);
    if (scrolls) each.tabIndex = 0;
    else each.removeAttribute("tabindex");
  }
  noticeRead();
}

function textOf(card) {
  return card.querySelector(".reading");
}

function scrollsInside(text) {
  return getComputedStyle(text).overflowY === "auto";
}

function showFold(card) {
  const folds = board.dataset.layout === "rows" || board.dataset.layout === "columns";
  card.querySelector(".read-on").hidden = !card.hasAttribute("data-unread") || board.dataset.layout === "focus";
  card.querySelector(".fold-up").hidden = !(folds && card.dataset.read === "opened");
}

function read(card, how) {
  card.removeAttribute("data-unread");
  card.dataset.read = how;
  showFold(card);
}

/** Show the whole of a folded output. */
export function unfold(card) {
  textOf(card).classList.remove("folded");
  read(card, "opened");
}

/** The outputs of which the end was never on the screen. */
export function unread() {
  return [...board.querySelectorAll(".card[data-unread]")].map((card) => Number(card.dataset.item));
}

/** A text that scrolls by itself, or is shown whole, is read once its end was in sight. */
function noticeRead() {
  const outputs = board.querySelector(".outputs")?.getBoundingClientRect();
  for (const card of board.querySelectorAll(".card[data-unread]")) {
    const text = textOf(card);
    const box = text.getBoundingClientRect();
    if (box.height === 0 || box.bottom < outputs.top || box.bottom > Math.min(outputs.bottom, innerHeight) + 8) continue;
    if (text.scrollTop + text.clientHeight >= text.scrollHeight - 8) read(card, "seen");
  }
}

function readOn(card) {
  const text = textOf(card);
  if (scrollsInside(text)) text.scrollBy({ top: text.clientHeight * 0.85 });
  else if (card.hasAttribute("data-unread") && board.dataset.layout !== "focus") unfold(card);
  else board.querySelector(".outputs").scrollBy({ top: board.querySelector(".outputs").clientHeight * 0.85 });
}

function foldUp(card) {
  textOf(card).classList.add("folded");
  card.querySelector(".fold-up").hidden = true;
  card.querySelector(".read-on").hidden = false;
  card.scrollIntoView({ block: "nearest" });
}

let noticing = 0;
board.addEventListener("scroll", () => (noticing ||= requestAnimationFrame(() => ((noticing = 0), noticeRead()))), {
  passive: true,
  capture: true,
});
addEventListener("resize", () => board.querySelector("#task[data-items]") && settle());

// ── layout, size, view ─────────────────────────────────────────────────────────────────────────────────────

function pressed(name, value) {
  for (const each of document.querySelectorAll(`button[data-${name}]`))
    each.setAttribute("aria-pressed", String(each.getAttribute(`data-${name}`) === value));
}

export function setLayout(layout) {
  comparing?.stop();
  board.dataset.layout = LAYOUTS.includes(layout) ? layout : "rows";
  prefer("layout", board.dataset.layout);
  pressed("layout", board.dataset.layout);
  if (desk.focused() !== null) settle();
}

function nextLayout() {
  setLayout(LAYOUTS[(LAYOUTS.indexOf(board.dataset.layout) + 1) % LAYOUTS.length]);
  desk.announce(document.querySelector(`button[data-layout=${board.dataset.layout}]`).textContent.trim());
}

function setSize(percent) {
  const size = SIZES.includes(percent) ? percent : 100;
  board.style.setProperty("--reading", size / 100);
  prefer("text-size", size);
  document.getElementById("text-size").textContent = `${size} %`;
  for (const [name, end] of [["smaller", 0], ["bigger", SIZES.length - 1]])
    document.querySelector(`[data-do=${name}]`).setAttribute("aria-disabled", String(size === SIZES.at(end)));
  board.dataset.size = size;
  if (desk.focused() !== null) settle();
}

function changeSize(by) {
  setSize(SIZES[SIZES.indexOf(Number(board.dataset.size)) + by] ?? Number(board.dataset.size));
  desk.announce(document.getElementById("text-size").textContent);
}

function setView(view) {
  board.dataset.view = view === "written" ? "written" : "rendered";
  prefer("text-view", board.dataset.view);
  pressed("view", board.dataset.view);
  finding?.again();
  if (desk.focused() !== null) settle();
}

function nextView() {
  setView(board.dataset.view === "written" ? "rendered" : "written");
  desk.announce(document.querySelector(`button[data-view=${board.dataset.view}]`).textContent.trim());
}

// ── what loads when it is used ─────────────────────────────────────────────────────────────────────────────

async function compare() {
  if (desk.focused() === null) return;
  if (!comparing) {
    const { Comparing } = await import("./compare.js");
    comparing ??= new Comparing(board, desk, settle);
  }
  comparing.toggle(desk.focused());
}

async function find() {
  if (!finding) {
    const { Finding } = await import("./find.js");
    finding ??= new Finding(board, desk, unfold);
  }
  finding.start();
}

export const READING_COMMANDS = {
  compare,
  find,
  layout: nextLayout,
  view: nextView,
  bigger: () => changeSize(1),
  smaller: () => changeSize(-1),
  "read-on": () => desk.focused() !== null && readOn(board.querySelector(".card[data-focused]")),
};
/** Never a letter from A to I: those choose outputs. */
export const READING_KEYS = { r: "read-on", v: "compare", p: "view", l: "layout", "/": "find", "+": "bigger", "-": "smaller" };

// ── wiring ─────────────────────────────────────────────────────────────────────────────────────────────────

document.addEventListener("click", async (event) => {
  const { target } = event;
  const chosen = target.closest("button[data-layout], button[data-view]")?.dataset;
  if (chosen?.layout) setLayout(chosen.layout);
  if (chosen?.view) setView(chosen.view);
  if (target.closest("[data-closes-menu]")) menu.open = false;
  const card = target.closest(".card");
  if (card && target.closest(".read-on")) readOn(card);
  if (card && target.closest(".fold-up")) foldUp(card);
  if (card && target.closest(".read-on, .fold-up")) desk.focusCard();
  const copying = target.closest(".copy-code");
  if (copying) await copyCode(copying);
  const outside = target.closest("[data-outside]")?.dataset.outside;
  // Whatever the text calls it, this is where it leads; and nothing of this page goes along.
  if (outside && (await confirmed(`${texts.leadsOutside} ${outside}`, texts.openLink))) open(outside, "_blank", "noopener,noreferrer");
});

board.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented) comparing?.stop();
});

async function copyCode(button) {
  const code = button.closest(".code").querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    desk.announce(document.body.dataset.copied);
    const label = button.textContent;
    button.textContent = document.body.dataset.copied;
    setTimeout(() => (button.textContent = label), 1500);
  } catch {
    getSelection().selectAllChildren(code); // no clipboard without TLS: Ctrl-C does the rest
  }
}
