// How the texts are read: layout, size, rendered or as written.
// What few need at once loads when it is first used: compare.js (with diff.js) and find.js.

import { focusCard, now } from "./desk.js";
import { foldLongTexts, foldUp, readOn } from "./fold.js";
import { announce, board, find, showToast } from "./page.js";
import { prefer, preference } from "./preferences.js";

const LAYOUTS = ["rows", "equal", "columns", "focus"];
const VIEWS = ["rendered", "written"];
const SIZES = [80, 90, 100, 115, 130, 150, 175]; // per cent

const menu = document.getElementById("reading-menu");

let comparing = null; // once it was used
let finding = null;

// ── layout, size, view ─────────────────────────────────────────────────────────────────────────────────────

/** Choose one of a menu's values: it holds for the board, is shown as pressed and kept. */
function choose(name, values, value) {
  board.dataset[name] = values.includes(value) ? value : values[0];
  prefer(name, board.dataset[name]);
  for (const each of menu.querySelectorAll(`button[data-${name}]`))
    each.setAttribute("aria-pressed", String(each.dataset[name] === board.dataset[name]));
  if (now.task) foldLongTexts();
}

function setLayout(layout) {
  comparing?.stop();
  choose("layout", LAYOUTS, layout);
  if (find(".turns")) find(".prompt").scrollTop = find(".prompt").scrollHeight; // the turn that is answered is the last one
}

function setView(view) {
  choose("view", VIEWS, view);
  finding?.again();
}

function next(name, values, set) {
  comparing?.stop();
  set(values[(values.indexOf(board.dataset[name]) + 1) % values.length]);
  announce(menu.querySelector(`button[data-${name}="${board.dataset[name]}"]`).textContent.trim());
  focusCard();
}

let size = 100;

function setSize(percent) {
  size = SIZES.includes(percent) ? percent : 100;
  board.style.setProperty("--reading-size", size / 100);
  prefer("text-size", size);
  document.getElementById("text-size").textContent = `${size} %`;
  if (now.task) foldLongTexts();
}

function changeSize(by) {
  setSize(SIZES[SIZES.indexOf(size) + by] ?? size);
  announce(`${size} %`);
}

// ── what loads when it is used ─────────────────────────────────────────────────────────────────────────────

/** What `bring` answers; null, and said so, if it cannot be brought now. */
async function brought(bring) {
  try {
    return await bring();
  } catch {
    showToast(document.body.dataset.offline);
    return null;
  }
}

async function compare() {
  if (!now.state) return;
  const module = comparing ? null : await brought(() => import("./compare.js"));
  if (module) comparing ??= new module.Comparing();
  comparing?.toggle();
}

/** Its bar opens at once: what is typed stands in it already when the rest has come. */
async function findInTexts() {
  const bar = document.getElementById("find-bar");
  const field = bar.querySelector("input");
  bar.hidden = false;
  field.focus();
  field.select();
  const module = finding ? null : await brought(() => import("./find.js"));
  if (module) finding ??= new module.Finding();
  if (finding) return finding.search();
  bar.hidden = true;
  focusCard({ force: true });
}

board.addEventListener("board:task", () => {
  comparing?.stop();
  finding?.stop();
});
board.addEventListener("keydown", (event) => {
  if (event.key === "Escape") comparing?.stop();
});

// ── commands and keys ──────────────────────────────────────────────────────────────────────────────────────

export const READING_COMMANDS = {
  compare,
  find: findInTexts,
  layout: () => next("layout", LAYOUTS, setLayout),
  view: () => next("view", VIEWS, setView),
  bigger: () => changeSize(1),
  smaller: () => changeSize(-1),
  "read-on": () => now.state && readOn(find(".card[data-focused]")),
};
/** Never a letter from A to I: those choose outputs. */
export const READING_KEYS = { r: "read-on", v: "compare", p: "view", l: "layout", "/": "find", "+": "bigger", "-": "smaller" };

document.addEventListener("click", ({ target }) => {
  const { layout, view } = target.closest("button[data-layout], button[data-view]")?.dataset ?? {};
  if (layout) setLayout(layout);
  if (view) setView(view);
  if (target.closest("[data-closes-menu]")) menu.open = false;
  const card = target.closest(".card");
  if (card && target.closest(".read-on")) readOn(card);
  if (card && target.closest(".fold-up")) foldUp(card);
  if (card && target.closest(".read-on, .fold-up")) focusCard();
});

setLayout(preference("layout", "rows"));
setView(preference("view", "rendered"));
setSize(Number(preference("text-size", 100)));
