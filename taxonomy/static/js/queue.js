// The labelling queue by keyboard: readings are sent behind one's back, and the next neuron is there already.

import { Chooser, part } from "./chooser.js";
import { Outbox, ask, newKey } from "./outbox.js";
import { bold, goOn, noteOf, onUndo, report, say, tell } from "./told.js";

const AHEAD = 2; // neurons that are loaded before they are needed
const page = document.querySelector("[data-queue]");

if (page) {
  const seat = part("seat", page);
  const dialog = part("dialog", page);
  const ahead = [];
  const given = []; // what can be taken back: {article, entry, label, until, sent}
  const passed = new Set();
  const mine = new Map(); // how many neurons of a layer this person has read
  let filling = false;
  let signedOut = false;
  let wait = 0;
  let overTime = 0;
  let awaited; // when the key was pressed after which no neuron was there yet

  const current = () => seat.querySelector(".sitting");
  const form = (article = current()) => article.querySelector("form");

  page.classList.add("scripted");
  part("keys", page).hidden = false;

  // -- What is on its way.
  const answered = (entry) => given.find((one) => one.entry.id === entry.id);
  const box = new Outbox(`neurotaxa.readings.${page.dataset.person}`, {
    taken(entry, html) {
      const note = noteOf(html);
      const one = answered(entry);
      if (one) {
        one.label = note.dataset.label;
        one.until = "seconds" in note.dataset ? performance.now() + Number(note.dataset.seconds) * 1000 : 0;
        one.arrived();
      }
      if (note.classList.contains("gold") || (one && given.at(-1) === one)) tell(note);
    },
    refused(entry) {
      answered(entry)?.arrived();
      given.splice(0, given.length, ...given.filter((one) => one.entry.id !== entry.id));
      progress(-1, entry.layer);
    },
    changed: () => tellSending(),
  });
  const tellSending = report(box, part("sending", page), part("refused", page), page.dataset.home);

  // -- How far one is.
  const progress = (step, layer) => {
    const sitting = part("sitting", page);
    sitting.textContent = Math.max(0, Number(sitting.textContent) + step);
    if (layer) mine.set(layer, (mine.get(layer) ?? 0) + step);
    showFar();
  };
  const showFar = () => {
    const article = current();
    if (!article) return;
    const { layer, total, settled } = article.dataset;
    if (!mine.has(layer)) mine.set(layer, Number(article.dataset.mine));
    const words = { layer, total, settled, mine: mine.get(layer) };
    for (const [name, value] of Object.entries(words)) part(name, page.querySelector(".so-far")).textContent = value;
  };

  // -- One neuron after the other.
  const load = async (article) => {
    const shown = [...article.querySelectorAll("img[src], image[href]")];
    const addresses = new Set(shown.map((one) => one.getAttribute("src") ?? one.getAttribute("href")));
    article.pictures = await Promise.all(
      [...addresses].map(async (address) => {
        const picture = new Image();
        picture.src = address;
        await picture.decode().catch(() => {});
        return picture;
      }),
    );
  };
  const settle = (article) => {
    article.arrived = performance.now();
    chooser.settle(article);
  };
  const show = (article, began) => {
    seat.replaceChildren(article);
    chooser.reset();
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
    if (!article.dataset.lease) return;
    const left = Number(article.dataset.lease) * 1000 - (performance.now() - article.arrived);
    overTime = setTimeout(() => {
      const note = document.createElement("p");
      note.className = "over-time";
      note.setAttribute("role", "status");
      note.textContent = "You have had it for a while, and it may be with somebody else too by now. Your reading still counts if there is room.";
      article.querySelector(".look-head").after(note);
    }, Math.max(0, left));
  };
  const next = (began) => {
    goOn();
    const article = ahead.shift();
    if (article) {
      show(article, began);
      return;
    }
    awaited = began;
    const waits = document.createElement("p");
    waits.className = "waiting-seat";
    waits.setAttribute("role", "status");
    waits.textContent = navigator.onLine
      ? "The next neuron is on its way …"
      : "You have read what was loaded. The next neuron comes with the connection.";
    seat.replaceChildren(waits);
  };
  const fetchOne = async () => {
    const held = [current(), ...ahead].filter(Boolean).map((one) => one.dataset.neuron);
    const address = new URL(page.dataset.card, window.location.href);
    address.searchParams.set("holding", [...held, ...box.entries.map((one) => one.neuron), ...passed].join("."));
    const answer = await ask(address);
    signedOut = answer.type === "opaqueredirect";
    if (signedOut || answer.status === 204) return null;
    if (!answer.ok) throw new Error(String(answer.status));
    const article = document.createRange().createContextualFragment(await answer.text()).querySelector(".sitting");
    settle(article);
    await load(article);
    return article;
  };
  const fill = async () => {
    if (filling || signedOut) return;
    filling = true;
    try {
      while (ahead.length < AHEAD) {
        const article = await fetchOne();
        if (!article) break;
        if (current()) ahead.push(article);
        else {
          show(article, awaited);
          awaited = undefined;
        }
      }
      wait = 0;
      if (!current()) {
        // Nothing is left: the page that says so, once everything is sent.
        if (box.waiting.length && !signedOut) throw new Error("unsent");
        window.location.assign(page.dataset.home);
      }
    } catch {
      wait = Math.min(15, wait * 2 || 1);
      setTimeout(fill, wait * 1000);
    } finally {
      filling = false;
    }
  };

  // -- A reading; and taking it back.
  const read = (changes, said, began) => {
    const article = current();
    const fields = chooser.fields(form(), changes);
    const { neuron, address, layer } = article.dataset;
    const entry = { id: form().elements.submission.value, action: form().action, fields, neuron, address, layer, said, anyway: true };
    let arrived;
    const sent = new Promise((resolve) => {
      arrived = resolve;
    });
    given.push({ article, entry, until: Infinity, sent, arrived });
    say([bold(address), " read as ", bold(said), "."]);
    next(began);
    progress(1, layer);
    box.add(entry); // before more are asked for: what waits here is not handed out again
    fill();
  };
  const skip = (event) => {
    const { neuron, token, address } = current().dataset;
    passed.add(neuron);
    ask(page.dataset.skip, [["neuron", neuron], ...(token ? [["token", token]] : [])]).catch(() => {});
    say([bold(address), " skipped."]);
    next(event.timeStamp);
    fill();
  };
  const undo = async () => {
    while (given.length && given.at(-1).until < performance.now()) given.pop();
    const last = given.pop();
    if (!last) {
      say(["There is nothing to take back: a reading can be taken back for a minute."]);
      return;
    }
    const { entry, article } = last;
    if (box.entries.some((one) => one.id === entry.id) && box.flying !== entry.id) box.drop(entry.id);
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
      // Its lease went with the reading; the site has lent it anew, if there was room.
      form(article).elements.token.value = "";
      delete article.dataset.token;
      delete article.dataset.lease;
    }
    form(article).elements.submission.value = newKey();
    progress(-1, entry.layer);
    if (current()) ahead.unshift(current());
    show(article);
    say([bold(entry.address), " is taken back: read it again, or skip it."]);
  };

  const chooser = new Chooser(seat, {
    single: page.dataset.shortcuts === "on",
    dialog,
    read,
    say,
    at: () => seat.querySelector("h1"),
    commands: { s: skip, u: undo },
  });
  onUndo(undo);
  part("keys", page).addEventListener("click", () => dialog.showModal());
  window.addEventListener("pageshow", (event) => event.persisted && window.location.reload());

  settle(current());
  showFar();
  watch(current());
  if (box.waiting.some((entry) => entry.neuron === current().dataset.neuron)) next();
  fill();
  box.drain();
}
