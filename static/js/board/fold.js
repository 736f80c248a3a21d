// Long outputs fold, and the board knows which were not read to the end.

import { findAll } from "./page.js";

const WORTH_A_BUTTON_PX = 48; // a fold that would hide only a line or two is not worth its button

export function foldLongTexts() {
  for (const card of findAll(".card")) {
    const text = card.querySelector(".reading");
    const long = text.scrollHeight > text.clientHeight + WORTH_A_BUTTON_PX;
    text.classList.toggle("folded", long);
    card.querySelector(".read-on").hidden = !long;
  }
}

export function unfold(card) {
  card.querySelector(".reading").classList.remove("folded");
  card.querySelector(".read-on").hidden = true;
}

/** The outputs that are still folded. */
export function unread() {
  return [...findAll(".card:has(.reading.folded)")].map((card) => Number(card.dataset.item));
}
