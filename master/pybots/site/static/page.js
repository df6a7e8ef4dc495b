// Two comforts; the pages are complete without them. Times: local, with the exact UTC on hover.
// The grid: a filter by name and by what did not pass.
"use strict";

for (const time of document.querySelectorAll("time[datetime]")) {
  const then = new Date(time.dateTime);
  if (Number.isNaN(then.getTime())) continue;
  const local = then.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  if (time.hasAttribute("data-exact")) time.textContent = local;
  else time.title = `${time.title} (here: ${local})`;
}

const filter = document.getElementById("filter");
if (filter) {
  const rows = [...document.querySelectorAll("tr[data-name]")];
  const show = () => {
    const name = filter.elements.name.value.trim().toLowerCase();
    const unsettled = filter.elements.unsettled.checked;
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.dataset.name.toLowerCase().includes(name) || (unsettled && row.dataset.settled === "yes");
      if (!row.hidden) shown += 1;
    }
    filter.querySelector("output").textContent = shown === rows.length ? "" : `${shown} of ${rows.length}`;
  };
  filter.addEventListener("input", show);
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.hidden = false;
  show();
}
