// What pages need whose parts htmx swaps: notices of the browser, and that a part keeps its place when it comes anew.

// Notices through the browser, for those who asked for them. The bell brings the newest one along when it asks again.
const browserNotices = document.querySelector("[data-browser-notices]");
if (browserNotices && window.Notification?.permission === "default") {
  browserNotices.parentElement.hidden = false;
  browserNotices.addEventListener("click", async () => {
    if ((await Notification.requestPermission()) === "granted")
      browserNotices.parentElement.textContent = browserNotices.dataset.browserNotices;
  });
}
document.addEventListener("htmx:load", (event) => {
  const { newest, text } = event.target.dataset ?? {};
  if (event.target.id !== "bell" || !newest || window.Notification?.permission !== "granted") return;
  // Once, however many pages are open.
  if (Number(localStorage.getItem("told") ?? 0) >= Number(newest)) return;
  localStorage.setItem("told", newest);
  new Notification(text);
});

// What is swapped keeps its place: how far it was scrolled sideways, what was unfolded, and what had the focus (htmx itself looks after elements with an id alone).
const keptPlaces = new Map();
const described = (element) => ["href", "name", "value"].map((name) => element.getAttribute(name)).join() + element.tagName + element.textContent;
const alike = (part, words) => [...part.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter((each) => described(each) === words);
function focusIn(part) {
  const element = document.activeElement;
  if (!part.contains(element)) return null;
  const words = described(element);
  return { words, place: alike(part, words).indexOf(element) }; // a run stands in the queue and in the table
}
for (const name of ["htmx:beforeSwap", "htmx:oobBeforeSwap"])
  document.addEventListener(name, ({ detail: { target, shouldSwap } }) => {
    if (!shouldSwap || !target.id) return;
    keptPlaces.set(target.id, {
      scrolled: [...target.querySelectorAll(".scroll")].map((part) => part.scrollLeft),
      unfolded: [...target.querySelectorAll("details[id][open]")].map((each) => each.id),
      ticked: [...target.querySelectorAll("input[data-keep-tick]:checked")].map((each) => each.id),
      focused: focusIn(target),
    });
  });
// After the last of an answer's parts is in place.
document.addEventListener("htmx:afterSwap", () => {
  for (const [id, { scrolled, unfolded, ticked, focused }] of keptPlaces) {
    const part = document.getElementById(id);
    if (!part) continue;
    [...part.querySelectorAll(".scroll")].forEach((each, place) => (each.scrollLeft = scrolled[place] ?? 0));
    for (const each of part.querySelectorAll("details[id]")) each.open ||= unfolded.includes(each.id);
    for (const each of part.querySelectorAll("input[data-keep-tick]")) each.checked ||= ticked.includes(each.id);
    if (focused && document.activeElement === document.body) alike(part, focused.words).at(focused.place)?.focus({ preventScroll: true });
  }
  keptPlaces.clear();
});
// A part that asks by itself waits while a list in it is open: swapping would close it.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (!event.detail.requestConfig.triggeringEvent && event.target.querySelector("select:focus")) event.preventDefault();
});
