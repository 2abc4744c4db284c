// The sorting sheet: cards are picked by click, by drag, by key or by thumb, and leave together.

import { Chooser, part } from "./chooser.js";
import { Outbox, ask, newKey } from "./outbox.js";
import { bold, noteOf, onUndo, report, say, tell } from "./told.js";

const page = document.querySelector("[data-sheet]");
const top = part("tabletop", page);
const felt = part("felt", page);
const list = part("cards", page);
const dialog = part("dialog", page);
const closerDialog = part("closer-dialog", page);
const still = window.matchMedia("(prefers-reduced-motion: reduce)");
const groups = []; // what can be taken back: {cards, entry, label, until, sent}

const cards = () => [...list.children];
const box_ = (card) => card.querySelector("input");
const picked = () => cards().filter((card) => box_(card).checked);
const cardOf = (target) => target.closest?.(".sort-card");

page.classList.add("scripted");
part("keys", page).hidden = false;

// -- What is picked.
let last = null; // the card that was picked last: where a range begins
const tellPicked = () => {
  const count = picked().length;
  part("left-over", page).textContent = cards().length;
  part("picked", page).textContent = count ? `${count} picked` : cards().length ? "Pick the cards that belong together" : "";
  part("cleared", page).hidden = cards().length > 0;
  if (part("rest", page)) part("rest", page).hidden = !cards().length;
};
const pick = (card, on = true) => {
  box_(card).checked = on;
  if (on) last = card;
};
const pickOnly = (chosen) => {
  for (const card of cards()) box_(card).checked = chosen.includes(card);
  tellPicked();
};
const range = (from, to) => {
  const all = cards();
  const [first, end] = [all.indexOf(from), all.indexOf(to)].sort((one, other) => one - other);
  return all.slice(Math.max(0, first), end + 1);
};
list.addEventListener("change", (event) => {
  const card = cardOf(event.target);
  if (event.target.checked) last = card;
  tellPicked();
});
list.addEventListener("click", (event) => {
  const card = cardOf(event.target);
  if (!event.shiftKey || !card || !last || event.target.closest("a")) return;
  event.preventDefault();
  for (const one of range(last, card)) pick(one);
  tellPicked();
});

// -- One card has the focus; the arrows walk.
const focusOn = (card) => {
  for (const one of cards()) box_(one).tabIndex = one === card ? 0 : -1;
  box_(card).focus();
  card.scrollIntoView({ block: "nearest" });
};
const neighbour = (card, key) => {
  const all = cards();
  if (key === "ArrowLeft" || key === "ArrowRight") return all[all.indexOf(card) + (key === "ArrowRight" ? 1 : -1)];
  const from = card.getBoundingClientRect();
  const way = key === "ArrowDown" ? 1 : -1;
  const beyond = all.filter((one) => (one.getBoundingClientRect().top - from.top) * way > 4);
  const row = beyond.map((one) => Math.abs(one.getBoundingClientRect().top - from.top));
  const near = beyond.filter((one, place) => row[place] < Math.min(...row) + 4);
  const off = (one) => Math.abs(one.getBoundingClientRect().left - from.left);
  return near.sort((one, other) => off(one) - off(other))[0];
};
const walk = (event) => {
  if (!event.key.startsWith("Arrow")) return false;
  const card = cardOf(event.target);
  if (!card) {
    // From where nothing is held, the first arrow takes up a card; in the list of families the arrows are its own.
    if (event.target.closest(".say, summary, dialog") || !cards().length) return false;
    focusOn(cards().find((one) => box_(one).tabIndex === 0) ?? cards()[0]);
    return true;
  }
  const to = neighbour(card, event.key);
  if (!to) return true;
  if (event.shiftKey) for (const one of [card, to]) pick(one);
  focusOn(to);
  tellPicked();
  return true;
};

// -- A band drawn with the mouse.
const band = part("band", page);
let drag = null;
felt.addEventListener("pointerdown", (event) => {
  if (event.pointerType !== "mouse" || event.button !== 0 || event.target.closest("a, button")) return;
  drag = { x: event.clientX, y: event.clientY, before: event.shiftKey ? picked() : [], on: false };
});
const drawn = (event) => {
  const [left, right] = [drag.x, event.clientX].sort((one, other) => one - other);
  const [upper, lower] = [drag.y, event.clientY].sort((one, other) => one - other);
  return { left, right, upper, lower };
};
window.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const { left, right, upper, lower } = drawn(event);
  if (!drag.on && right - left < 6 && lower - upper < 6) return;
  drag.on = true;
  page.classList.add("dragging");
  const ground = felt.getBoundingClientRect();
  band.hidden = false;
  band.style.left = `${left - ground.left}px`;
  band.style.top = `${upper - ground.top + felt.scrollTop}px`;
  band.style.width = `${right - left}px`;
  band.style.height = `${lower - upper}px`;
  const under = cards().filter((card) => {
    const at = card.getBoundingClientRect();
    return at.left < right && at.right > left && at.top < lower && at.bottom > upper;
  });
  pickOnly([...new Set([...drag.before, ...under])]);
});
const drop = () => {
  if (drag?.on) {
    // The click that ends the drag is none on the card where it ends.
    const swallow = (event) => {
      event.preventDefault();
      event.stopPropagation();
    };
    window.addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => window.removeEventListener("click", swallow, { capture: true }), 0);
  }
  drag = null;
  band.hidden = true;
  page.classList.remove("dragging");
};
window.addEventListener("pointerup", drop);
window.addEventListener("pointercancel", drop);
list.addEventListener("dragstart", (event) => event.preventDefault());

// -- A closer look at the card under the pointer or the focus.
const looks = new Map();
const lookAt = async (card) => {
  const key = card.dataset.neuron;
  if (!looks.has(key)) {
    looks.set(key, ask(`${page.dataset.look}${key}/`).then((answer) => (answer.ok ? answer.text() : Promise.reject(answer))));
    looks.get(key).catch(() => looks.delete(key));
  }
  return looks.get(key);
};
let over = 0;
let shown = null;
const wide = window.matchMedia("(min-width: 48.01rem)");
const closer = (card) => {
  clearTimeout(over);
  if (!card || card === shown || !wide.matches || drag?.on) return;
  over = setTimeout(async () => {
    try {
      const html = await lookAt(card);
      shown = card;
      part("closer", page).hidden = false;
      part("closer", page).innerHTML = html;
    } catch {
      // Without a connection the card itself is what there is to see.
    }
  }, 90);
};
list.addEventListener("pointerover", (event) => event.pointerType === "mouse" && closer(cardOf(event.target)));
list.addEventListener("pointerleave", () => clearTimeout(over));
list.addEventListener("focusin", (event) => closer(cardOf(event.target)));
list.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-open]");
  if (!link || wide.matches || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  try {
    part("closer-body", page).innerHTML = await lookAt(cardOf(link));
    closerDialog.showModal();
  } catch {
    window.open(link.href, "_blank", "noopener");
  }
});

// -- Cards leave, the rest close ranks; and they come back.
const moving = (change) => {
  const before = new Map(cards().map((card) => [card, card.getBoundingClientRect()]));
  change();
  if (still.matches) return;
  for (const card of cards()) {
    const from = before.get(card);
    const to = card.getBoundingClientRect();
    const frames = from
      ? [{ translate: `${from.left - to.left}px ${from.top - to.top}px` }, { translate: "0 0" }]
      : [{ opacity: 0, scale: 0.9 }, { opacity: 1, scale: 1 }];
    card.animate(frames, { duration: 220, easing: "ease-out" });
  }
};
const leave = (gone) => moving(() => gone.forEach((card) => card.remove()));
const comeBack = (back) => {
  moving(() => {
    const all = [...cards(), ...back].sort((one, other) => Number(one.dataset.order) - Number(other.dataset.order));
    list.replaceChildren(...all);
  });
  pickOnly(back);
};

// -- What is on its way.
const answered = (entry) => groups.find((group) => group.entry.id === entry.id);
const outbox = new Outbox(`neurotaxa.sheet.${page.dataset.person}`, {
  taken(entry, html) {
    const group = answered(entry);
    if (!group) return;
    const note = noteOf(html);
    group.label = note.dataset.label;
    group.until = "seconds" in note.dataset ? performance.now() + Number(note.dataset.seconds) * 1000 : 0;
    group.arrived();
    if (groups.at(-1) === group) tell(note);
  },
  refused(entry) {
    const group = answered(entry);
    if (!group) return;
    group.arrived();
    groups.splice(groups.indexOf(group), 1);
    outbox.drop(entry.id);
    comeBack(group.cards);
    say([entry.refused]);
  },
  changed: () => tellSending(),
});
const tellSending = report(outbox, part("sending", page), part("refused", page), page.dataset.home);

const read = (changes, said, began) => {
  let chosen = picked();
  const held = cardOf(document.activeElement);
  if (!chosen.length && held) chosen = [held];
  if (!chosen.length) {
    say(["Pick cards first: click them, draw around them, or walk with the arrows and press Space."]);
    return;
  }
  for (const card of chosen) pick(card);
  const fields = chooser.fields(top, changes);
  const address = `${chosen.length} card${chosen.length === 1 ? "" : "s"}`;
  const neurons = chosen.map((card) => card.dataset.neuron);
  const entry = { id: top.elements.submission.value, action: top.action, fields, neurons, address, said };
  top.elements.submission.value = newKey();
  top.elements.note.value = "";
  let arrived;
  const sent = new Promise((resolve) => {
    arrived = resolve;
  });
  groups.push({ cards: chosen, entry, until: Infinity, sent, arrived });
  const all = cards();
  const after = all.slice(all.indexOf(chosen.at(-1)) + 1).find((card) => !chosen.includes(card));
  leave(chosen);
  for (const card of chosen) box_(card).checked = false;
  const next = after ?? cards().at(-1);
  if (next) focusOn(next);
  chooser.reset();
  say([bold(address), " read as ", bold(said), "."]);
  tellPicked();
  outbox.add(entry);
  requestAnimationFrame(() => setTimeout(() => performance.measure("cards leave", { start: began, end: performance.now() })));
};

const undo = async () => {
  while (groups.length && groups.at(-1).until < performance.now()) groups.pop();
  const group = groups.pop();
  if (!group) {
    say(["There is nothing to take back: a group can be taken back for a minute."]);
    return;
  }
  const { entry } = group;
  if (outbox.entries.some((one) => one.id === entry.id) && outbox.flying !== entry.id) outbox.drop(entry.id);
  else {
    await group.sent;
    let answer;
    try {
      answer = await ask(page.dataset.undo, [["label", group.label]]);
    } catch {
      groups.push(group);
      say(["No connection: it could not be taken back. Try again."]);
      return;
    }
    if (!answer.ok) {
      say([await answer.text()]);
      return;
    }
  }
  comeBack(group.cards);
  focusOn(group.cards[0]);
  say([bold(entry.address), group.cards.length === 1 ? " is back on the table." : " are back on the table."]);
};

const chooser = new Chooser(top, {
  single: page.dataset.shortcuts === "on",
  dialog,
  read,
  say,
  at: () => cards().map(box_).find((one) => one.tabIndex === 0),
  other: walk,
  commands: {
    a: () => pickOnly(cards()),
    u: undo,
    Escape: () => pickOnly([]),
  },
});
onUndo(undo);
part("keys", page).addEventListener("click", () => dialog.showModal());
window.addEventListener("pageshow", (event) => event.persisted && window.location.reload());

// Leases run out card by card.
setInterval(() => {
  for (const card of cards()) if (performance.now() / 1000 > Number(card.dataset.lease)) card.classList.add("late");
}, 5000);

chooser.settle(page);
// What an earlier visit could not send is not on the table any more.
const unsent = outbox.waiting.flatMap((entry) => entry.neurons);
for (const card of cards()) if (unsent.includes(card.dataset.neuron)) card.remove();
cards().forEach((card, place) => {
  box_(card).tabIndex = place ? -1 : 0;
});
tellPicked();
outbox.drain();
