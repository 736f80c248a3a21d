// What must not get lost: the draft on this device until the server has acknowledged, the way to the server, the time worked.

const PREFIX = "peringkat:draft:";
const KEPT_DAYS = 30;
const IDLE_SECONDS = 60;
const TIMEOUT_MS = 20000;

/** The draft of one assignment: the order and the answers so far, the key of its submit, the seconds worked. */
export class Draft {
  constructor(assignment) {
    this.name = PREFIX + assignment;
    const kept = read(this.name);
    this.order = kept?.order ?? null;
    this.answers = kept?.answers ?? [];
    this.key = kept?.key ?? null; // {key, said}: what was sent last, if anything was
    this.clock = new Clock(kept?.seconds ?? 0);
  }

  keep({ tiers, line, rest }, answers) {
    this.order = { tiers, line, rest };
    this.answers = answers;
    this.write();
  }

  /** The client key of what is sent: the same as long as the same is sent again, so that the server stores it once. */
  keyFor(said) {
    if (this.key?.said !== said) this.key = { key: newKey(), said };
    this.write();
    return this.key.key;
  }

  write() {
    const { order, answers, key } = this;
    try {
      localStorage.setItem(this.name, JSON.stringify({ order, answers, key, seconds: this.clock.seconds, at: Date.now() }));
    } catch {
      // A full or forbidden storage costs the draft its safety, not the person their work.
    }
  }

  forget() {
    localStorage.removeItem(this.name);
  }
}

/** Remove drafts of long ago. */
export function sweepDrafts() {
  for (const name of Object.keys(localStorage))
    if (name.startsWith(PREFIX) && !(read(name)?.at > Date.now() - KEPT_DAYS * 86400e3)) localStorage.removeItem(name);
}

function read(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Seconds of active work: time with the page in sight and a sign of life within the last minute. */
class Clock {
  constructor(seconds) {
    this.before = seconds;
    this.begin();
  }

  begin() {
    this.since = this.lastSign = performance.now();
  }

  get seconds() {
    return Math.round((this.before + (this.until() - this.since) / 1000) * 10) / 10;
  }

  until() {
    return Math.min(performance.now(), this.lastSign + IDLE_SECONDS * 1000);
  }

  sign() {
    const now = performance.now();
    if (now > this.lastSign + IDLE_SECONDS * 1000) {
      this.before += (this.until() - this.since) / 1000;
      this.since = now;
    }
    this.lastSign = now;
  }
}

/**
 * Send a verb's fields, [name, value] each. Answers {ok: true, body} or {ok: false, kind, problems}; kind is "offline", "signed_out", "conflict",
 * "refused" or "broken". Never throws.
 */
export async function send(url, fields) {
  let response;
  try {
    response = await fetch(url, {
      method: "POST",
      // The cookie, not the page: after a new sign-in in another tab the page's token is old.
      headers: { Accept: "application/json", "X-CSRFToken": cookie("csrftoken") },
      body: new URLSearchParams(fields),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      redirect: "error",
    });
  } catch {
    return { ok: false, kind: "offline", problems: [] };
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return { ok: true, body };
  const kinds = { 401: "signed_out", 409: "conflict" };
  const kind = kinds[response.status] ?? (body?.problems ? "refused" : "broken");
  return { ok: false, kind, problems: body?.problems ?? [] };
}

function cookie(name) {
  return document.cookie.split("; ").find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
}
