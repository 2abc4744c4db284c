// Writing a note: how it reads stands beside it while one writes; [[ completes neurons, families and claims, [@ the keys of
// the bibliography; what was not saved outlives a reload.

const WAIT = 600; // ms without a key before the preview is made anew
const TRIGGERS = [
  { kind: "reference", pattern: /\[\[([^[\]\n]{0,80})$/ },
  { kind: "source", pattern: /\[(?:@[^[\]\n]*;\s*)?@([\w:.\/+-]{0,80})$/ },
];

const fieldsOf = (form) => [...form.elements].filter((one) => one.name && one.matches("textarea, input[type=text], input:not([type])"));

// The preview

const preview = (form) => {
  const target = form.querySelector("[data-preview]");
  if (!target || !form.dataset.previewUrl) return;
  let timer = 0;
  let running = null;
  let shown = "";

  const make = async () => {
    const fields = new FormData(form);
    fields.set("do", "preview");
    const text = new URLSearchParams([...fields].filter(([name]) => name !== "csrfmiddlewaretoken")).toString();
    if (text === shown) return;
    running?.abort();
    running = new AbortController();
    target.classList.add("stale");
    try {
      const response = await fetch(form.dataset.previewUrl, {
        method: "POST",
        body: fields,
        headers: { "HX-Request": "true" },
        signal: running.signal,
      });
      if (!response.ok) throw new Error(response.status);
      target.innerHTML = await response.text(); // our own server's, which has cleaned it
      shown = text;
      target.classList.remove("stale");
      linkProblems(form, target);
    } catch (error) {
      if (error.name === "AbortError") return;
      tell(form, "The preview could not be made just now: write on, it will be tried again.");
    }
  };

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(make, WAIT);
  });
  form.querySelector("[data-preview-button]")?.addEventListener("click", (event) => {
    event.preventDefault();
    shown = "";
    make().then(() => target.closest("section")?.scrollIntoView({ block: "nearest" }));
  });
  make();
};

// A problem leads to its line.
const linkProblems = (form, target) => {
  for (const item of target.querySelectorAll("[data-field][data-line]")) {
    const field = form.elements[item.dataset.field];
    const line = Number(item.dataset.line);
    if (!field || !line) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...item.childNodes);
    item.append(button);
    button.addEventListener("click", () => {
      const lines = field.value.split("\n");
      const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
      field.focus();
      field.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
      field.scrollTop = (field.scrollHeight * (line - 3)) / Math.max(lines.length, 1);
    });
  }
};

const tell = (form, words) => {
  const output = form.querySelector("[data-say]");
  if (output) output.textContent = words;
};

// What is not saved yet

const drafts = (form) => {
  const key = `neurotaxa note ${form.dataset.draft?.trim()}`;
  const fields = fieldsOf(form).filter((one) => one.name !== "began_from");
  const began = () => form.elements.began_from?.value ?? "";
  const read = () => Object.fromEntries(fields.map((one) => [one.name, one.value]));
  const store = (value) => {
    try {
      if (value) localStorage.setItem(key, JSON.stringify(value));
      else localStorage.removeItem(key);
    } catch {
      // Storage is full or forbidden: the text is on the page all the same.
    }
  };
  let kept = null;
  try {
    kept = JSON.parse(localStorage.getItem(key));
  } catch {
    store(null);
  }
  const same = kept && fields.every((one) => (kept.said?.[one.name] ?? one.value) === one.value);
  // What was sent and came to be a version has done its duty; what the server gives back is what was typed last.
  if (kept && (same || "kept" in form.dataset || (kept.sent && kept.began !== began()))) store((kept = null));
  if (kept) offer(form, kept, fields, store);
  form.addEventListener("input", () => store({ said: read(), began: began(), at: Date.now() }));
  form.addEventListener("submit", (event) => {
    if (event.submitter?.value !== "preview") store({ said: read(), began: began(), at: Date.now(), sent: true });
  });
};

const offer = (form, kept, fields, store) => {
  const bar = document.createElement("div");
  bar.className = "notice";
  bar.setAttribute("role", "status");
  const words = document.createElement("p");
  words.textContent = `Here is text that was not saved, of ${new Date(kept.at).toLocaleString()}.`;
  const actions = document.createElement("p");
  actions.className = "actions";
  const button = (name, quiet, act) => {
    const one = document.createElement("button");
    one.type = "button";
    one.className = quiet ? "button quiet" : "button";
    one.textContent = name;
    one.addEventListener("click", () => {
      act();
      bar.remove();
      fields[0].focus();
    });
    return one;
  };
  actions.append(
    button("Take it back", false, () => {
      for (const one of fields) if (kept.said[one.name] !== undefined) one.value = kept.said[one.name];
      // It was written on top of that version: who saved meanwhile is compared with it, not overwritten.
      if (kept.began && form.elements.began_from) form.elements.began_from.value = kept.began;
      form.dispatchEvent(new Event("input", { bubbles: true }));
    }),
    " ",
    button("Leave it", true, () => store(null)),
  );
  bar.append(words, actions);
  form.before(bar);
};

// Completion: a list below the place where one writes, walked by the arrows, taken by Enter or Tab, left by Escape.

class Completion {
  constructor(form) {
    Object.assign(this, { form, field: null, begin: 0, kind: "", chosen: -1, running: null, timer: 0 });
    this.list = document.createElement("ul");
    Object.assign(this.list, { id: "completions", className: "completions", hidden: true });
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "What it could be");
    form.append(this.list);
    this.list.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // the text keeps the focus
      const row = event.target.closest("[role=option]");
      if (row) this.take(row);
    });
    for (const field of form.querySelectorAll("textarea:not([name=bibliography])")) {
      field.setAttribute("aria-autocomplete", "list");
      field.addEventListener("input", () => this.look(field));
      field.addEventListener("click", () => this.close());
      field.addEventListener("blur", () => this.close());
      field.addEventListener("scroll", () => this.close());
      field.addEventListener("keydown", (event) => this.pressed(event));
    }
  }

  get rows() {
    return [...this.list.children];
  }

  look(field) {
    clearTimeout(this.timer);
    if (field.selectionStart !== field.selectionEnd) return this.close();
    const before = field.value.slice(Math.max(0, field.selectionStart - 400), field.selectionStart);
    for (const { kind, pattern } of TRIGGERS) {
      const found = pattern.exec(before);
      if (!found) continue;
      Object.assign(this, { field, kind, begin: field.selectionStart - found[1].length });
      if (kind === "source") this.fill(this.sources(found[1]));
      else this.timer = setTimeout(() => this.ask(found[1]), 120);
      return undefined;
    }
    return this.close();
  }

  async ask(begun) {
    this.running?.abort();
    this.running = new AbortController();
    const query = new URLSearchParams({ q: begun, network: this.form.dataset.network });
    try {
      const response = await fetch(`/complete/?${query}`, { signal: this.running.signal });
      if (!response.ok) return this.close();
      const holder = document.createElement("template");
      holder.innerHTML = await response.text(); // our own server's
      return this.fill([...holder.content.children]);
    } catch {
      return this.close();
    }
  }

  // The entries of the bibliography whose key or title has what was begun.
  sources(begun) {
    const text = this.form.elements.bibliography?.value ?? "";
    const wanted = begun.toLowerCase();
    const found = [];
    for (const entry of text.split(/^[ \t]*@/m).slice(1)) {
      const key = /^\w+\s*[{(]\s*([^\s,{}()]{1,80})\s*,/.exec(entry)?.[1];
      if (!key) continue;
      const title = /\btitle\s*=\s*[{"]+([^}"]*)/i.exec(entry)?.[1] ?? "";
      if (!`${key} ${title}`.toLowerCase().includes(wanted)) continue;
      const row = document.createElement("li");
      row.setAttribute("role", "option");
      row.id = `completion-${found.length + 1}`;
      row.dataset.insert = key;
      for (const [name, words] of [["words", title.replace(/\s+/g, " ") || key], ["kind", key]]) {
        const part = document.createElement("span");
        part.className = name;
        part.textContent = words;
        row.append(part, " ");
      }
      found.push(row);
      if (found.length === 8) break;
    }
    return found;
  }

  fill(rows) {
    if (!rows.length || document.activeElement !== this.field) return this.close();
    this.list.replaceChildren(...rows);
    this.list.hidden = false;
    this.place();
    this.field.setAttribute("aria-controls", this.list.id);
    this.choose(0);
    tell(this.form, `${rows.length} to choose from: arrows, then Enter. Escape leaves them.`);
    return undefined;
  }

  choose(number) {
    const rows = this.rows;
    this.chosen = (number + rows.length) % rows.length;
    rows.forEach((row, place) => row.setAttribute("aria-selected", String(place === this.chosen)));
    this.field.setAttribute("aria-activedescendant", rows[this.chosen].id);
  }

  close() {
    clearTimeout(this.timer);
    this.running?.abort();
    if (this.list.hidden) return;
    this.list.hidden = true;
    this.list.replaceChildren();
    this.field.removeAttribute("aria-activedescendant");
    this.field.removeAttribute("aria-controls");
    tell(this.form, "");
  }

  pressed(event) {
    if (this.list.hidden || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") this.choose(this.chosen + (event.key === "ArrowDown" ? 1 : -1));
    else if (event.key === "Enter" || (event.key === "Tab" && !event.shiftKey)) this.take(this.rows[this.chosen]);
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  take(row) {
    const { field, begin, kind } = this;
    const end = field.selectionStart;
    const behind = field.value.slice(end);
    const closing = kind === "source" ? "]" : "]]";
    const open = "open" in row.dataset;
    let rest = end;
    let text = row.dataset.insert;
    if (!open) {
      if (behind.startsWith(closing)) rest += closing.length;
      const goesOn = kind === "source" && /^\s*[;,]/.test(behind);
      if (!goesOn) text += closing;
    }
    this.close();
    field.setRangeText(text, begin, rest, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // Below the line in which the text begins that is being completed: a copy of the field tells where that is.
  place() {
    const { field, list } = this;
    const copy = document.createElement("div");
    const look = getComputedStyle(field);
    const same = ["font", "letterSpacing", "lineHeight", "padding", "border", "boxSizing", "tabSize", "textIndent"];
    for (const name of same) copy.style[name] = look[name];
    Object.assign(copy.style, { position: "absolute", visibility: "hidden", whiteSpace: "pre-wrap", overflowWrap: "break-word", width: `${field.offsetWidth}px` });
    const mark = document.createElement("span");
    mark.textContent = "\u200b";
    copy.append(field.value.slice(0, this.begin), mark);
    this.form.append(copy);
    const [box, around] = [field.getBoundingClientRect(), (list.offsetParent ?? document.body).getBoundingClientRect()];
    const left = box.left - around.left + mark.offsetLeft;
    const top = box.top - around.top + mark.offsetTop - field.scrollTop + mark.offsetHeight * 1.15;
    copy.remove();
    list.style.left = `${Math.max(0, Math.min(left, around.width - list.offsetWidth))}px`;
    list.style.top = `${Math.min(top, box.bottom - around.top + 4)}px`;
  }
}

for (const form of document.querySelectorAll("form[data-writing]")) {
  const say = document.createElement("p");
  say.className = "sr";
  say.setAttribute("role", "status");
  say.dataset.say = "";
  form.append(say);
  drafts(form);
  new Completion(form);
  preview(form);
}
