// What is asked in a dialog before it leaves the board: skip, flag, a question to those who run the project. Loaded when needed.

import { deliver } from "./deliver.js";
import { focusCard, now } from "./desk.js";
import { announce, button, showProblem, showToast, texts } from "./page.js";
import { send } from "./save.js";

/** What a dialog's form says, once it is agreed to; else null. */
async function answered(name) {
  const box = document.getElementById(name);
  if (!now.task || now.sending || box.open) return null;
  box.returnValue = "";
  const form = box.querySelector("form");
  if (name !== "ask") form.reset(); // no reason is chosen before they choose one
  box.onkeydown = (event) => keyIn(form, event);
  box.showModal();
  await new Promise((resolve) => box.addEventListener("close", resolve, { once: true }));
  focusCard({ force: true });
  return box.returnValue === "yes" ? new FormData(form) : null;
}

/** In such a dialog digits choose, and Ctrl+Enter sends from a field of several lines. */
function keyIn(form, event) {
  const { target, code, key } = event;
  if (key === "Enter" && (event.ctrlKey || event.metaKey)) return form.requestSubmit(form.querySelector(".primary"));
  const digit = !target.matches("textarea, input:not([type=radio])") && /^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1];
  const radio = digit && form.querySelectorAll("[type=radio]")[digit - 1];
  if (!radio || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  radio.focus();
  radio.checked = true;
}
// Who writes another reason has chosen that one.
document.querySelector("#skip [name=other]")?.addEventListener("input", () => (document.querySelector("#skip [name=reason][value='']").checked = true));

/** Skip or flag: ask in the dialog, then send what it says. */
export async function giveUp(name) {
  const given = await answered(name);
  if (!given) return;
  if (name === "skip" && !given.get("reason")) given.set("reason", given.get("other"));
  const fields = [...given, ["seconds", now.draft.clock.seconds]];
  const { skipUrl, flagUrl } = now.task.dataset;
  const [url, done] = name === "skip" ? [skipUrl, texts.skipped] : [flagUrl, texts.flagged];
  const again = () => deliver(url, fields, { done, again });
  await again();
}

/** A question to those who run the project. The task stays; so does the text, until it has arrived. */
export async function ask() {
  const given = await answered("ask");
  if (!given) return;
  const answer = await send(now.task.dataset.askUrl, [...given]);
  if (answer.ok) {
    document.querySelector("#ask form").reset();
    showToast(answer.body.done);
    announce(answer.body.done);
    return;
  }
  const problems = answer.problems.length ? answer.problems : [answer.kind === "offline" ? texts.not_asked : texts.broken];
  showProblem(problems, { actions: [button(texts.retry, ask, "primary")], lasts: true });
}
