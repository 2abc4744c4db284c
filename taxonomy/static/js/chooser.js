// Naming a family: by key, by click, by the first letters of its name; and what else can be said.

export const part = (name, within) => within.querySelector(`[data-${name}]`);

const nameOf = (row) => row.querySelector(".name").textContent;
const button = (row) => row.querySelector("button");

export class Chooser {
  // `root` holds the form, or changing ones. `read(changes, said, began)` takes a reading: what it changes of the form's
  // fields, in words, and when the key was pressed. `commands` are further keys; `at` is where the focus rests.
  constructor(root, { single, dialog, read, say, commands, at, other = () => false }) {
    Object.assign(this, { root, single, dialog, read, say, at, other, looked: null, several: [] });
    this.commands = {
      c: (event) => (this.looked && !this.armed("coarser") ? this.coarser(this.looked, event.timeStamp) : this.part("coarser").click()),
      x: () => this.open("x"),
      n: () => this.open("n"),
      o: () => this.open("o"),
      p: () => this.part("poly").click(),
      "/": () => this.part("find").focus(),
      "?": () => dialog.showModal(),
      ...commands,
    };
    root.addEventListener("submit", (event) => this.submitted(event));
    root.addEventListener("click", (event) => this.clicked(event));
    root.addEventListener("input", (event) => event.target.matches("[data-find]") && this.narrow());
    for (const kind of ["pointerover", "focusin"]) {
      root.addEventListener(kind, (event) => {
        this.looked = event.target.closest("[data-family]") ?? this.looked;
      });
    }
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || dialog.open) return;
      if (!this.pressed(event)) return;
      event.preventDefault();
      event.stopPropagation();
    }, { capture: true });
  }

  part(name) {
    return part(name, this.root);
  }

  get rows() {
    return [...this.root.querySelectorAll("[data-family]")];
  }

  // What only scripts can do appears, where there is something to do it with.
  settle(within = this.root) {
    const rows = within.querySelectorAll("[data-family]");
    part("find", within).hidden = rows.length < 6;
    part("poly", within).hidden = rows.length < 2;
    part("coarser", within).hidden = !within.querySelector("[data-parent], [data-finer]");
  }

  reset() {
    this.looked = null;
    for (const name of ["poly", "coarser"]) this.arm(name, false);
    for (const way of this.root.querySelectorAll("details.way[open]")) if (this.rows.length) way.open = false;
    const find = this.part("find");
    if (find?.value) {
      find.value = "";
      this.narrow();
    }
    this.choose([]);
  }

  close() {
    this.reset();
    this.at()?.focus({ preventScroll: true });
  }

  armed(name) {
    return this.part(name)?.getAttribute("aria-pressed") === "true";
  }

  arm(name, on) {
    this.part(name)?.setAttribute("aria-pressed", String(on));
  }

  choose(chosen) {
    this.several = chosen;
    const line = this.part("several");
    if (!line) return;
    for (const row of this.rows) {
      const place = chosen.indexOf(row);
      button(row).querySelector("kbd").textContent = place < 0 ? (button(row).dataset.key ?? "") : place + 1;
      if (this.armed("poly")) button(row).setAttribute("aria-pressed", String(place >= 0));
      else button(row).removeAttribute("aria-pressed");
    }
    line.hidden = !this.armed("poly");
    this.part("several-words").textContent = chosen.length ? chosen.map(nameOf).join(", ") : "Choose each family it means, the main one first.";
    this.part("send").disabled = chosen.length < 2;
  }

  family(row, began) {
    if (this.armed("poly")) this.choose(this.several.includes(row) ? this.several.filter((one) => one !== row) : [...this.several, row]);
    else if (this.armed("coarser")) this.coarser(row, began);
    else this.read({ reading: row.dataset.family }, nameOf(row), began);
  }

  coarser(row, began) {
    const above = this.rows.find((one) => one.dataset.family === row.dataset.parent);
    if (above) this.read({ reading: above.dataset.family }, nameOf(above), began);
    else if ("finer" in row.dataset) this.read({ reading: row.dataset.family, no_finer: "on" }, `${nameOf(row)}, no finer`, began);
    else this.say([`${nameOf(row)} has no family above it, and none below.`]);
  }

  sendSeveral(began) {
    if (this.several.length < 2) return;
    const [first, ...rest] = this.several;
    const changes = { reading: first.dataset.family, further: rest.map((row) => row.dataset.family), polysemantic: "on" };
    this.read(changes, this.several.map(nameOf).join(" and "), began);
  }

  none(began) {
    this.read({ reading: "none of these", ...(this.armed("poly") && { polysemantic: "on" }) }, "none of these", began);
  }

  cannot(kind, began) {
    this.read({ reading: "cannot tell", missing_evidence: kind }, "cannot tell", began);
  }

  // The form's fields with what a reading changes of them.
  fields(form, changes) {
    const fields = [...new FormData(form)].filter(([name]) => !(name in changes) && name !== "csrfmiddlewaretoken");
    for (const [name, value] of Object.entries(changes)) for (const one of [value].flat()) fields.push([name, one]);
    return fields;
  }

  open(name) {
    const way = this.root.querySelector(`details[data-way="${name}"]`);
    way.open = !way.open;
    if (way.open) way.querySelector("input:not([type=radio]), textarea, .missing-keys button")?.focus();
  }

  narrow() {
    const words = this.part("find").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of this.rows) {
      row.hidden = !words.every((word) => row.dataset.name.includes(word));
      row.classList.remove("match");
    }
    if (words.length) this.rows.find((row) => !row.hidden)?.classList.add("match");
  }

  submitted(event) {
    const by = event.submitter;
    if (by?.formAction && by.hasAttribute("formaction") && !by.matches("[data-skip]")) return; // goes its own way
    event.preventDefault();
    const began = event.timeStamp;
    if (by?.matches("[data-skip]")) this.commands.s(event);
    else if (by?.name === "missing_evidence") this.cannot(by.value, began);
    else if (by?.value === "none of these") this.none(began);
    else if (by?.closest("[data-family]")) this.family(by.closest("[data-family]"), began);
    else if (document.activeElement?.name === "suggested_name") this.none(began);
  }

  clicked(event) {
    const by = event.target.closest("[data-poly], [data-coarser], [data-send]");
    if (!by) return;
    if ("send" in by.dataset) this.sendSeveral(event.timeStamp);
    else {
      const name = "poly" in by.dataset ? "poly" : "coarser";
      const on = !this.armed(name);
      for (const one of ["poly", "coarser"]) this.arm(one, false);
      this.arm(name, on);
      this.choose([]);
    }
  }

  // Whether the key meant something here.
  pressed(event) {
    if (event.key === "Escape") {
      this.commands.Escape?.(event);
      this.close();
      return true;
    }
    if (event.target.closest("input:not([type=radio], [type=checkbox]), textarea, select")) return this.typed(event);
    if (this.other(event)) return true;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") return this.stepped(event);
    if (event.key === "Enter" && this.armed("poly") && !event.target.closest("summary, a, [data-send], .otherwise")) {
      this.sendSeveral(event.timeStamp);
      return true;
    }
    // A key that is held down says nothing new.
    if (!this.single || event.repeat || event.key.length !== 1) return false;
    if (!part("say", document)) return ["u", "?"].includes(event.key) && (this.commands[event.key](event), true);
    const missing = this.root.querySelector("details[data-way=x][open]");
    const choice = (missing ?? this.root).querySelector(`${missing ? "" : "[data-family]:not([hidden]) "}[data-key="${CSS.escape(event.key)}"]`);
    const command = this.commands[event.key];
    const hidden = { "/": "find", p: "poly", c: "coarser" }[event.key];
    if (missing && choice) this.cannot(choice.value, event.timeStamp);
    else if (command && hidden && this.part(hidden).hidden) return true;
    else if (command) command(event);
    else if (choice) this.family(choice.closest("[data-family]"), event.timeStamp);
    else return false;
    return true;
  }

  typed(event) {
    const first = this.rows.find((row) => !row.hidden);
    if (!event.target.matches("[data-find]") || !first) return false;
    if (event.key === "ArrowDown") button(first).focus();
    else if (event.key !== "Enter") return false;
    else {
      event.target.value = "";
      this.narrow();
      this.family(first, event.timeStamp);
    }
    return true;
  }

  stepped(event) {
    const from = event.target.closest("[data-family]");
    const shown = this.rows.filter((row) => !row.hidden);
    const to = from && shown[shown.indexOf(from) + (event.key === "ArrowDown" ? 1 : -1)];
    if (to) button(to).focus();
    return Boolean(from);
  }
}
