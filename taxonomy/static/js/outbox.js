// Readings on their way: kept in this browser until the site has taken them, and sent once each.

const LATER = new Set([408, 409, 425, 429, 500, 502, 503, 504]);

export const newKey = () => {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
};

// The page's own token, kept from the start: the form that holds it comes and goes.
const token = document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";

// Asks in the background; somebody who was signed out meanwhile is not led through the form for it.
export const ask = (address, fields) => {
  const options = { headers: { "X-Background": "1" }, credentials: "same-origin", redirect: "manual" };
  if (fields) {
    options.method = "POST";
    options.keepalive = true;
    options.body = new URLSearchParams([...fields, ["csrfmiddlewaretoken", token]]);
  }
  return fetch(address, options);
};

export class Outbox {
  // An entry is {id, action, fields, neuron, address, said}; `id` is its key of submission.
  constructor(key, { taken, refused, changed }) {
    Object.assign(this, { key, taken, refused, changed, memory: [], flying: null, wait: 0, state: "" });
    window.addEventListener("online", () => this.drain());
    window.addEventListener("storage", (event) => event.key === key && this.changed());
  }

  get entries() {
    try {
      return JSON.parse(localStorage.getItem(this.key)) ?? [];
    } catch {
      return this.memory;
    }
  }

  keep(entries) {
    this.memory = entries;
    try {
      localStorage.setItem(this.key, JSON.stringify(entries));
    } catch {
      // Storage is off or full: they are kept as long as this page is.
    }
    this.changed();
  }

  get waiting() {
    return this.entries.filter((entry) => !entry.refused);
  }

  add(entry) {
    this.keep([...this.entries, entry]);
    this.drain();
  }

  drop(id) {
    this.keep(this.entries.filter((entry) => entry.id !== id));
  }

  change(id, fields) {
    this.keep(this.entries.map((entry) => (entry.id === id ? { ...entry, ...fields } : entry)));
  }

  // One tab at a time sends, one reading after the other.
  async drain() {
    if (this.draining) return;
    this.draining = true;
    clearTimeout(this.timer);
    try {
      const all = async () => {
        for (let next = this.waiting[0]; next; next = this.waiting[0]) await this.send(next);
      };
      await (navigator.locks ? navigator.locks.request(this.key, all) : all());
      this.wait = 0;
      this.state = "";
    } catch (problem) {
      this.state = problem.signedOut ? "signed out" : "away";
      this.wait = Math.min(30, this.wait * 2 || 1);
      if (!problem.signedOut) this.timer = setTimeout(() => this.drain(), this.wait * 1000);
    } finally {
      this.draining = false;
      this.flying = null;
      this.changed();
    }
  }

  async send(entry) {
    this.flying = entry.id;
    const answer = await ask(entry.action, entry.fields);
    if (answer.type === "opaqueredirect") throw Object.assign(new Error("signed out"), { signedOut: true });
    if (LATER.has(answer.status)) throw new Error(String(answer.status));
    const text = await answer.text();
    this.flying = null;
    if (answer.ok) {
      this.drop(entry.id);
      this.taken(entry, text);
    } else {
      const plain = answer.headers.get("Content-Type")?.startsWith("text/plain");
      const refused = plain ? text : "It could not be taken as it was sent. Reload the page, then try again.";
      this.change(entry.id, { refused });
      this.refused({ ...entry, refused });
    }
  }
}
