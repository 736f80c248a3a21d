// Pages on which a project is set up: one tick for all the boxes of a list.

document.addEventListener("change", ({ target }) => {
  const form = target.form;
  if (target.dataset.tickAll)
    for (const box of form.querySelectorAll(`input[name="${target.dataset.tickAll}"]`)) box.checked = target.checked;
  const all = form?.querySelector("[data-tick-all]");
  if (!all) return;
  const boxes = [...form.querySelectorAll(`input[name="${all.dataset.tickAll}"]`)];
  const ticked = boxes.filter((box) => box.checked).length;
  all.checked = ticked === boxes.length;
  all.indeterminate = ticked > 0 && ticked < boxes.length;
  for (const place of form.querySelectorAll("[data-ticked]")) place.textContent = ticked;
});
