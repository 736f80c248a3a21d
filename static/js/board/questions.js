// The project's questions at the board: reached by Q, answered by digits, left by Escape. Loaded where a project asks some.
// The fields are plain ones (templates/labeling/parts/question.html); desk.js keeps what is in them.

import { dispatch, focusCard, follow, letters, now } from "./desk.js";
import { LETTERS, tierOf } from "./order.js";
import { announce, board, filled, find, findAll, texts } from "./page.js";

const inputs = (question) => [...question.querySelectorAll("input, textarea")];
const foldOf = (question) => question.closest(".question-fold");

function isAnswered(question) {
  return inputs(question).some((field) => (field.matches("textarea") ? field.value.trim() : field.checked));
}

/** Put the focus into a question: on what is chosen in it, or its first field. */
function enter(question) {
  const item = LETTERS.indexOf(question.dataset.place);
  if (item >= 0) follow(item); // one layout shows the questions of the chosen output alone
  const fold = foldOf(question);
  if (fold) fold.open = true;
  const fields = inputs(question);
  (fields.find((field) => field.checked) ?? fields[0]).focus({ preventScroll: true });
  question.scrollIntoView({ block: "nearest" });
}

function outside() {
  focusCard({ force: true });
}

/** Q: into the questions about the focused output (or about the task, if those are all); again: the next one, shift: the one before. */
export function walk(by = 1) {
  const all = [...findAll(".question")];
  const here = document.activeElement.closest(".question");
  const own = all.filter((question) => question.dataset.place === LETTERS[now.state.focus]);
  const first = own.find((question) => !isAnswered(question) && !foldOf(question)) ?? own[0] ?? all[0];
  const next = here ? all[all.indexOf(here) + by] : first;
  if (next) enter(next);
  else outside();
}

/** After a digit: the next question that waits for an answer, or back to the board. */
function goOn(question) {
  const all = [...findAll(".question")];
  const next = all.slice(all.indexOf(question) + 1).find((each) => !isAnswered(each) && !foldOf(each));
  if (next) return enter(next);
  outside();
  if (!missing().length) announce(texts.all_answered);
}

/** A digit in a question: the step of that name, or the option in that place. */
function choose(question, digit) {
  const fields = inputs(question);
  const named = fields.find((field) => field.value === (digit === "0" && !fields.some((each) => each.value === "0") ? "10" : digit));
  const field = question.dataset.kind === "scale" ? named : fields[Number(digit) - 1];
  if (!field) return;
  if (field.type === "checkbox") field.focus();
  field.click();
  if (field.type === "checkbox") announce(`${field.value}: ${field.checked ? texts.checked : texts.unchecked}`);
  else goOn(question);
}

function clear(question) {
  for (const field of inputs(question)) field.checked = false;
  question.dispatchEvent(new Event("change", { bubbles: true }));
}

/** A key inside a question, digits by their place on the keyboard; true if it was meant for the question. */
export function onKey(event, { digit, single }) {
  const question = event.target.closest(".question");
  if (!question || event.target.matches("summary, button")) return false;
  if (event.key === "Escape") outside();
  else if (event.target.matches("textarea")) return false;
  else if (digit && single) choose(question, digit);
  else if (event.key === "Backspace" || event.key === "Delete") clear(question);
  else if (event.target.type === "checkbox" && event.key.startsWith("Arrow")) {
    const fields = inputs(question);
    const by = event.key === "ArrowUp" || event.key === "ArrowLeft" ? -1 : 1;
    fields.at((fields.indexOf(event.target) + by) % fields.length).focus();
  } else return false;
  event.preventDefault();
  return true;
}

/** Required questions without an answer: about the task, and about each output that is ranked or must be. */
export function missing() {
  return [...findAll(".question[data-required]")].filter((question) => {
    const item = LETTERS.indexOf(question.dataset.place);
    const isAsked = item < 0 || !now.task.dataset.partial || tierOf(now.state, item) >= 0;
    return isAsked && !isAnswered(question);
  });
}

/** Say which answers are missing, and go to the first; null if none is. */
export function askForMissing() {
  const open = missing();
  for (const question of findAll(".question")) question.toggleAttribute("data-missing", open.includes(question));
  if (!open.length) return null;
  const places = new Map();
  for (const { dataset } of open) places.set(dataset.title, [...(places.get(dataset.title) ?? []), LETTERS.indexOf(dataset.place)]);
  const sentences = [...places].map(([question, items]) =>
    items[0] < 0 ? filled(texts.unanswered, { question }) : filled(texts.unanswered_about, { question, letters: letters(items) }),
  );
  const item = LETTERS.indexOf(open[0].dataset.place);
  if (item >= 0) dispatch({ type: "focus", item });
  enter(open[0]);
  return sentences;
}

/** Beside the title of a folded question: that it is answered. */
function showAnswered() {
  for (const question of findAll(".question")) {
    if (isAnswered(question)) question.removeAttribute("data-missing");
    const said = foldOf(question)?.querySelector(".said");
    if (said) said.textContent = isAnswered(question) ? "✓" : "";
  }
}

/** "Begin with the text of A". */
function begin(question) {
  const place = find(`#text-${question.dataset.place}`);
  const field = question.querySelector("textarea");
  if (!field.value.trim()) field.value = (place.querySelector(".as-written") ?? place).textContent.trim();
  field.focus();
  field.setSelectionRange(0, 0);
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

board.addEventListener("click", (event) => {
  if (event.target.closest("[data-begin]")) begin(event.target.closest(".question"));
});
board.addEventListener("board:edit", showAnswered);
board.addEventListener("board:task", showAnswered);
