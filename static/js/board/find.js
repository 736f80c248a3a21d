// Find in the prompt and all outputs, with a count, beside the browser's own search: this one opens what is folded and leaves the page as it is.
// Marks are CSS highlights, so no text is touched; a browser without them selects the place instead.

import { dispatch, focusCard, follow } from "./desk.js";
import { isCutOff, unfold } from "./fold.js";
import { board, filled, findAll } from "./page.js";

const MOST = 2000; // matches that are marked and counted

export class Finding {
  found = []; // ranges, from the prompt to the last output
  at = -1;
  bar = document.getElementById("find-bar");
  field = this.bar.querySelector("input");
  figure = this.bar.querySelector("output");

  constructor() {
    this.field.addEventListener("input", () => this.search());
    this.bar.addEventListener("click", ({ target }) => {
      const go = target.closest("button[data-go]")?.dataset.go;
      if (go) this.go(Number(go));
      if (target.closest("[data-stop]")) this.leave();
    });
    this.bar.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.leave();
      if (event.key === "Enter" && event.target === this.field) {
        event.preventDefault();
        this.go(event.shiftKey ? -1 : 1);
      }
    });
  }

  stop() {
    this.bar.hidden = true;
    this.found = [];
    this.at = -1;
    this.highlight();
  }

  /** Close the bar; the output in which one was looking has the focus. */
  leave() {
    const item = this.found[this.at]?.startContainer.parentElement.closest(".card")?.dataset.item;
    this.stop();
    if (item !== undefined) dispatch({ type: "focus", item: Number(item) });
    focusCard();
  }

  /** The texts are shown in another way now. */
  again() {
    if (!this.bar.hidden) this.search();
  }

  search() {
    const wanted = folded(this.field.value.trim());
    this.found = wanted ? [...findAll(".reading")].flatMap((text) => matches(text, wanted)).slice(0, MOST) : [];
    this.at = -1;
    if (this.found.length) return this.go(1);
    this.figure.textContent = wanted ? this.bar.dataset.none : "";
    this.highlight();
  }

  go(by) {
    if (!this.found.length) return;
    this.at = (this.at + by + this.found.length) % this.found.length;
    const values = { n: this.at + 1, all: this.found.length };
    this.figure.textContent = filled(this.bar.dataset.count, values);
    this.highlight();
    this.reveal(this.found[this.at]);
  }

  highlight() {
    if (!window.CSS?.highlights) {
      getSelection().removeAllRanges();
      if (this.found[this.at]) getSelection().addRange(this.found[this.at]);
      return;
    }
    CSS.highlights.set("found", new Highlight(...this.found));
    CSS.highlights.set("found-here", new Highlight(...this.found.slice(this.at, this.at + 1)));
  }

  reveal(range) {
    const card = range.startContainer.parentElement.closest(".card");
    const text = card?.querySelector(".reading");
    if (card && board.dataset.layout === "focus") follow(Number(card.dataset.item)); // which shows it whole
    else if (text && isCutOff(text) && range.getBoundingClientRect().bottom > text.getBoundingClientRect().bottom - 24) unfold(card);
    for (let box = range.startContainer.parentElement; box; box = box.parentElement) {
      if (box.scrollHeight <= box.clientHeight || !/auto|scroll/.test(getComputedStyle(box).overflowY)) continue;
      const [inner, outer] = [range.getBoundingClientRect(), box.getBoundingClientRect()];
      if (inner.top < outer.top + 24 || inner.bottom > outer.bottom - 24)
        box.scrollTop += inner.top - outer.top - box.clientHeight / 3;
    }
    const place = range.getBoundingClientRect(); // a low screen, on which the page itself scrolls
    if (place.top < 0 || place.bottom > innerHeight) scrollBy({ top: place.top - innerHeight / 3 });
  }
}

/** In small letters, each at its place. */
function folded(text) {
  return Array.from({ length: text.length }, (_, at) => {
    const small = text[at].toLowerCase();
    return small.length === 1 ? small : text[at];
  }).join("");
}

/** A range for each place of `wanted` in what is shown of a text. */
function matches(reading, wanted) {
  const nodes = [];
  let whole = "";
  const walker = document.createTreeWalker(reading, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.parentElement.checkVisibility() || node.parentElement.closest(".code-head")) continue;
    nodes.push({ node, from: whole.length });
    whole += node.data;
  }
  whole = folded(whole);
  const found = [];
  let first = 0;
  for (let at = whole.indexOf(wanted); at >= 0 && found.length < MOST; at = whole.indexOf(wanted, at + wanted.length)) {
    while (nodes[first + 1]?.from <= at) first += 1;
    let last = first;
    while (nodes[last + 1]?.from < at + wanted.length) last += 1;
    const range = document.createRange();
    range.setStart(nodes[first].node, at - nodes[first].from);
    range.setEnd(nodes[last].node, at + wanted.length - nodes[last].from);
    found.push(range);
  }
  return found;
}
