// Discussions: Ctrl+Enter sends; what is being written outlives a reload; a permalink opens the exchange that it points to.

const SENT = "neurotaxa sent";
const named = (form) => `neurotaxa draft ${form.dataset.draft.trim()}`;

const keep = (key, text) => {
  try {
    if (text) localStorage.setItem(key, text);
    else localStorage.removeItem(key);
  } catch {
    // Storage is full or forbidden: the text is on the page all the same.
  }
};

const kept = (key) => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};

// A comment that arrived is shown by its own address: what was kept of it has done its duty.
const arrived = () => {
  let key = null;
  try {
    key = sessionStorage.getItem(SENT);
    sessionStorage.removeItem(SENT);
  } catch {
    return;
  }
  if (key && location.hash.startsWith("#comment-")) keep(key, "");
};

const prepare = (form) => {
  const text = form.querySelector("textarea");
  if (form.dataset.prepared || !text) return;
  form.dataset.prepared = "yes";
  const key = named(form);
  const before = kept(key);
  // What the server gives back after an error is what was typed last.
  if (before && !("kept" in form.dataset) && before !== text.value) {
    text.value = before;
    const reply = form.closest("details.reply");
    if (reply) reply.open = true;
  }
  text.addEventListener("input", () => keep(key, text.value === text.defaultValue ? "" : text.value));
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit(form.querySelector("button:not([value=preview])"));
    }
  });
  form.addEventListener("submit", (event) => {
    if (event.submitter?.value === "preview") return;
    try {
      sessionStorage.setItem(SENT, key);
    } catch {
      // Then the draft stays until it is emptied by hand.
    }
  });
  form.querySelector("[data-leave]")?.addEventListener("click", () => keep(key, ""));
};

const prepareAll = (root) => {
  for (const form of root.querySelectorAll("[data-composer]")) prepare(form);
};

const open = () => {
  const target = location.hash.startsWith("#comment-") && document.getElementById(location.hash.slice(1));
  if (!target) return;
  const fold = target.closest("details.exchange");
  if (fold && !fold.open) {
    fold.open = true;
    target.scrollIntoView();
  }
};

arrived();
prepareAll(document);
open();
window.addEventListener("hashchange", open);
document.addEventListener("htmx:load", (event) => {
  if (event.target === document.body) return; // the page itself: nobody asked to write yet
  const form = event.target.matches?.("[data-composer]") ? event.target : event.target.querySelector?.("[data-composer]");
  if (!form) return;
  prepare(form);
  form.querySelector("textarea").focus();
});
// Replying begins in the text.
document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.matches?.("details.reply") && event.target.open) event.target.querySelector("textarea")?.focus();
  },
  true,
);
