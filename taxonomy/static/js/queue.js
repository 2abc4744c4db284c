// The labelling queue by keyboard: readings are sent behind one's back, and the next neuron is there already.

import { countDown } from "./minute.js";
import { Outbox, ask, newKey } from "./outbox.js";

const AHEAD = 2; // neurons that are loaded before they are needed
const page = document.querySelector("[data-queue]");
const told = document.querySelector("[data-told]");

const part = (name, within = page) => within.querySelector(`[data-${name}]`);

// What was said of the last reading, with the time that is left to take it back.
let stopCounting = () => {};
const count = () => {
  stopCounting();
  const note = told?.querySelector("[data-seconds]");
  if (!note) return;
  stopCounting = countDown(note.querySelector("[data-left]"), Number(note.dataset.seconds), "within", () => note.remove());
};
count();

if (page) {
  const seat = part("seat");
  const dialog = part("dialog");
  const sending = part("sending");
  const ahead = [];
  const given = []; // what can be taken back: {article, entry, label, until, sent}
  const passed = new Set();
  const mine = new Map(); // how many of a layer this person has read
  let looked = null; // the family last looked at
  let several = [];
  let filling = false;
  let signedOut = false;
  let wait = 0;
  let overTime = 0;
  const single = page.dataset.shortcuts === "on"; // whether single letters act

  const current = () => seat.querySelector(".sitting");
  const form = () => part("say");
  const rows = () => [...seat.querySelectorAll("[data-family]")];
  const button = (row) => row.querySelector("button");
  const nameOf = (row) => row.querySelector(".name").textContent;

  page.classList.add("scripted");
  part("keys").hidden = false;

  const say = (words) => {
    stopCounting();
    const note = document.createElement("div");
    note.className = "told";
    const line = document.createElement("p");
    line.append(...words);
    note.append(line);
    for (const old of told.querySelectorAll(".told:not(.gold)")) old.remove();
    told.append(note);
  };
  const bold = (words) => Object.assign(document.createElement("b"), { textContent: words });

  // -- What waits to be sent, and what could not be taken.
  let slow = 0;
  const showSending = () => {
    const { length } = box.waiting;
    clearTimeout(slow);
    const away = box.state === "away" || !navigator.onLine;
    sending.classList.toggle("waits", length > 0 && (away || box.state === "signed out"));
    const many = `${length} reading${length === 1 ? "" : "s"}`;
    if (!length) sending.textContent = "";
    else if (box.state === "signed out") {
      const link = Object.assign(document.createElement("a"), { textContent: "Sign in again", href: page.dataset.home });
      sending.replaceChildren(`${many} kept here. `, link);
    } else if (away) sending.textContent = `No connection: ${many} kept here and sent later.`;
    else slow = setTimeout(() => { sending.textContent = `Sending ${many} …`; }, 800);
    showRefused();
  };
  const showRefused = () => {
    const entries = box.entries.filter((entry) => entry.refused);
    const list = document.createElement("ul");
    for (const entry of entries) {
      const row = document.createElement("li");
      const words = document.createElement("span");
      words.append(bold(entry.address), `, ${entry.said}: ${entry.refused}`);
      const anyway = Object.assign(document.createElement("button"), { className: "button quiet", type: "button", textContent: "Give it anyway" });
      anyway.addEventListener("click", () => {
        const fields = entry.fields.filter(([name]) => name !== "token");
        box.change(entry.id, { refused: "", fields });
        box.drain();
      });
      const drop = Object.assign(document.createElement("button"), { className: "plain", type: "button", textContent: "Let it go" });
      drop.addEventListener("click", () => box.drop(entry.id));
      row.append(words, anyway, drop);
      list.append(row);
    }
    part("refused").replaceChildren(...(entries.length ? [list] : []));
  };
  const answered = (entry) => given.find((one) => one.entry.id === entry.id);
  const box = new Outbox(`neurotaxa.readings.${page.dataset.person}`, {
    taken(entry, html) {
      const piece = document.createRange().createContextualFragment(html);
      const note = piece.querySelector(".told");
      const one = answered(entry);
      const undoable = note.dataset.seconds !== undefined;
      if (one) {
        one.label = note.dataset.label;
        one.until = undoable ? performance.now() + Number(note.dataset.seconds) * 1000 : 0;
        one.arrived();
      }
      if (note.classList.contains("gold")) {
        told.prepend(note);
        note.after_ = 0;
      } else if (given.at(-1) === one) {
        for (const old of told.querySelectorAll(".told:not(.gold)")) old.remove();
        told.append(note);
        count();
      }
    },
    refused(entry) {
      answered(entry)?.arrived();
      given.splice(0, given.length, ...given.filter((one) => one.entry.id !== entry.id));
      progress(-1, entry.layer);
    },
    changed: () => showSending(),
  });

  // -- How far one is.
  const progress = (step, layer) => {
    part("sitting").textContent = Math.max(0, Number(part("sitting").textContent) + step);
    if (layer) mine.set(layer, (mine.get(layer) ?? 0) + step);
    showFar();
  };
  const showFar = () => {
    const article = current();
    if (!article) return;
    const { layer, total, settled } = article.dataset;
    if (!mine.has(layer)) mine.set(layer, Number(article.dataset.mine));
    part("layer").textContent = layer;
    part("mine").textContent = mine.get(layer);
    part("total").textContent = total;
    part("settled").textContent = settled;
  };

  // -- One neuron after the other.
  const pictures = (article) =>
    new Set([...article.querySelectorAll("img[src], image[href]")].map((one) => one.getAttribute("src") ?? one.getAttribute("href")));
  const load = async (article) => {
    article.pictures = await Promise.all(
      [...pictures(article)].map(async (address) => {
        const picture = new Image();
        picture.src = address;
        await picture.decode().catch(() => {});
        return picture;
      }),
    );
  };
  const settle = (article) => {
    article.arrived = performance.now();
    const find = part("find", article);
    find.hidden = article.querySelectorAll("[data-family]").length < 6;
    for (const name of ["poly", "coarser"]) part(name, article).hidden = !article.querySelector("[data-family]");
    if (!article.querySelector("[data-parent], [data-finer]")) part("coarser", article).hidden = true;
  };
  const show = (article, began) => {
    looked = null;
    choose([]);
    seat.replaceChildren(article);
    article.querySelector(".look").scrollTop = 0;
    article.querySelector("h1").focus({ preventScroll: true });
    document.title = `Label ${article.dataset.address} · Neurotaxa`;
    showFar();
    watch(article);
    if (began === undefined) return;
    // What runs after a frame's own work runs when the frame is on its way to the screen.
    requestAnimationFrame(() => setTimeout(() => performance.measure("next neuron", { start: began, end: performance.now() })));
  };
  const watch = (article) => {
    clearTimeout(overTime);
    const left = Number(article.dataset.lease) * 1000 - (performance.now() - article.arrived);
    if (!article.dataset.lease) return;
    overTime = setTimeout(() => {
      const note = document.createElement("p");
      note.className = "over-time";
      note.setAttribute("role", "status");
      note.textContent = "You have had it for a while, and it may be with somebody else too by now. Your reading still counts if there is room.";
      article.querySelector(".look-head").after(note);
    }, Math.max(0, left));
  };
  const next = (began) => {
    for (const note of told.querySelectorAll(".gold")) {
      note.after_ += 1;
      if (note.after_ > 1) note.remove();
    }
    const article = ahead.shift();
    if (article) show(article, began);
    else {
      const waits = document.createElement("p");
      waits.className = "waiting-seat";
      waits.setAttribute("role", "status");
      waits.textContent = navigator.onLine ? "The next neuron is on its way …" : "You have read what was loaded. The next neuron comes with the connection.";
      seat.replaceChildren(waits);
    }
    fill();
  };
  const fill = async () => {
    if (filling || signedOut) return;
    filling = true;
    try {
      while (ahead.length < AHEAD) {
        const held = [current(), ...ahead].filter(Boolean).map((one) => one.dataset.neuron);
        const address = new URL(page.dataset.card, window.location.href);
        address.searchParams.set("holding", [...held, ...box.entries.map((one) => one.neuron), ...passed].join("."));
        const answer = await ask(address);
        if (answer.type === "opaqueredirect") {
          signedOut = true;
          break;
        }
        if (answer.status === 204) break;
        if (!answer.ok) throw new Error(String(answer.status));
        const article = document.createRange().createContextualFragment(await answer.text()).querySelector(".sitting");
        settle(article);
        await load(article);
        if (current()) ahead.push(article);
        else show(article);
      }
      wait = 0;
      // Nothing is left: the page that says so, once everything is sent.
      if (!current() && !ahead.length) {
        if (!box.waiting.length || signedOut) window.location.assign(page.dataset.home);
        else throw new Error("unsent");
      }
    } catch {
      wait = Math.min(15, wait * 2 || 1);
      setTimeout(fill, wait * 1000);
    } finally {
      filling = false;
    }
  };

  // -- A reading.
  const read = (fields, said, began) => {
    const article = current();
    const { neuron, address, layer } = article.dataset;
    const values = new Map(fields);
    const entry = { id: values.get("submission"), action: form().action, fields, neuron, address, layer, said };
    let arrived;
    const sent = new Promise((resolve) => { arrived = resolve; });
    given.push({ article, entry, until: Infinity, sent, arrived });
    say([bold(address), " read as ", bold(said), "."]);
    progress(1, layer);
    next(began);
    box.add(entry);
  };
  const fieldsOf = (changes) => {
    const fields = [...new FormData(form())].filter(([name]) => !(name in changes) && name !== "csrfmiddlewaretoken");
    for (const [name, value] of Object.entries(changes)) {
      for (const one of Array.isArray(value) ? value : [value]) fields.push([name, one]);
    }
    return fields;
  };
  const armed = (name) => part(name, seat)?.getAttribute("aria-pressed") === "true";
  const arm = (name, on) => part(name, seat)?.setAttribute("aria-pressed", String(on));
  const choose = (chosen) => {
    several = chosen;
    if (!current()) return;
    for (const row of rows()) {
      const place = several.indexOf(row);
      button(row).querySelector("kbd").textContent = place < 0 ? (button(row).dataset.key ?? "") : place + 1;
      if (armed("poly")) button(row).setAttribute("aria-pressed", String(place >= 0));
      else button(row).removeAttribute("aria-pressed");
    }
    const line = part("several", seat);
    line.hidden = !armed("poly");
    part("several-words", seat).textContent = several.length ? several.map(nameOf).join(", ") : "Choose each family it means, the main one first.";
    part("send", seat).disabled = several.length < 2;
  };
  const coarser = (row, began) => {
    const parent = rows().find((one) => one.dataset.family === row.dataset.parent);
    if (parent) read(fieldsOf({ reading: parent.dataset.family }), nameOf(parent), began);
    else if ("finer" in row.dataset) read(fieldsOf({ reading: row.dataset.family, no_finer: "on" }), `${nameOf(row)}, no finer`, began);
    else say([bold(nameOf(row)), " has no family above it, and none below."]);
  };
  const family = (row, began) => {
    if (armed("poly")) choose(several.includes(row) ? several.filter((one) => one !== row) : [...several, row]);
    else if (armed("coarser")) coarser(row, began);
    else read(fieldsOf({ reading: row.dataset.family }), nameOf(row), began);
  };
  const sendSeveral = (began) => {
    if (several.length < 2) return;
    const [first, ...rest] = several;
    const further = rest.map((row) => row.dataset.family);
    read(fieldsOf({ reading: first.dataset.family, further, polysemantic: "on" }), several.map(nameOf).join(" and "), began);
  };
  const none = (began) => read(fieldsOf({ reading: "none of these", ...(armed("poly") && { polysemantic: "on" }) }), "none of these", began);
  const cannot = (kind, began) => read(fieldsOf({ reading: "cannot tell", missing_evidence: kind }), "cannot tell", began);
  const skip = (began) => {
    const { neuron, token, address } = current().dataset;
    passed.add(neuron);
    ask(page.dataset.skip, [["neuron", neuron], ...(token ? [["token", token]] : [])]).catch(() => {});
    say([bold(address), " skipped."]);
    next(began);
  };

  // -- Taking back.
  const undo = async () => {
    while (given.length && given.at(-1).until < performance.now()) given.pop();
    const last = given.pop();
    if (!last) {
      say(["There is nothing to take back: a reading can be taken back for a minute."]);
      return;
    }
    const { entry, article } = last;
    const unsent = box.entries.some((one) => one.id === entry.id) && box.flying !== entry.id;
    if (unsent) box.drop(entry.id);
    else {
      await last.sent;
      let answer;
      try {
        answer = await ask(page.dataset.undo, [["label", last.label]]);
      } catch {
        given.push(last);
        say(["No connection: it could not be taken back. Try again."]);
        return;
      }
      if (!answer.ok) {
        say([await answer.text()]);
        return;
      }
      // The lease went with the reading; the site found out whether there is another.
      form_(article).elements.token.value = "";
      delete article.dataset.token;
      delete article.dataset.lease;
    }
    form_(article).elements.submission.value = newKey();
    progress(-1, entry.layer);
    if (current()) ahead.unshift(current());
    show(article);
    say([bold(entry.address), " is taken back: read it again, or skip it."]);
  };
  const form_ = (article) => article.querySelector("form");

  // -- What is opened.
  const ways = () => [...seat.querySelectorAll("details.way")];
  const open = (name) => {
    const way = ways().find((one) => one.dataset.way === name);
    way.open = !way.open;
    if (way.open) way.querySelector("input:not([type=radio]), textarea, .missing-keys button")?.focus();
  };
  const close = () => {
    for (const way of ways()) way.open = false;
    for (const name of ["poly", "coarser"]) arm(name, false);
    choose([]);
    const find = part("find", seat);
    if (find?.value) {
      find.value = "";
      narrow();
    }
    current()?.querySelector("h1").focus({ preventScroll: true });
  };
  const narrow = () => {
    const words = part("find", seat).value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows()) {
      row.hidden = !words.every((word) => row.dataset.name.includes(word));
      row.classList.remove("match");
    }
    if (words.length) rows().find((row) => !row.hidden)?.classList.add("match");
  };

  seat.addEventListener("submit", (event) => {
    event.preventDefault();
    const began = event.timeStamp;
    const by = event.submitter;
    if (by?.matches("[data-skip]")) skip(began);
    else if (by?.name === "missing_evidence") cannot(by.value, began);
    else if (by?.value === "none of these") none(began);
    else if (by?.closest("[data-family]")) family(by.closest("[data-family]"), began);
    else if (document.activeElement?.name === "suggested_name") none(began);
  });
  seat.addEventListener("click", (event) => {
    const by = event.target.closest("[data-poly], [data-coarser], [data-send]");
    if (!by) return;
    if ("send" in by.dataset) sendSeveral(event.timeStamp);
    else {
      const name = "poly" in by.dataset ? "poly" : "coarser";
      const on = !armed(name);
      arm("poly", false);
      arm("coarser", false);
      arm(name, on);
      choose([]);
    }
  });
  for (const kind of ["pointerover", "focusin"]) {
    seat.addEventListener(kind, (event) => { looked = event.target.closest("[data-family]") ?? looked; });
  }
  seat.addEventListener("input", (event) => event.target.matches("[data-find]") && narrow());
  told.addEventListener("submit", (event) => {
    event.preventDefault();
    undo();
  });
  part("keys").addEventListener("click", () => dialog.showModal());

  const within = (event) => {
    const first = rows().find((row) => !row.hidden);
    if (event.target.matches("[data-find]") && first && event.key === "Enter") {
      event.target.value = "";
      family(first, event.timeStamp);
      if (current()?.contains(event.target)) narrow();
      return true;
    }
    if (event.target.matches("[data-find]") && first && event.key === "ArrowDown") {
      button(first).focus();
      return true;
    }
    return false;
  };
  const step = (event) => {
    const from = event.target.closest("[data-family]");
    const shown = rows().filter((row) => !row.hidden);
    const to = from && shown[shown.indexOf(from) + (event.key === "ArrowDown" ? 1 : -1)];
    if (to) button(to).focus();
    return Boolean(from);
  };
  const commands = {
    c: (event) => (looked && !armed("coarser") ? coarser(looked, event.timeStamp) : part("coarser", seat).click()),
    x: () => open("x"),
    n: () => open("n"),
    o: () => open("o"),
    p: () => part("poly", seat).click(),
    s: (event) => skip(event.timeStamp),
    u: () => undo(),
    "/": () => part("find", seat).focus(),
    "?": () => dialog.showModal(),
  };
  const act = (event) => {
    if (event.key === "Escape") {
      close();
      return true;
    }
    if (event.target.closest("input:not([type=radio]), textarea, select")) return within(event);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") return step(event);
    if (event.key === "Enter" && armed("poly") && !event.target.closest("summary, a, [data-send], .otherwise")) {
      sendSeveral(event.timeStamp);
      return true;
    }
    // A key that is held down says nothing new.
    if (!single || event.repeat || event.key.length !== 1) return false;
    if (event.key === "u" || event.key === "?") {
      commands[event.key](event);
      return true;
    }
    if (!current()) return false;
    const missing = seat.querySelector("details[data-way=x][open]");
    const named = CSS.escape(event.key);
    const choice = (missing ?? seat).querySelector(missing ? `[data-key="${named}"]` : `[data-family] [data-key="${named}"]`);
    if (missing && choice) cannot(choice.value, event.timeStamp);
    else if (commands[event.key] && !(event.key === "/" && part("find", seat).hidden)) commands[event.key](event);
    else if (choice && !choice.closest("[hidden]")) family(choice.closest("[data-family]"), event.timeStamp);
    else return event.key === "/";
    return true;
  };
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || dialog.open) return;
      if (act(event)) {
        event.preventDefault();
        event.stopPropagation();
      }
    },
    { capture: true },
  );

  window.addEventListener("pageshow", (event) => event.persisted && window.location.reload());

  settle(current());
  showFar();
  watch(current());
  if (box.waiting.some((entry) => entry.neuron === current().dataset.neuron)) next();
  else fill();
  box.drain();
}
