// Two outputs beside each other, what only one of them says marked. The first stays while the other follows the focus, so letters and arrows
// choose it and digits go on ranking.

import { cardOf, dispatch, focusCard, now } from "./desk.js";
import { difference } from "./diff.js";
import { foldLongTexts } from "./fold.js";
import { LETTERS } from "./order.js";
import { announce, board, element, filled, findAll } from "./page.js";
import { prefer, preference } from "./preferences.js";

export class Comparing {
  pair = null; // [the one that stays, the other]
  bar = document.getElementById("compare-bar");

  constructor() {
    this.bar.addEventListener("change", ({ target }) => this.choose(target));
    this.bar.addEventListener("click", ({ target }) => {
      const way = target.closest("button[data-way]")?.dataset.way;
      if (way) this.setWay(way);
      if (target.closest("[data-stop]")) this.stop();
    });
    this.bar.addEventListener("keydown", (event) => event.key === "Escape" && this.stop());
    board.addEventListener("board:change", () => this.follow());
    this.setWay(preference("compare", "beside"));
  }

  /** Compare the focused output with the next one; or stop. */
  toggle() {
    if (this.pair) return this.stop();
    const { focus, items } = now.state;
    this.pair = [focus, (focus + 1) % items];
    this.before = board.dataset.layout;
    board.dataset.layout = "compare";
    for (const select of this.selects())
      select.replaceChildren(...Array.from({ length: items }, (_, item) => new Option(LETTERS[item], item)));
    this.bar.hidden = false;
    dispatch({ type: "focus", item: this.pair[1] });
    announce(this.bar.querySelector("output").textContent);
  }

  stop() {
    if (!this.pair) return;
    this.pair = null;
    this.bar.hidden = true;
    board.dataset.layout = this.before;
    for (const card of findAll(".card")) {
      card.removeAttribute("data-compared");
      card.querySelector(".as-compared")?.remove();
    }
    if (now.task) foldLongTexts();
    focusCard();
  }

  /** The focus went to another output: that is the one compared from now on. */
  follow() {
    if (!this.pair) return;
    const { focus } = now.state;
    if (this.shown === `${this.pair} ${focus}`) return;
    if (!this.pair.includes(focus)) this.pair = [this.pair[0], focus];
    this.show();
  }

  choose(select) {
    const at = this.selects().indexOf(select);
    const item = Number(select.value);
    if (this.pair[1 - at] === item) this.pair.reverse();
    else this.pair[at] = item;
    dispatch({ type: "focus", item });
    this.show();
    select.focus();
  }

  setWay(way) {
    this.way = way === "inline" ? "inline" : "beside";
    prefer("compare", this.way);
    for (const each of this.bar.querySelectorAll("button[data-way]"))
      each.setAttribute("aria-pressed", String(each.dataset.way === this.way));
    if (this.pair) this.show();
  }

  show() {
    const { focus } = now.state;
    const [one, other] = this.pair;
    const [oneText, otherText] = this.pair.map((item) => written(item).textContent);
    const made = difference(oneText, otherText);
    const inline = this.way === "inline";
    for (const card of findAll(".card")) {
      const item = Number(card.dataset.item);
      const isShown = inline ? item === focus : this.pair.includes(item);
      card.toggleAttribute("data-compared", isShown);
      card.querySelector(".as-compared")?.remove();
      if (!isShown) continue;
      const text = element("div", { class: "as-compared", dir: "auto" });
      if (inline) text.append(...merged(made.pieces, item === one));
      else if (item === one) text.append(...marked(oneText, made.one, "del"));
      else text.append(...marked(otherText, made.other, "ins"));
      card.querySelector(".reading").append(text);
    }
    const [first, second] = this.selects();
    [first.value, second.value] = [one, other];
    const { figures, same } = this.bar.dataset;
    const values = { one: LETTERS[one], other: LETTERS[other], n: made.counts.one, m: made.counts.other };
    this.bar.querySelector("output").textContent = filled(made.one.length || made.other.length ? figures : same, values);
    this.shown = `${this.pair} ${focus}`;
  }

  selects() {
    return [...this.bar.querySelectorAll("select")];
  }
}

function written(item) {
  return cardOf(item).querySelector(".as-written");
}

/** Both in one text, seen from the output that is shown: what only the other one says is struck out. */
function merged(pieces, fromOne) {
  return pieces.flatMap(({ kind, text }) => {
    if (kind === "same") return [text];
    const [space] = /^\s*/.exec(text); // belongs to neither
    const words = text.slice(space.length);
    return [space, (kind === "one") === fromOne ? element("ins", {}, words) : element("del", { class: "struck" }, words)];
  });
}

function marked(text, ranges, tag) {
  const parts = [];
  let upTo = 0;
  for (const [start, end] of ranges) {
    parts.push(text.slice(upTo, start), element(tag, {}, text.slice(start, end)));
    upTo = end;
  }
  return [...parts, text.slice(upTo)];
}
