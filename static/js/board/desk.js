// The task on the desk: its state, its draft, and the one way in which it changes (dispatch).
//
// Other modules may listen on #board:
//     board:task       a task has come (detail: its element), or gone (null); its cards are in place and folded
//     board:edit       the person changed the order or an answer
//     board:change     the order or the focus is shown anew (detail: the state of order.js)

import { foldLongTexts } from "./fold.js";
import { showTypingError } from "./notation.js";
import { LETTERS, format, initial, isEmpty, parse, reduce, tierOf, unranked } from "./order.js";
import { announce, board, filled, find, findAll, listed, mended, showProblem, showToast, texts } from "./page.js";
import { Draft } from "./save.js";
import { tierStrip } from "./tiers.js";

const BESIDE = /^(answer\..+|comment)$/;

/** What lies on the desk now. Read it anywhere; `state` changes by dispatch alone. */
export const now = {
  task: null, // the element of the present task; null when none waits
  state: null,
  draft: null,
  sending: false,
  questions: null, // questions.js, where the project asks some
};

/** Take up the task that the page shows. */
export function bind() {
  now.task = find("#task[data-items]");
  if (!now.task) {
    now.state = now.draft = null;
    find("#task [tabindex]")?.focus({ preventScroll: true });
  } else {
    takeUp(now.task);
  }
  board.dispatchEvent(new CustomEvent("board:task", { detail: now.task }));
  if (now.task) focusCard({ force: true });
  const feedback = find("#feedback"); // how the practice task before went; it covers the next one
  feedback?.showModal();
  feedback?.addEventListener("close", () => {
    feedback.remove();
    now.draft?.clock.begin(); // reading it was no work on the next task
    focusCard({ force: true });
  }, { once: true });
}

function takeUp(task) {
  const draft = (now.draft = new Draft(task.dataset.assignment));
  let state = initial(Number(task.dataset.items));
  if (draft.order) {
    state = reduce(state, { type: "replace", order: draft.order });
    if (!isEmpty(state)) showToast(texts.draft);
    if (!isEmpty(state) && draft.key) showProblem([texts.unstored], { lasts: true }); // it was sent, and nothing was heard
    fill(draft.answers);
  } else if (task.dataset.before) {
    state = reduce(state, { type: "replace", order: parse(task.dataset.before, state.items) });
    fill(JSON.parse(task.dataset.answers));
  }
  now.state = { ...state, past: [], focus: unranked(state)[0] ?? 0 };
  foldLongTexts();
  if (find(".turns")) find(".prompt").scrollTop = find(".prompt").scrollHeight; // the turn that is answered is the last one
  render();
}

/** Put the server's answer, which holds the next task, in the place of this one. */
export function show(answer) {
  find("#task").outerHTML = answer.html;
  document.getElementById("progress").textContent = answer.progress;
  bind();
}

export function dispatch(action) {
  if (!now.state || now.sending) return;
  const before = now.state;
  now.state = reduce(before, action);
  if (now.state === before) return;
  if (now.state.past !== before.past) {
    edited();
  }
  say(before, action);
  const typing = action.type === "replace";
  render({ typing });
  if (!typing) focusCard();
}

/** What is said beside the ranking: [name, value] of each field of the form that says something. */
export function answers() {
  return [...new FormData(find("#desk-form"))].filter(([name, value]) => BESIDE.test(name) && value.trim());
}

function fill(said) {
  for (const field of find("#desk-form").elements) {
    if (!BESIDE.test(field.name)) continue;
    const values = said.filter(([name]) => name === field.name).map(([, value]) => value);
    if (field.type === "radio" || field.type === "checkbox") field.checked = values.includes(field.value);
    else field.value = values[0] ?? "";
    if (values.length) field.closest("details")?.setAttribute("open", "");
  }
}

/** The person changed something: it is kept, and what was wrong before is over. */
export function edited() {
  now.draft.keep(now.state, answers());
  mended();
  board.dispatchEvent(new CustomEvent("board:edit"));
}

/** The focus of the page went to a card by itself: the order follows without moving it. */
export function follow(item) {
  if (!now.state || item === now.state.focus) return;
  now.state = reduce(now.state, { type: "focus", item });
  render({ typing: true });
}

function render({ typing = false } = {}) {
  const { state } = now;
  for (const card of findAll(".card")) {
    const item = Number(card.dataset.item);
    const tier = tierOf(state, item);
    card.toggleAttribute("data-focused", item === state.focus);
    card.tabIndex = item === state.focus ? 0 : -1;
    card.toggleAttribute("data-below-line", state.line !== null && tier >= state.line);
    for (const radio of card.querySelectorAll(".ranks input")) radio.checked = Number(radio.value) === tier + 1;
  }
  find(".tiers").replaceChildren(...tierStrip(state));
  const notation = format(state);
  if (!typing) {
    find("#notation").value = notation;
    showTypingError(null);
  }
  find("#copy-notation").dataset.copy = notation;
  find("[data-do=rest]")?.setAttribute("aria-pressed", String(state.rest));
  find("[data-do=line]")?.setAttribute("aria-pressed", String(state.line !== null));
  find("[data-do=submit]").classList.toggle("waiting", !notation || missing().length > 0);
  board.dispatchEvent(new CustomEvent("board:change", { detail: state }));
}

/** The outputs that must still be ranked. */
export function missing() {
  return now.task.dataset.partial ? [] : unranked(now.state);
}

export function cardOf(item) {
  return find(`.card[data-item="${item}"]`);
}

/** The page's focus to the chosen output; what has it inside that card keeps it, unless `force`. */
export function focusCard({ force = false } = {}) {
  if (!now.state) return;
  const card = cardOf(now.state.focus);
  if (force || !card.contains(document.activeElement)) card.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
}

export function letters(items) {
  return listed(items.map((item) => LETTERS[item]));
}

/** Say what an action did: "B second, tied with D". */
function say(before, action) {
  const { state } = now;
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
  announce(filled(others ? texts.placed_tied : texts.placed, { letter, ordinal: texts.ordinals[tier], others }));
}
