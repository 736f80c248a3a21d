// Review of a task: the order that is typed is read while it is typed, as on the board; J and K lead to the next task and the one before.

import { readTyped } from "./board/notation.js";

const form = document.getElementById("adjudicate");
if (form) {
  const items = Number(form.dataset.items);
  form.elements.notation.addEventListener("input", () => readTyped(items));
}

// A ranking of the table, or the consensus, becomes the draft of the decision.
document.addEventListener("click", (event) => {
  const draft = event.target.closest("[data-draft]");
  if (!draft || !form) return;
  form.elements.notation.value = draft.dataset.draft;
  readTyped(Number(form.dataset.items));
  form.elements.notation.focus();
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const link = { j: "next", k: "prev" }[event.key.toLowerCase()];
  if (link) document.querySelector(`a[rel=${link}]`)?.click();
});
