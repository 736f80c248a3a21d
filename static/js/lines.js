// Asking the site for something that it writes piece by piece: one JSON object a line.

/** POST `body` and hand each object to `each` as it comes. Resolves to the problems, if any, that came instead of an answer. */
export async function ask(address, body, signal, each) {
  const response = await fetch(address, { method: "POST", body, headers: { Accept: "application/json" }, signal });
  if (!response.ok) {
    const answer = await response.json().catch(() => ({ problems: [document.body.dataset.serverError] }));
    return answer.problems;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return [];
    const lines = (held + value).split("\n");
    held = lines.pop();
    for (const line of lines) if (line) each(JSON.parse(line));
  }
}
