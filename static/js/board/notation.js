// The notation field: reads what is typed while it is typed, and points at what cannot be read.

import { parse } from "./order.js";
import { element, filled, find, mended, texts } from "./page.js";

/** The order that stands in the field, or null, with the error shown below it. */
export function readTyped(items) {
  const text = find("#notation").value;
  const read = text.trim() ? parse(text, items) : { tiers: [], line: null, rest: false };
  showTypingError(read.error ?? null, text);
  return read.error ? null : read;
}

export function cannotBeRead() {
  return find("#notation").hasAttribute("aria-invalid");
}

/** Below the field: the text again with the character marked, and what was expected there. */
export function showTypingError(error, text = "") {
  const input = find("#notation");
  const place = find("#typed-error");
  if (!error) {
    if (input.hasAttribute("aria-invalid")) mended();
    input.removeAttribute("aria-invalid");
    place.replaceChildren();
    return;
  }
  const characters = Array.from(text);
  const unfinished = error.code === "ends_early" || error.code === "empty";
  input.setAttribute("aria-invalid", String(!unfinished));
  const marked = element("span", { class: "mono", "aria-hidden": "true" });
  marked.append(
    characters.slice(0, error.at).join(""),
    element("mark", {}, characters[error.at] ?? "\u00a0"),
    characters.slice(error.at + 1).join(""),
  );
  place.classList.toggle("unfinished", unfinished);
  place.replaceChildren(marked, element("span", {}, filled(texts.errors[error.code], error.params)));
}
