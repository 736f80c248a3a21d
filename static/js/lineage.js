// A drawn lineage that is wider than the screen begins where this version stands.

for (const chart of document.querySelectorAll(".lineage")) {
  const here = chart.querySelector("a[aria-current]");
  if (!here) continue;
  const box = here.getBoundingClientRect();
  chart.scrollLeft += box.left + box.width / 2 - (chart.getBoundingClientRect().left + chart.clientWidth / 2);
}
