// The “try it” page: sends the form, reads one JSON object a line, and writes the text as it comes.

import { showProblem } from "./app.js";
import { ask } from "./lines.js";

const form = document.getElementById("try");
const answers = document.getElementById("answers");
const stop = document.getElementById("stop");
const go = document.getElementById("go");
const words = form.dataset;
let running = null;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  running?.abort();
  const mine = (running = new AbortController());
  document.getElementById("problems").replaceChildren();
  answers.replaceChildren();
  busy(true);
  try {
    const problems = await ask(form.action, new FormData(form), mine.signal, show);
    if (problems.length) showProblem(problems.join("\n"));
  } catch (error) {
    if (error.name !== "AbortError") showProblem(document.body.dataset.offline);
  } finally {
    if (running === mine) busy(false);
    for (const answer of answers.querySelectorAll("[data-writing]")) finish(answer, words.stopped);
  }
});

stop.addEventListener("click", () => running?.abort());

// Ctrl+Enter (or ⌘+Enter) in the text sends it; Escape stops.
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});

function show(event) {
  if (event.problems) return showProblem(event.problems.join("\n"));
  if ("labels" in event) return classified(event);
  if ("seed" in event) {
    answers.dataset.seed = event.seed;
    return;
  }
  const answer = document.getElementById(`sample-${event.sample}`) ?? begin(event.sample);
  if (event.text) answer.querySelector(".written").append(event.text);
  if (event.finish) finish(answer, event.finish === "length" ? words.length : words.end);
}

function begin(sample) {
  const answer = document.getElementById("answer").content.firstElementChild.cloneNode(true);
  answer.id = `sample-${sample}`;
  answer.dataset.writing = "";
  if (!form.elements.chat?.checked) answer.querySelector(".given").textContent = form.elements.prompt.value;
  answer.querySelector(".how").textContent = `${words.seed} ${answers.dataset.seed}`;
  answers.append(answer);
  return answer;
}

function finish(answer, how) {
  delete answer.dataset.writing;
  answer.querySelector(".how").textContent += ` · ${how}`;
  answer.querySelector(".copy").dataset.copy = answer.querySelector(".written").textContent;
}

function classified(event) {
  const answer = document.getElementById("classified").content.firstElementChild.cloneNode(true);
  answer.querySelector(".written").textContent = event.text;
  const row = answer.querySelector(".label");
  for (const [label, probability] of event.labels) {
    const bar = row.cloneNode(true);
    bar.querySelector(".name").textContent = label;
    bar.querySelector("meter").value = probability;
    bar.querySelector(".figure").textContent = (100 * probability).toFixed(1) + " %";
    row.before(bar);
  }
  row.remove();
  answers.append(answer);
}

function busy(on) {
  stop.hidden = !on;
  go.hidden = on;
}
