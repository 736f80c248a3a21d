// The board's places on the page, and how things are said there: announcements, passing messages, problems.
// Texts come from the page (#board-texts), so that they are translated where all others are.

export const board = document.getElementById("board");
export const texts = JSON.parse(document.getElementById("board-texts").textContent);
export const find = (selector) => board.querySelector(selector);
export const findAll = (selector) => board.querySelectorAll(selector);

const toast = document.getElementById("toast");
let problemLasts = false; // is the problem shown one that a change of the order does not mend?

export function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function button(label, onClick, kind = "") {
  const node = element("button", { type: "button", class: `btn small ${kind}` }, label);
  node.addEventListener("click", onClick);
  return node;
}

/** A text with its %(names)s filled in. */
export function filled(template, values) {
  return template.replace(/%\((\w+)\)s/g, (_, name) => values[name]);
}

export function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} ${texts.and} ${names.at(-1)}`;
}

/** For those who listen. What is said twice in a row differs by a space, or it would not be heard again. */
export function announce(text) {
  const place = document.getElementById("announce");
  place.textContent = place.textContent === text ? `${text}\u00a0` : text;
}

/** A message that passes; returns a function that takes it away if it is still there. */
export function showToast(text, action = null, milliseconds = 4000) {
  clearTimeout(toast.timer);
  const said = element("span", {}, text);
  toast.replaceChildren(said, ...(action ? [action] : []));
  toast.hidden = false;
  const hide = () => {
    if (said.isConnected) toast.hidden = true;
  };
  toast.timer = setTimeout(hide, milliseconds);
  return hide;
}

/** Say what is wrong, above the desk, until the order changes; with `lasts`, until something is done about it. */
export function showProblem(problems, { actions = [], lasts = false } = {}) {
  problemLasts = lasts;
  const place = find("#problem");
  if (!place) return showToast(problems.join(" "), null, 10000);
  const lines = problems.map((problem) => element("p", {}, problem));
  place.replaceChildren(...lines, element("div", { class: "row" }, ...actions));
}

export function clearProblem() {
  problemLasts = false;
  find("#problem")?.replaceChildren();
}

/** The order or an answer changed: what was wrong with it is over. */
export function mended() {
  if (!problemLasts) clearProblem();
}
