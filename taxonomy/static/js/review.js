// The review queue and its sheets by keyboard; without this, every form works by itself.

const page = document.querySelector("[data-review]");
if (page) {
  const entries = [...page.querySelectorAll("[data-entry]")];
  const boxes = [...page.querySelectorAll("[data-select]")];
  const free = boxes.filter((box) => !box.disabled);
  const dialog = page.querySelector("[data-dialog]");
  const many = page.querySelector("[data-many]");
  const all = page.querySelector("[data-all]");
  const letters = page.dataset.shortcuts === "on";

  const count = () => {
    const chosen = free.filter((box) => box.checked).length;
    if (many && free.length) many.textContent = chosen ? `Accept ${chosen} selected` : "Accept selected";
    if (all) all.querySelector("input").checked = chosen > 0 && chosen === free.length;
    for (const entry of entries) entry.classList.toggle("chosen-entry", !!entry.querySelector("[data-select]:checked"));
  };
  page.addEventListener("change", (event) => {
    if (all && event.target === all.querySelector("input")) for (const box of free) box.checked = event.target.checked;
    count();
  });
  if (all && free.length) all.hidden = false;
  count();

  const keys = page.querySelector("[data-keys]");
  if (keys && dialog) {
    keys.hidden = false;
    keys.addEventListener("click", () => dialog.showModal());
  }

  // Where the keys are: the entry that holds the focus.
  const here = () => entries.findIndex((entry) => entry.contains(document.activeElement));
  const go = (place) => {
    const entry = entries[Math.max(0, Math.min(entries.length - 1, place))];
    (entry?.matches("article") ? entry : entry?.querySelector("input, a"))?.focus();
    entry?.scrollIntoView({ block: "nearest" });
  };
  const open = (entry, step) => {
    const form = entry?.querySelector(`[data-step="${step}"]`);
    if (!form) return false;
    form.open = true;
    form.querySelector("select, textarea, input:not([type=hidden])")?.focus();
    return true;
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || dialog?.open) return;
    if (event.target.closest("textarea, select, input:not([type=checkbox])")) {
      if (event.key === "Escape") {
        const form = event.target.closest("details.step");
        if (form) form.open = false;
        form?.querySelector("summary").focus();
      }
      return;
    }
    const place = here();
    const entry = entries[place];
    const box = entry?.querySelector("[data-select]");
    if (event.key === " " && entry === document.activeElement && box && !box.disabled) {
      event.preventDefault();
      box.checked = !box.checked;
      count();
      return;
    }
    if (event.key === "Enter" && entry === document.activeElement) {
      entry.querySelector("h3 a")?.click();
      return;
    }
    if (!letters) return;
    const acts = {
      j: () => go(place + 1) ?? true,
      k: () => go(place < 0 ? 0 : place - 1) ?? true,
      a: () => open(entry, "accept"),
      o: () => open(entry, "object"),
      e: () => open(entry, "need-evidence"),
      "?": () => dialog?.showModal() ?? true,
    };
    if (acts[event.key]?.()) event.preventDefault();
  });
}
