// What a person is told of their readings: the last one, those on their way, those that could not be taken.

import { countDown } from "./minute.js";

const place = document.querySelector("[data-told]");
let stopCounting = () => {};

export const bold = (words) => Object.assign(document.createElement("b"), { textContent: words });

const put = (note) => {
  stopCounting();
  for (const old of place.querySelectorAll(".told:not(.gold)")) old.remove();
  place.append(note);
};

// The last reading: for how long it can still be taken back.
export const count = () => {
  stopCounting();
  const note = place?.querySelector("[data-seconds]");
  if (!note) return;
  const left = note.querySelector("[data-left]");
  stopCounting = countDown(left, Number(note.dataset.seconds), "within", () => note.remove());
};

export const say = (words) => {
  const note = document.createElement("div");
  note.className = "told";
  const line = document.createElement("p");
  line.append(...words);
  note.append(line);
  put(note);
};

// What the site answers to a reading, as a note.
export const noteOf = (html) => document.createRange().createContextualFragment(html).querySelector(".told");

// A gold neuron's answer stays beside the next neuron and the one after it.
export const tell = (note) => {
  if (note.classList.contains("gold")) {
    note.dataset.passed = "0";
    place.prepend(note);
  } else {
    put(note);
    count();
  }
};
export const goOn = () => {
  for (const note of place.querySelectorAll(".gold")) {
    if (Number(note.dataset.passed) > 0) note.remove();
    note.dataset.passed = String(Number(note.dataset.passed) + 1);
  }
};

export const onUndo = (undo) => {
  place.addEventListener("submit", (event) => {
    event.preventDefault();
    undo();
  });
};

const button = (className, words, act) => {
  const made = Object.assign(document.createElement("button"), { className, type: "button", textContent: words });
  made.addEventListener("click", act);
  return made;
};

// How many readings wait to be sent, and why; and those that were refused, with what can be done.
export const report = (box, line, refused, home) => {
  let slow = 0;
  return () => {
    const { length } = box.waiting;
    clearTimeout(slow);
    const away = box.state === "away" || !navigator.onLine;
    line.classList.toggle("waits", length > 0 && (away || box.state === "signed out"));
    const many = `${length} reading${length === 1 ? "" : "s"}`;
    if (!length) line.textContent = "";
    else if (box.state === "signed out") {
      line.replaceChildren(`${many} kept here. `, Object.assign(document.createElement("a"), { textContent: "Sign in again", href: home }));
    } else if (away) line.textContent = `No connection: ${many} kept here and sent later.`;
    else {
      slow = setTimeout(() => {
        line.textContent = `Sending ${many} …`;
      }, 800);
    }
    const rows = box.entries.filter((entry) => entry.refused).map((entry) => {
      const row = document.createElement("li");
      const words = document.createElement("span");
      words.append(bold(entry.address), `, ${entry.said}: ${entry.refused}`);
      row.append(words);
      if (entry.anyway) {
        row.append(button("button quiet", "Give it anyway", () => {
          box.change(entry.id, { refused: "", fields: entry.fields.filter(([name]) => name !== "token") });
          box.drain();
        }));
      }
      row.append(button("plain", "Let it go", () => box.drop(entry.id)));
      return row;
    });
    const list = document.createElement("ul");
    list.append(...rows);
    refused.replaceChildren(...(rows.length ? [list] : []));
  };
};

count();
