// How fast somebody ranks in this session, for them alone: it stays in the browser.

import { filled, texts } from "./page.js";

const NAME = "peringkat:pace";
const AMONG = 20; // the last so many say it,
const AT_LEAST = 3; // as soon as there are so many

const place = document.getElementById("pace");
let seconds = read();

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(NAME)) ?? [];
  } catch {
    return [];
  }
}

/** One more ranking, which took so many seconds of work. */
export function count(took) {
  seconds = [...seconds, Math.max(took, 1)].slice(-AMONG);
  try {
    sessionStorage.setItem(NAME, JSON.stringify(seconds));
  } catch {
    // Without a storage the pace begins anew with the page.
  }
  showPace();
}

export function showPace() {
  if (seconds.length < AT_LEAST) return;
  const mean = seconds.reduce((sum, each) => sum + each, 0) / seconds.length;
  place.textContent = ` · ${filled(texts.pace, { n: Math.round(3600 / mean) })}`;
}
