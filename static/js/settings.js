// The form of a run: settings that mean something only beside certain others come and go with them, and rows are filled in as a table.

function showFitting() {
  for (const part of document.querySelectorAll("[data-when]")) {
    const given = new FormData(part.closest("form"));
    // The last of a name counts: a box that is not ticked has left the "false" of its hidden field.
    part.hidden = !Object.entries(JSON.parse(part.dataset.when)).every(([name, values]) => values.includes(given.getAll(name).at(-1)));
  }
  // A fold says how many it holds that can be seen; one without any is no fold.
  for (const summary of document.querySelectorAll("summary[data-counted]")) {
    const seen = [...summary.nextElementSibling.children].filter((part) => !part.hidden && part.type !== "hidden").length;
    summary.parentElement.hidden = !seen;
    summary.textContent = summary.dataset.counted.split("|")[seen - 1] ?? "";
  }
}

/** Put a table in the place of a text area that holds rows as JSON; the area goes on carrying them. What is no such rows stays text. */
function fillInAsTable(area) {
  const columns = JSON.parse(area.dataset.columns);
  const areKeyed = !columns[0][0]; // {"first": "second"} rather than [{"input": "first", "output": "second"}]
  let rows;
  try {
    const held = JSON.parse(area.value || "null") ?? [];
    rows = areKeyed ? Object.entries(held) : held.map((row) => columns.map(([key]) => row[key] ?? ""));
  } catch {
    return;
  }
  const title = document.querySelector(`label[for="${area.id}"]`);
  const table = element("table", { className: "table rows" });
  table.setAttribute("aria-label", title.firstChild.textContent.trim());
  const head = table.createTHead().insertRow();
  for (const [, text] of columns) head.append(element("th", { scope: "col", textContent: text }));
  head.append(element("td"));
  const body = table.createTBody();

  function write() {
    const filled = [...body.rows]
      .map((row) => [...row.querySelectorAll("textarea")].map((cell) => cell.value))
      .filter((values) => values.some(Boolean));
    const held = areKeyed
      ? Object.fromEntries(filled)
      : filled.map((values) => Object.fromEntries(columns.map(([key], at) => [key, values[at]])));
    area.value = JSON.stringify(held);
  }

  function add(values) {
    const row = body.insertRow();
    columns.forEach(([, text], at) => {
      const cell = element("textarea", { rows: 1, value: values[at], ariaLabel: `${text} ${body.rows.length}` });
      cell.addEventListener("input", write);
      row.insertCell().append(cell);
    });
    const remove = element("button", { type: "button", className: "btn quiet small", textContent: area.dataset.remove });
    remove.addEventListener("click", () => {
      const neighbour = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      if (!body.rows.length) add(columns.map(() => ""));
      (neighbour ?? body.rows[0]).querySelector("textarea").focus();
      write();
    });
    row.insertCell().append(remove);
    return row;
  }

  for (const values of rows.length ? rows : [columns.map(() => "")]) add(values);
  const more = element("button", { type: "button", className: "btn small", textContent: area.dataset.add });
  more.addEventListener("click", () => add(columns.map(() => "")).querySelector("textarea").focus());
  area.hidden = true;
  area.after(table, more);
}

function element(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}

function lookAt(root) {
  for (const area of root.querySelectorAll("textarea[data-columns]:not([hidden])")) fillInAsTable(area);
  showFitting();
}

document.addEventListener("change", showFitting);
// What was filled in to suit the rest does not come under the hands of somebody who writes there.
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  if (event.detail.target.contains(document.activeElement)) event.detail.shouldSwap = false;
});
document.addEventListener("htmx:load", (event) => lookAt(event.detail.elt));
lookAt(document);
