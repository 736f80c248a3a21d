// Long outputs fold, and the board knows of which the end was never on the screen.
//
// How a text is shown is the layout's matter (css/board.css), and told from its style:
//     rows, columns      folded: cut off until "Read on"
//     equal              scrolls by itself in a frame as high as the others'
//     focus              the chosen one whole, the others a few lines
// A card says data-unread until the end was seen, then data-read ("opened" by hand, or "seen").

import { board, find, findAll } from "./page.js";

const WORTH_A_BUTTON_PX = 48; // a fold that would hide only a line or two is not worth its button

/** Fold what is long and not read yet; again after the layout, the size of the text or of the window changed. */
export function foldLongTexts() {
  const cards = [...findAll(".card")];
  if (!cards.length) return;
  const outputs = find(".outputs");
  outputs.style.setProperty("--items", fullRows(cards.length, outputs));
  const across = getComputedStyle(outputs).gridTemplateColumns.split(" ").length;
  outputs.style.setProperty("--rows", Math.ceil(cards.length / across));
  const open = (card) => "read" in card.dataset;
  for (const card of cards) textOf(card).classList.toggle("folded", !open(card));
  const long = cards.map((card) => {
    const text = textOf(card);
    if (open(card)) return false;
    if (board.dataset.layout === "focus") return true; // read when it was the chosen one, down to its end
    return text.scrollHeight > text.clientHeight + (scrollsInside(text) ? 8 : WORTH_A_BUTTON_PX);
  });
  cards.forEach((card, at) => {
    textOf(card).classList.toggle("folded", long[at]);
    card.toggleAttribute("data-unread", long[at]);
    showButtons(card);
  });
  for (const part of findAll(".reading, .reading :is(pre, .wide)")) {
    // What scrolls by itself can be reached by keyboard.
    const scrolls = part.scrollWidth > part.clientWidth + 1 || (scrollsInside(part) && part.scrollHeight > part.clientHeight);
    if (scrolls) part.tabIndex = 0;
    else part.removeAttribute("tabindex");
  }
  noticeRead();
}

/** How many of `n` frames stand in a row so that the rows are as full as they can be. 17 and 24 rem: the narrowest in css/board.css. */
function fullRows(n, { clientWidth }) {
  const narrowest = (board.dataset.layout === "equal" ? 24 : 17) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  const rows = Math.ceil(n / Math.max(Math.floor(clientWidth / narrowest), 1));
  return Math.ceil(n / rows);
}

/** Show the whole of a folded output. */
export function unfold(card) {
  textOf(card).classList.remove("folded");
  read(card, "opened");
}

export function foldUp(card) {
  textOf(card).classList.add("folded");
  card.querySelector(".fold-up").hidden = true;
  card.querySelector(".read-on").hidden = false;
  card.scrollIntoView({ block: "nearest" });
}

/** Show more of an output: open its fold, or scroll on. */
export function readOn(card) {
  const text = textOf(card);
  if (scrollsInside(text)) text.scrollBy({ top: text.clientHeight * 0.85 });
  else if (isCutOff(text)) unfold(card);
  else find(".outputs").scrollBy({ top: find(".outputs").clientHeight * 0.85 });
}

/** The outputs that were not read to the end. */
export function unread() {
  return [...findAll(".card[data-unread]")].map((card) => Number(card.dataset.item));
}

export function isCutOff(text) {
  return text.classList.contains("folded") && getComputedStyle(text).overflowY === "hidden";
}

function textOf(card) {
  return card.querySelector(".reading");
}

function scrollsInside(text) {
  return getComputedStyle(text).overflowY === "auto";
}

function read(card, how) {
  card.removeAttribute("data-unread");
  card.dataset.read = how;
  showButtons(card);
}

function showButtons(card) {
  const { layout } = board.dataset;
  card.querySelector(".read-on").hidden = !card.hasAttribute("data-unread") || layout === "focus";
  card.querySelector(".fold-up").hidden = card.dataset.read !== "opened" || !["rows", "columns"].includes(layout);
}

/** What scrolls by itself, or is shown whole, is read once its end is in sight. */
export function noticeRead() {
  const frame = find(".outputs")?.getBoundingClientRect();
  for (const card of findAll(".card[data-unread]")) {
    const text = textOf(card);
    const { bottom, height } = text.getBoundingClientRect();
    const inSight = height > 0 && bottom >= frame.top && bottom <= Math.min(frame.bottom, innerHeight) + 8;
    if (inSight && text.scrollTop + text.clientHeight >= text.scrollHeight - 8) read(card, "seen");
  }
}

let waiting = 0;
function soon() {
  waiting ||= requestAnimationFrame(() => {
    waiting = 0;
    noticeRead();
  });
}
board.addEventListener("scroll", soon, { passive: true, capture: true });
board.addEventListener("board:change", soon);
addEventListener("resize", () => foldLongTexts());
