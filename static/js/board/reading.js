// How the texts are read: layout, size, rendered or as written, code that is copied, links that ask first.
// What few need at once loads when it is first used: compare.js (with diff.js) and find.js.

import { confirmed } from "../app.js";
import { focusCard, now } from "./desk.js";
import { foldLongTexts, foldUp, readOn } from "./fold.js";
import { announce, board, find } from "./page.js";
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

async function compare() {
  if (!now.state) return;
  if (!comparing) {
    const { Comparing } = await import("./compare.js");
    comparing ??= new Comparing();
  }
  comparing.toggle();
}

async function findInTexts() {
  if (!finding) {
    const { Finding } = await import("./find.js");
    finding ??= new Finding();
  }
  finding.start();
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

document.addEventListener("click", async ({ target }) => {
  const { layout, view } = target.closest("button[data-layout], button[data-view]")?.dataset ?? {};
  if (layout) setLayout(layout);
  if (view) setView(view);
  if (target.closest("[data-closes-menu]")) menu.open = false;
  const card = target.closest(".card");
  if (card && target.closest(".read-on")) readOn(card);
  if (card && target.closest(".fold-up")) foldUp(card);
  if (card && target.closest(".read-on, .fold-up")) focusCard();
  const copying = target.closest(".copy-code");
  if (copying) await copyCode(copying);
  // Whatever the text calls it, this is where it leads; and nothing of this page goes along.
  const outside = target.closest("[data-outside]")?.dataset.outside;
  const { leadsOutside, openLink } = menu.dataset;
  if (outside && (await confirmed(`${leadsOutside} ${outside}`, openLink))) open(outside, "_blank", "noopener,noreferrer");
});

async function copyCode(button) {
  const code = button.closest(".code").querySelector("code");
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code); // no clipboard without TLS: Ctrl-C does the rest
    return;
  }
  button.textContent = document.body.dataset.copied;
  announce(document.body.dataset.copied);
  setTimeout(() => (button.textContent = label), 1500);
}

setLayout(preference("layout", "rows"));
setView(preference("view", "rendered"));
setSize(Number(preference("text-size", 100)));
