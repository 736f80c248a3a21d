// What every page needs of script: theme, copy buttons, search focus, menus that close, confirmation, lost connections.
// Texts come from the page (data attributes of <body>), so that they are translated where all others are.

const root = document.documentElement;
const texts = document.body.dataset;

export function setTheme(theme) {
  root.dataset.theme = theme;
  // A cookie, so that the server writes the right theme into the first byte of the next page: nothing flashes.
  document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=lax`;
  for (const button of document.querySelectorAll("[data-set-theme]"))
    button.setAttribute("aria-pressed", String(button.dataset.setTheme === theme));
}

async function copy(button, text = button.dataset.copy) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = texts.copied;
  } catch {
    // No clipboard without TLS: show the text, selected, instead.
    window.prompt(texts.copyByHand, text);
    return;
  }
  setTimeout(() => (button.textContent = label), 1500);
}

/** Ask in the page's own dialog; resolves to true when the person agrees. */
export function confirmed(question, verb) {
  const dialog = document.getElementById("confirm");
  dialog.querySelector("p").textContent = question;
  dialog.querySelector("[value=yes]").textContent = verb || texts.confirmVerb;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }),
  );
}

/** A link that a model wrote: whatever it is called, this is where it leads; and nothing of this page goes along. */
async function openOutside(address) {
  if (await confirmed(`${texts.leadsOutside} ${address}`, texts.openLink)) window.open(address, "_blank", "noopener,noreferrer");
}

/** Show problems in the page's one place for them. */
export function showProblem(text) {
  const place = document.getElementById("problems");
  const notice = document.createElement("div");
  notice.className = "notice";
  notice.dataset.kind = "error";
  notice.setAttribute("role", "alert");
  notice.textContent = text;
  place.replaceChildren(notice);
}

setTheme(root.dataset.theme || "system");

document.addEventListener("click", (event) => {
  const theme = event.target.closest("[data-set-theme]");
  if (theme) setTheme(theme.dataset.setTheme);
  const copyButton = event.target.closest("[data-copy]");
  if (copyButton) copy(copyButton);
  const code = event.target.closest(".copy-code")?.closest(".code");
  if (code) copy(event.target.closest(".copy-code"), code.querySelector("code").textContent);
  const outside = event.target.closest("[data-outside]")?.dataset.outside;
  if (outside) openOutside(outside);
  if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
  for (const menu of document.querySelectorAll("details.menu[open]"))
    if (!menu.contains(event.target)) menu.open = false;
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const search = document.querySelector("input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  }
});

// A form or its button says data-confirm="Question?"; the dialog's button carries the verb of the button pressed.
const agreed = new WeakSet();
document.addEventListener(
  "submit",
  async (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm || form.dataset.confirm;
    if (!question || agreed.delete(form)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (await confirmed(question, event.submitter?.textContent.trim())) {
      agreed.add(form);
      form.requestSubmit(event.submitter);
    }
  },
  true,
);

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
});

// hx-confirm uses the same dialog.
document.addEventListener("htmx:confirm", async (event) => {
  if (!event.detail.question) return;
  event.preventDefault();
  if (await confirmed(event.detail.question, event.target.textContent.trim())) event.detail.issueRequest(true);
});
for (const name of ["htmx:sendError", "htmx:timeout"])
  document.addEventListener(name, (event) => {
    // A part of the page that polls tries again by itself; only what a person asked for deserves an alarm.
    if (event.detail.requestConfig?.verb !== "get") showProblem(texts.offline);
  });
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status >= 500) showProblem(texts.serverError);
});

// Tabs that do not fit: the open one is in view, and an edge behind which there are more fades.
for (const tabs of document.querySelectorAll(".tabs")) {
  const mark = () => {
    tabs.toggleAttribute("data-before", tabs.scrollLeft > 1);
    tabs.toggleAttribute("data-after", tabs.scrollLeft + tabs.clientWidth < tabs.scrollWidth - 1);
  };
  const open = tabs.querySelector("[aria-current]");
  if (open) tabs.scrollLeft = open.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - open.offsetWidth) / 2;
  tabs.addEventListener("scroll", mark, { passive: true });
  new ResizeObserver(mark).observe(tabs);
}

const REACHABLE = "a[href], button, input, select, textarea, summary, [tabindex]";
// What scrolls by itself and holds nothing that the Tab key stops at is a stop itself.
function makeReachable(root) {
  for (const part of root.querySelectorAll?.(".scroll, .chart, .log, pre, div.choices, .tabs") ?? []) {
    const scrolls = part.scrollWidth > part.clientWidth || (part.scrollHeight > part.clientHeight && getComputedStyle(part).overflowY !== "visible");
    if (!scrolls || part.querySelector(REACHABLE)) {
      if (part.dataset.stop) part.removeAttribute("tabindex");
    } else if (!part.hasAttribute("tabindex")) {
      part.tabIndex = 0;
      part.dataset.stop = "1";
    }
  }
}
document.addEventListener("htmx:load", (event) => makeReachable(event.target));
document.addEventListener("toggle", (event) => makeReachable(event.target), true); // a dialog or a fold opens
addEventListener("resize", () => makeReachable(document));
