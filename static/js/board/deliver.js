// What leaves the board: submit, undo, and what dialogs.js sends. What fails to arrive moves nothing on and is kept.

import { confirmed } from "../app.js";
import { answers, cardOf, dispatch, letters, missing, now, show } from "./desk.js";
import { unfold, unread } from "./fold.js";
import { cannotBeRead } from "./notation.js";
import { format } from "./order.js";
import { announce, board, button, clearProblem, element, filled, find, showProblem, showToast, texts } from "./page.js";
import { count } from "./pace.js";
import { send } from "./save.js";

const UNDO_MS = 10000;
const SLOW_MS = 400;

let recall = null; // {url, until}: the last submit, as long as it can be called back
let retryOnline = null; // the save that is tried again by itself when the browser is back online
let askedUnread = null; // the task whose unread outputs were asked about

export async function submit() {
  const { state, draft, task } = now;
  if (!state || now.sending) return;
  if (cannotBeRead()) {
    find("#notation").focus();
    return showProblem([texts.fix_typing]);
  }
  const ranking = format(state);
  const unranked = missing();
  if (!ranking || unranked.length) {
    showProblem([ranking ? filled(texts.missing, { letters: letters(unranked) }) : texts.nothing_said]);
    return dispatch({ type: "focus", item: unranked[0] ?? 0 });
  }
  const folded = unread();
  if (folded.length && askedUnread !== task) {
    askedUnread = task;
    if (!(await confirmed(filled(texts.unread, { letters: letters(folded) }), texts.submit))) {
      unfold(cardOf(folded[0]));
      return dispatch({ type: "focus", item: folded[0] });
    }
  }
  const unanswered = now.questions?.askForMissing();
  if (unanswered) {
    showProblem(unanswered);
    // What is said there takes room from the outputs.
    return document.activeElement.closest(".question")?.scrollIntoView({ block: "nearest" });
  }
  const said = [["ranking", ranking], ...answers()];
  if (task.dataset.revising) said.push(["from_history", "1"]);
  const fields = [...said, ["client_key", draft.keyFor(JSON.stringify(said))], ["seconds", draft.clock.seconds]];
  await deliver(task.dataset.submitUrl, fields, { done: filled(texts.stored, { ranking }), again: submit, ranking });
}

/**
 * Send; on success say `done` and show the next task, on failure keep everything and say why. `again` is what a retry does.
 * The draft has done its duty, unless `keepDraft`. `ranking`: the one that is sent, if one is.
 */
export async function deliver(url, fields, { done, again, ranking = null, keepDraft = false }) {
  now.sending = true;
  board.setAttribute("aria-busy", "true");
  retryOnline = null;
  clearProblem();
  let hide = () => {};
  const slow = setTimeout(() => (hide = showToast(texts.saving, null, 60000)), SLOW_MS);
  const answer = await send(url, fields);
  clearTimeout(slow);
  hide();
  board.removeAttribute("aria-busy");
  now.sending = false;
  if (!answer.ok) return explain(answer, { fields, again, ranking });
  if (ranking) count(now.draft.clock.seconds);
  if (!keepDraft) now.draft?.forget();
  if (answer.body.go) return location.assign(answer.body.go);
  show(answer.body);
  recall = answer.body.undo ? { url: answer.body.undo, until: performance.now() + UNDO_MS } : null;
  const { good_news: news, progress } = answer.body;
  const told = news || done;
  if (recall) showToast(told, undoButton(), UNDO_MS);
  else showToast(told, null, news ? UNDO_MS : undefined);
  announce([news, now.task ? filled(texts.new_task, { progress }) : texts.all_done].filter(Boolean).join(" "));
}

function explain(answer, { fields, again, ranking }) {
  const retry = button(texts.retry, again, "primary");
  if (answer.kind === "signed_out") {
    const address = document.getElementById("board-sign-in").href;
    const link = element("a", { class: "btn small", target: "_blank", href: address }, texts.sign_in);
    return showProblem([texts.signed_out], { actions: [link, retry], lasts: true });
  }
  if (answer.kind === "conflict") {
    const next = button(texts.next, () => location.reload());
    if (!ranking) return showProblem(answer.problems, { actions: [next] });
    const url = now.task.dataset.reviseUrl;
    const revise = () => deliver(url, fields, { done: filled(texts.stored, { ranking }), again: revise, ranking });
    return showProblem(answer.problems, { actions: [button(texts.revise, revise), next] });
  }
  if (answer.kind === "refused") return showProblem(answer.problems, { actions: [retry] });
  const what = answer.kind === "offline" ? texts.offline : texts.broken;
  showProblem([what], { actions: [retry], lasts: true });
  if (answer.kind === "offline" && ranking) retryOnline = again;
}

function undoButton() {
  const made = button(texts.undo, callBack);
  made.append(" ", element("kbd", { class: "kbd" }, "Z"));
  return made;
}

/** Call the last submit back. The task that goes back to the queue instead keeps its draft. */
async function callBack() {
  if (now.sending || !recall) return;
  await deliver(recall.url, [], { done: texts.called_back, again: callBack, keepDraft: true });
}

export function undo() {
  if (now.state?.past.length) dispatch({ type: "undo" });
  else if (recall && performance.now() < recall.until) callBack();
  else announce(texts.nothing_to_undo);
}

// While something is on its way, what is said stays as it was sent: nothing is written that the answer would sweep away.
for (const sign of ["beforeinput", "click"])
  board.addEventListener(sign, (event) => {
    if (now.sending && event.target.closest(".question, .note, .ranks, #notation")) event.preventDefault();
  });

addEventListener("online", () => !now.sending && retryOnline?.());
// What waited to be sent is no longer what the person sees.
board.addEventListener("board:edit", () => (retryOnline = null));
