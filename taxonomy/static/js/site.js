// Small conveniences over pages that work without them.

const typing = (target) => target.closest("input, textarea, select, [contenteditable]");

// "/" goes to the jump box; j, k and the arrows walk from neuron to neuron. Who switched single keys off keeps the arrows.
const quiet = document.body.dataset.shortcuts === "off";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target)) return;
  if (quiet && event.key.length === 1) return;
  if (event.key === "/") {
    event.preventDefault();
    document.getElementById("go")?.focus();
    return;
  }
  const rel = { j: "next", ArrowRight: "next", k: "prev", ArrowLeft: "prev" }[event.key];
  const link = rel && document.querySelector(`head link[rel=${rel}]`);
  if (link && !event.target.closest("summary, [role=region]")) window.location.assign(link.href);
});

// The coverage map: the cell under the pointer is named, a click opens its neuron.
for (const map of document.querySelectorAll("svg.map[data-href]")) {
  const { columns, count, href, layer } = map.dataset;
  const output = map.parentElement.querySelector("output");
  const at = (event) => {
    const box = map.getBoundingClientRect();
    const cell = box.width / (Number(columns) + 0.04);
    const column = Math.floor((event.clientX - box.left) / cell - 0.1);
    const row = Math.floor((event.clientY - box.top) / cell - 0.1);
    const index = row * Number(columns) + column;
    return column >= 0 && column < Number(columns) && row >= 0 && index < Number(count) ? index : null;
  };
  map.classList.add("live");
  map.addEventListener("pointermove", (event) => {
    const index = at(event);
    if (output) output.textContent = index === null ? "" : `${layer}:${index}`;
  });
  map.addEventListener("pointerleave", () => {
    if (output) output.textContent = "";
  });
  map.addEventListener("click", (event) => {
    const index = at(event);
    if (index !== null) window.location.assign(`${href}${index}/`);
  });
}

// The label form: type to find a family.
for (const form of document.querySelectorAll("[data-label-form]")) {
  const find = form.querySelector(".find");
  const rows = [...form.querySelectorAll(".choices [data-name]")];
  if (!find || rows.length < 6) continue;
  find.hidden = false;
  const input = find.querySelector("input");
  const narrow = () => {
    const words = input.value.trim().toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !words.every((word) => row.dataset.name.includes(word));
  };
  input.addEventListener("input", narrow);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "ArrowDown") return;
    event.preventDefault();
    const first = rows.find((row) => !row.hidden)?.querySelector("input");
    if (first) {
      first.checked = true;
      first.focus();
    }
  });
}

// Only one menu of details is open at a time, and Escape closes it.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.ask[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
