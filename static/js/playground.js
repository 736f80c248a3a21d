// The playground: one form, a stream for each version, the prompts of before kept in this browser, and the outputs handed on.

import { showProblem } from "./app.js";
import { ask } from "./lines.js";

const form = document.getElementById("play");
const columns = [...document.querySelectorAll(".column")];
const stop = document.getElementById("stop");
const go = document.getElementById("go");
const ways = [...document.querySelectorAll("form[data-outputs]")];
const words = form.dataset;
let running = null;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  running?.abort();
  const mine = (running = new AbortController());
  document.getElementById("problems").replaceChildren();
  remember();
  for (const way of ways) way.hidden = true;
  busy(true);
  const seed = form.elements.seed.value || String(Math.floor(Math.random() * 2 ** 31)); // one for all, so that they compare
  await Promise.all(columns.map((column) => write(column, seed, mine.signal)));
  if (running !== mine) return;
  busy(false);
  offer();
});

stop.addEventListener("click", () => running?.abort());
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});

async function write(column, seed, signal) {
  const answer = document.getElementById("answer").content.firstElementChild.cloneNode(true);
  answer.dataset.writing = "";
  delete column.dataset.ticket;
  if (!form.elements.chat?.checked) answer.querySelector(".given").textContent = form.elements.prompt.value;
  column.querySelector(".output").replaceChildren(answer);
  const how = answer.querySelector(".how");
  const body = new FormData(form);
  body.set("samples", "1");
  body.set("seed", seed);
  let end = words.stopped;
  try {
    const problems = await ask(column.dataset.answer, body, signal, (event) => {
      if (event.problems) ((end = words.failed), say(column, event.problems));
      if ("seed" in event) how.textContent = `${words.seed} ${event.seed}`;
      if (event.text) answer.querySelector(".written").append(event.text);
      if (event.finish) {
        end = event.finish === "length" ? words.length : words.end;
        column.dataset.ticket = event.ticket;
      }
    });
    if (problems.length) ((end = words.failed), say(column, problems));
  } catch (error) {
    if (error.name !== "AbortError") {
      end = words.failed;
      showProblem(document.body.dataset.offline);
    }
  }
  delete answer.dataset.writing;
  how.textContent = how.textContent ? `${how.textContent} · ${end}` : end;
  answer.querySelector(".copy").dataset.copy = answer.querySelector(".written").textContent;
}

/** What went wrong with one version stands in its column; the others go on. */
function say(column, problems) {
  const notice = document.createElement("div");
  notice.className = "notice";
  notice.dataset.kind = "error";
  notice.setAttribute("role", "alert");
  notice.textContent = problems.join("\n");
  column.querySelector(".output").append(notice);
}

function busy(on) {
  stop.hidden = !on;
  go.hidden = on;
}

/** Two whole outputs or more can be handed on; what was stopped in the middle is no output. */
function offer() {
  const tickets = columns.map((column) => column.dataset.ticket).filter(Boolean);
  for (const way of ways) {
    way.hidden = tickets.length < 2;
    for (const old of way.querySelectorAll("[name=ticket]")) old.remove();
    for (const ticket of tickets) {
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: "ticket", value: ticket });
      way.append(field);
    }
  }
}

// ── the prompts of before ───────────────────────────────────────────────────────────────────────────────────

const KEY = "peringkat.playground";
const MOST = 30;
const SETTINGS = ["prompt", "temperature", "top_p", "max_tokens", "seed"];
const box = document.getElementById("history");

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch {
    return []; // storage that is switched off or spoilt holds nothing
  }
}

function keep(list) {
  try {
    localStorage.setItem(KEY, JSON.stringify(list));
  } catch {
    // full or switched off: the playground works without it
  }
  listThem();
}

function remember() {
  const now = Object.fromEntries(SETTINGS.map((name) => [name, form.elements[name].value]));
  const before = remembered().filter((each) => each.prompt !== now.prompt);
  keep([now, ...before].slice(0, MOST));
}

function listThem() {
  const list = remembered();
  box.hidden = !list.length;
  box.querySelector("ul").replaceChildren(
    ...list.map((each) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "earlier";
      button.textContent = each.prompt || "∅";
      button.addEventListener("click", () => {
        for (const name of SETTINGS) form.elements[name].value = each[name] ?? "";
        form.elements.prompt.focus();
      });
      item.append(button);
      return item;
    }),
  );
}

document.getElementById("forget").addEventListener("click", () => keep([]));
listThem();
