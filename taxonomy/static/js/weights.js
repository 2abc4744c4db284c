// The weights explorer: a matrix that is an overview from afar and kernels from close by, and a walk along its neurons.

import { ask } from "./outbox.js";
import { part } from "./chooser.js";

const LARGEST = 64; // pixels of a cell, at most
const NEAR = 1.6; // pixels that a weight takes before kernels are drawn, at least
const STEP = 127; // of a kernel's byte, each side of zero

// -- NumPy's files.
const load = async (address) => {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error("The weights did not arrive.");
  const bytes = await answer.arrayBuffer();
  const head = new DataView(bytes);
  const start = 10 + head.getUint16(8, true);
  const told = new TextDecoder("latin1").decode(new Uint8Array(bytes, 10, start - 10));
  return told.includes("<f4") ? new Float32Array(bytes.slice(start)) : new Int8Array(bytes, start);
};

// -- Colours: as in the pictures of the pages, in the theme's own.
const colour = (name) => {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const hex = Number.parseInt(probe.fillStyle.slice(1), 16);
  return [hex >> 16, (hex >> 8) & 255, hex & 255];
};
const palette = () => {
  const [zero, excite, inhibit] = ["--sunk", "--excite", "--inhibit"].map(colour);
  const found = new Uint32Array(511);
  for (let step = -255; step <= 255; step += 1) {
    const end = step > 0 ? excite : inhibit;
    const [red, green, blue] = zero.map((from, at) => Math.round(from + ((end[at] - from) * Math.abs(step)) / 255));
    found[step + 255] = (255 << 24) | (blue << 16) | (green << 8) | red;
  }
  return found;
};
const ground = ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red;

const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toPrecision(3)}`;

// -- Faces, for the page (as the chips are made) and for the canvas.
const SVG = "http://www.w3.org/2000/svg";
const faceOf = ({ faces }, index) => {
  const face = document.createElementNS(SVG, "svg");
  face.setAttribute("class", "face");
  face.setAttribute("aria-hidden", "true");
  if (!faces.has.has(index)) return face;
  const inset = 0.4;
  const x = (index % faces.columns) * faces.cell + inset;
  const y = Math.floor(index / faces.columns) * faces.cell + inset;
  face.setAttribute("viewBox", `${x} ${y} ${faces.cell - 2 * inset} ${faces.cell - 2 * inset}`);
  const image = document.createElementNS(SVG, "image");
  image.setAttribute("href", faces.href);
  image.setAttribute("width", faces.picture?.naturalWidth || faces.width);
  image.setAttribute("height", faces.picture?.naturalHeight || faces.height);
  face.append(image);
  return face;
};
const element = (name, values = {}, ...inside) => {
  const made = Object.assign(document.createElement(name), values);
  made.append(...inside);
  return made;
};

class Explorer {
  constructor(root) {
    this.root = root;
    this.matrix = JSON.parse(root.dataset.explorer);
    const { rows, columns } = this.matrix;
    for (const end of [rows, columns]) {
      end.place = new Map(end.order.map((index, place) => [index, place]));
      end.faces.has = new Set(end.faces.shown);
      end.faces.width = end.faces.columns * end.faces.cell;
      end.faces.height = Math.ceil((Math.max(...end.order) + 1) / end.faces.columns) * end.faces.cell;
      end.of = (place) => end.bands.find((band) => place < band.start + band.count)?.name;
    }
    Object.assign(this, { wide: columns.order.length, high: rows.order.length });
    this.canvas = part("canvas", root);
    this.pen = this.canvas.getContext("2d");
    this.overview = document.createElement("canvas");
    this.close = document.createElement("canvas");
    Object.assign(this, { view: null, at: null, chosen: null, strengths: null, kernels: null, due: false });
    root.hidden = false;
    const drawn = document.querySelector("[data-drawn]");
    if (drawn) drawn.hidden = true;
    this.theme();
    this.listen();
    this.begin();
  }

  async begin() {
    try {
      this.strengths = await load(this.matrix.strengths);
      this.contrast();
      this.fit();
      const there = document.querySelector("#walk[data-neuron]");
      if (there) this.walk(there.dataset.neuron);
      this.paint();
      performance.measure("first matrix", { start: 0, end: performance.now() });
      this.kernels = await load(this.matrix.kernels);
      this.draw();
      if (this.chosen) this.show(this.chosen);
      performance.mark("kernels there");
      this.root.dataset.ready = "";
    } catch {
      part("readout", this.root).textContent = "The weights could not be fetched. Load the page again.";
    }
    for (const end of [this.matrix.rows, this.matrix.columns]) {
      if (!end.faces.href) continue;
      end.faces.picture = new Image();
      end.faces.picture.addEventListener("load", () => this.draw());
      end.faces.picture.src = end.faces.href;
    }
  }

  theme() {
    this.colours = palette();
    this.paper = ground(colour("--surface"));
    const style = getComputedStyle(document.documentElement);
    const named = (name) => style.getPropertyValue(name).trim();
    this.ink = Object.fromEntries(["ink", "soft", "rule", "edge", "accent", "surface", "wash"].map((name) => [name, named(`--${name}`)]));
    this.font = `12px ${named("--sans")}`;
  }

  // -- What a place is, and how strong.
  pair({ row, column }) {
    return [this.matrix.rows.order[row], this.matrix.columns.order[column]];
  }
  strength(at) {
    const [row, column] = this.pair(at);
    return this.strengths[row * this.across + column];
  }
  get across() {
    return this.matrix.shape[1];
  }

  contrast() {
    const strengths = this.matrix.rows.order.flatMap((row) => this.matrix.columns.order.map((column) => Math.abs(this.strengths[row * this.across + column])));
    this.sorted = Float32Array.from(strengths).sort();
    const slider = part("contrast", this.root);
    // Half way, a two-hundredth of the cells is in full colour; at the end only the strongest is.
    const level = () => {
      const most = this.sorted.at(-1) || 1;
      const middle = this.sorted[Math.floor(this.sorted.length * 0.995)] || most;
      const share = Number(slider.value) / 50 - 1;
      this.full = share < 0 ? middle * 20 ** share : middle * (most / middle) ** share;
      for (const output of this.root.querySelectorAll("[data-full]")) output.textContent = this.full.toPrecision(3);
    };
    slider.addEventListener("input", () => {
      level();
      this.survey();
      this.draw();
      if (this.chosen) this.show(this.chosen);
    });
    level();
    this.survey();
  }

  shade(value) {
    const step = Math.round((value / this.full) * 255);
    return this.colours[(step > 255 ? 255 : step < -255 ? -255 : step) + 255];
  }

  // The matrix from afar: a pixel for each pair of neurons.
  survey() {
    Object.assign(this.overview, { width: this.wide, height: this.high });
    const pen = this.overview.getContext("2d");
    const image = pen.createImageData(this.wide, this.high);
    const pixels = new Uint32Array(image.data.buffer);
    let at = 0;
    for (const row of this.matrix.rows.order) {
      for (const column of this.matrix.columns.order) pixels[at++] = this.shade(this.strengths[row * this.across + column]);
    }
    pen.putImageData(image, 0, 0);
  }

  // -- Where things are on the canvas: `cell` pixels for each neuron, the first at (`left`, `top`).
  get size() {
    const box = this.canvas.getBoundingClientRect();
    return { width: box.width, height: box.height };
  }
  get gutter() {
    return this.size.width < 520 ? 44 : 104;
  }
  smallest() {
    const { width, height } = this.size;
    return Math.min((width - this.gutter) / this.wide, (height - this.gutter) / this.high, LARGEST);
  }
  fit() {
    const cell = this.smallest();
    this.view = { cell, x: 0, y: 0 };
    this.hold();
  }
  hold() {
    const { view, gutter } = this;
    const { width, height } = this.size;
    view.cell = Math.min(LARGEST, Math.max(this.smallest(), view.cell));
    const room = { x: (width - gutter) / view.cell, y: (height - gutter) / view.cell };
    view.x = Math.min(Math.max(0, this.wide - room.x), Math.max(0, view.x));
    view.y = Math.min(Math.max(0, this.high - room.y), Math.max(0, view.y));
  }
  zoom(factor, x = this.size.width / 2, y = this.size.height / 2) {
    const { view, gutter } = this;
    const at = { x: view.x + Math.max(0, x - gutter) / view.cell, y: view.y + Math.max(0, y - gutter) / view.cell };
    view.cell = Math.min(LARGEST, Math.max(this.smallest(), view.cell * factor));
    view.x = at.x - Math.max(0, x - gutter) / view.cell;
    view.y = at.y - Math.max(0, y - gutter) / view.cell;
    this.hold();
    this.draw();
  }
  reveal({ row, column }) {
    const { view, gutter } = this;
    const { width, height } = this.size;
    const room = { x: (width - gutter) / view.cell - 1, y: (height - gutter) / view.cell - 1 };
    view.x = Math.min(column, Math.max(column - room.x, view.x));
    view.y = Math.min(row, Math.max(row - room.y, view.y));
    this.hold();
  }
  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left - this.gutter;
    const y = event.clientY - box.top - this.gutter;
    const column = Math.floor(this.view.x + x / this.view.cell);
    const row = Math.floor(this.view.y + y / this.view.cell);
    const inside = column >= 0 && column < this.wide && row >= 0 && row < this.high;
    if (x < 0 && y < 0) return null;
    if (x < 0) return row >= 0 && row < this.high ? { row, column: null } : null;
    if (y < 0) return column >= 0 && column < this.wide ? { row: null, column } : null;
    return inside ? { row, column } : null;
  }

  // -- Drawing, once a frame.
  draw() {
    if (this.due || !this.view) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.paint();
    });
  }
  paint() {
    const { pen, view, gutter } = this;
    const { width, height } = this.size;
    const dense = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * dense) || this.canvas.height !== Math.round(height * dense)) {
      Object.assign(this.canvas, { width: Math.round(width * dense), height: Math.round(height * dense) });
    }
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.fillStyle = this.ink.surface;
    pen.fillRect(0, 0, width, height);
    const first = { row: Math.floor(view.y), column: Math.floor(view.x) };
    const end = {
      row: Math.min(this.high, Math.ceil(view.y + (height - gutter) / view.cell)),
      column: Math.min(this.wide, Math.ceil(view.x + (width - gutter) / view.cell)),
    };
    const left = (column) => gutter + (column - view.x) * view.cell;
    const top = (row) => gutter + (row - view.y) * view.cell;
    pen.save();
    pen.beginPath();
    pen.rect(gutter, gutter, width - gutter, height - gutter);
    pen.clip();
    if (this.kernels && view.cell >= NEAR * (this.matrix.k + 1) && view.cell >= 8) this.paintKernels(first, end, left, top);
    else {
      pen.imageSmoothingEnabled = view.cell * dense < 1;
      const [columns, rows] = [end.column - first.column, end.row - first.row];
      pen.drawImage(this.overview, first.column, first.row, columns, rows, left(first.column), top(first.row), columns * view.cell, rows * view.cell);
    }
    this.paintBands(left, top, width, height);
    for (const [at, ink] of [[this.chosen, this.ink.ink], [this.at, this.ink.accent]]) {
      if (!at || at.row === null || at.column === null) continue;
      pen.strokeStyle = ink;
      pen.lineWidth = 1.5;
      const side = Math.max(view.cell, 5);
      pen.strokeRect(left(at.column) - (side - view.cell) / 2, top(at.row) - (side - view.cell) / 2, side, side);
    }
    pen.restore();
    this.paintEnds(first, end, left, top, width, height);
  }

  // Kernels that are in sight, a pixel for each weight and one between, enlarged.
  paintKernels(first, end, left, top) {
    const { pen, view, kernels, strengths, matrix, across, colours, full } = this;
    const { k } = matrix;
    const [columns, rows] = [end.column - first.column, end.row - first.row];
    const [wide, high] = [columns * (k + 1), rows * (k + 1)];
    Object.assign(this.close, { width: wide, height: high });
    const small = this.close.getContext("2d");
    const image = small.createImageData(wide, high);
    const pixels = new Uint32Array(image.data.buffer).fill(this.paper);
    for (let row = 0; row < rows; row += 1) {
      const down = matrix.rows.order[first.row + row] * across;
      for (let column = 0; column < columns; column += 1) {
        const pair = down + matrix.columns.order[first.column + column];
        const unit = (Math.abs(strengths[pair]) / STEP / full) * 255;
        let from = pair * k * k;
        for (let y = 0; y < k; y += 1) {
          let to = (row * (k + 1) + y) * wide + column * (k + 1);
          for (let x = 0; x < k; x += 1) {
            const step = Math.round(kernels[from++] * unit);
            pixels[to++] = colours[(step > 255 ? 255 : step < -255 ? -255 : step) + 255];
          }
        }
      }
    }
    small.putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.close, left(first.column), top(first.row), columns * view.cell, rows * view.cell);
  }

  // Lines between families.
  paintBands(left, top, width, height) {
    const { pen, gutter } = this;
    pen.strokeStyle = this.ink.edge;
    pen.lineWidth = 1;
    pen.globalAlpha = 0.55;
    pen.beginPath();
    for (const { start } of this.matrix.columns.bands) {
      if (!start) continue;
      pen.moveTo(Math.round(left(start)) - 0.5, gutter);
      pen.lineTo(Math.round(left(start)) - 0.5, Math.min(height, top(this.high)));
    }
    for (const { start } of this.matrix.rows.bands) {
      if (!start) continue;
      pen.moveTo(gutter, Math.round(top(start)) - 0.5);
      pen.lineTo(Math.min(width, left(this.wide)), Math.round(top(start)) - 0.5);
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  // Along both sides the families' names, and from close by the neurons' faces.
  paintEnds(first, end, left, top, width, height) {
    const { pen, gutter, view } = this;
    const sides = [
      { end: this.matrix.columns, from: first.column, to: end.column, at: left, most: Math.min(width, left(this.wide)), turned: true, mark: "column" },
      { end: this.matrix.rows, from: first.row, to: end.row, at: top, most: Math.min(height, top(this.high)), turned: false, mark: "row" },
    ];
    for (const side of sides) {
      pen.save();
      // Columns are drawn as rows are, turned by a quarter.
      if (side.turned) pen.transform(0, 1, 1, 0, 0, 0);
      pen.beginPath();
      pen.rect(0, gutter, gutter, side.most - gutter);
      pen.clip();
      const face = view.cell >= 14 ? Math.min(view.cell - 1, 30, gutter - 4) : 0;
      const places = [this.chosen, this.at].filter((one) => one && one[side.mark] !== null);
      pen.fillStyle = this.ink.wash;
      for (const place of places) pen.fillRect(0, side.at(place[side.mark]), gutter, Math.max(view.cell, 2));
      for (let place = side.from; face && place < side.to; place += 1) this.paintFace(side, place, face);
      this.paintNames(side, gutter - face - (face ? 6 : 4));
      pen.restore();
    }
    pen.strokeStyle = this.ink.rule;
    pen.lineWidth = 1;
    pen.strokeRect(gutter - 0.5, gutter - 0.5, Math.min(width, left(this.wide)) - gutter + 0.5, Math.min(height, top(this.high)) - gutter + 0.5);
  }
  paintFace(side, place, face) {
    const { picture, cell, columns, has } = side.end.faces;
    const index = side.end.order[place];
    if (!picture?.complete || !has.has(index)) return;
    const x = this.gutter - face - 2;
    const y = side.at(place) + (this.view.cell - face) / 2;
    this.pen.save();
    // A face is not turned with its side.
    if (side.turned) this.pen.transform(0, 1, 1, 0, 0, 0);
    const [to, down] = side.turned ? [y, x] : [x, y];
    this.pen.imageSmoothingEnabled = true;
    this.pen.drawImage(picture, (index % columns) * cell, Math.floor(index / columns) * cell, cell, cell, to, down, face, face);
    this.pen.restore();
  }
  paintNames(side, room) {
    const { pen, gutter } = this;
    pen.font = this.font;
    pen.textBaseline = "middle";
    let free = gutter;
    for (const [number, band] of side.end.bands.entries()) {
      const [start, end] = [Math.max(gutter, side.at(band.start)), Math.min(side.most, side.at(band.start + band.count))];
      if (end <= start) continue;
      pen.fillStyle = number % 2 ? this.ink.edge : this.ink.soft;
      pen.fillRect(gutter - 2, start + 0.5, 2, Math.max(1, end - start - 1));
      const middle = (start + end) / 2;
      if (room < 30 || middle - 7 < free || end - start < 9) continue;
      free = middle + 7;
      pen.save();
      pen.translate(room, middle);
      if (side.turned) pen.transform(-1, 0, 0, 1, 0, 0);
      pen.fillStyle = this.ink.soft;
      pen.textAlign = side.turned ? "left" : "right";
      let name = band.name;
      while (name.length > 3 && pen.measureText(name).width > room - 4) name = `${name.slice(0, -2).trimEnd()}…`;
      pen.fillText(name, 0, 0);
      pen.restore();
    }
  }

  // -- Pointing, choosing, walking.
  address(end, index) {
    return `${end.layer}:${index}`;
  }
  point(at) {
    if (this.at?.row === at?.row && this.at?.column === at?.column) return;
    this.at = at;
    this.draw();
    const readout = part("readout", this.root);
    readout.replaceChildren(...(at ? this.named(at) : []));
  }
  named({ row, column }) {
    const told = [];
    for (const [end, place] of [[this.matrix.columns, column], [this.matrix.rows, row]]) {
      if (place === null) continue;
      const family = end.of(place);
      if (told.length) told.push("→");
      told.push(faceOf(end, end.order[place]), element("b", {}, this.address(end, end.order[place])), family ? `${family} ` : "");
    }
    if (row !== null && column !== null) {
      const value = this.strength({ row, column });
      told.push(element("span", { className: `value ${value < 0 ? "inhibits" : "excites"}` }, signed(value)));
    }
    return told;
  }
  say(at) {
    part("said", this.root).textContent = this.named(at).map((one) => one.textContent ?? one).join(" ");
  }
  choose(at) {
    if (at.row === null || at.column === null) {
      const [end, place] = at.row === null ? [this.matrix.columns, at.column] : [this.matrix.rows, at.row];
      walkTo(this.address(end, end.order[place]));
      return;
    }
    this.chosen = at;
    this.show(at);
    this.draw();
  }
  show(at) {
    const [row, column] = this.pair(at);
    const value = this.strength(at);
    const { k } = this.matrix;
    const drawn = element("canvas", { width: k, height: k });
    drawn.setAttribute("role", "img");
    drawn.setAttribute("aria-label", `Kernel of ${k} by ${k}, strongest weight ${signed(value)}`);
    if (this.kernels) {
      const pen = drawn.getContext("2d");
      const image = pen.createImageData(k, k);
      const pixels = new Uint32Array(image.data.buffer);
      const from = (row * this.across + column) * k * k;
      // By itself a kernel is shown in its own full colour: its form is what there is to see.
      for (let place = 0; place < k * k; place += 1) pixels[place] = this.colours[Math.round((this.kernels[from + place] / STEP) * 255) + 255];
      pen.putImageData(image, 0, 0);
    }
    const chip = (end, index) => {
      const address = this.address(end, index);
      return element("a", { className: "chip", href: `${this.matrix.step}${address}#walk` }, faceOf(end, index), element("span", {}, address));
    };
    const linearised = this.matrix.linearised[row] ? "linearised, to its own scale" : "to its own scale";
    part("chosen", this.root).replaceChildren(
      drawn,
      element("p", {}, chip(this.matrix.columns, column), " → ", chip(this.matrix.rows, row)),
      element("p", { className: "facts" }, element("span", { className: `value ${value < 0 ? "inhibits" : "excites"}` }, signed(value)), `, ${linearised}`),
    );
  }
  walk(address) {
    const [layer, index] = address.split(":");
    for (const [end, name] of [[this.matrix.rows, "row"], [this.matrix.columns, "column"]]) {
      if (end.layer !== layer || !end.place.has(Number(index))) continue;
      const other = name === "row" ? "column" : "row";
      this.at = { [name]: end.place.get(Number(index)), [other]: null };
      this.reveal({ row: this.view.y, column: this.view.x, [name]: this.at[name] });
      this.draw();
    }
  }

  listen() {
    const { canvas } = this;
    const fingers = new Map();
    let moved = 0;
    const place = (event) => ({ x: event.clientX, y: event.clientY });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      fingers.set(event.pointerId, place(event));
      if (fingers.size === 1) moved = 0;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const from = fingers.get(event.pointerId);
      if (!this.view) return;
      if (!from) {
        this.point(this.under(event));
        return;
      }
      const to = place(event);
      moved += Math.abs(to.x - from.x) + Math.abs(to.y - from.y);
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const apart = (one) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
        const box = canvas.getBoundingClientRect();
        this.zoom(apart(to) / apart(from), (to.x + other.x) / 2 - box.left, (to.y + other.y) / 2 - box.top);
      } else if (moved > 4) {
        canvas.classList.add("moving");
        this.view.x -= (to.x - from.x) / this.view.cell;
        this.view.y -= (to.y - from.y) / this.view.cell;
        this.hold();
        this.draw();
      }
      fingers.set(event.pointerId, to);
    });
    const lift = (event) => {
      const held = fingers.delete(event.pointerId);
      canvas.classList.remove("moving");
      if (held && event.type === "pointerup" && moved <= 4 && this.strengths) {
        const at = this.under(event);
        this.point(at);
        if (at) this.choose(at);
      }
    };
    canvas.addEventListener("pointerup", lift);
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener("pointerleave", () => document.activeElement !== canvas && this.point(null));
    canvas.addEventListener("dblclick", (event) => {
      const box = canvas.getBoundingClientRect();
      this.zoom(2.5, event.clientX - box.left, event.clientY - box.top);
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        if (!this.view || (!event.ctrlKey && document.activeElement !== canvas)) return;
        event.preventDefault();
        const box = canvas.getBoundingClientRect();
        this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), event.clientX - box.left, event.clientY - box.top);
      },
      { passive: false },
    );
    canvas.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("click", (event) => {
      const zoom = event.target.closest("[data-zoom]");
      if (zoom) this.zoom(Number(zoom.dataset.zoom));
      if (event.target.closest("[data-fit]")) {
        this.fit();
        this.draw();
      }
    });
    new ResizeObserver(() => {
      if (!this.view) return;
      this.hold();
      this.draw();
    }).observe(canvas);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.theme();
      if (this.strengths) this.survey();
      this.draw();
    });
  }
  key(event) {
    if (!this.strengths || event.ctrlKey || event.metaKey || event.altKey) return;
    const ways = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const middle = () => ({ row: Math.floor(this.view.y), column: Math.floor(this.view.x) });
    const now = { row: this.at?.row ?? this.chosen?.row ?? middle().row, column: this.at?.column ?? this.chosen?.column ?? middle().column };
    if (ways[event.key]) {
      const far = event.shiftKey ? 10 : 1;
      const [down, across] = ways[event.key];
      const begun = this.at && this.at.row !== null && this.at.column !== null;
      const row = Math.min(this.high - 1, Math.max(0, now.row + (begun ? down * far : 0)));
      const column = Math.min(this.wide - 1, Math.max(0, now.column + (begun ? across * far : 0)));
      this.reveal({ row, column });
      this.point({ row, column });
      this.say({ row, column });
    } else if (event.key === "+" || event.key === "=" || event.key === "-") {
      const at = { x: this.gutter + (now.column + 0.5 - this.view.x) * this.view.cell, y: this.gutter + (now.row + 0.5 - this.view.y) * this.view.cell };
      this.zoom(event.key === "-" ? 0.5 : 2, at.x, at.y);
    } else if (event.key === "0") {
      this.fit();
      this.draw();
    } else if (event.key === "Enter" || event.key === " ") {
      this.point(now);
      this.choose(now);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

// -- Walking: the neuron's part of the page alone is fetched, and every step is one of the browser's own.
let explorer = null;
const neuronIn = (address) => new URL(address, window.location.href).searchParams.get("neuron") ?? "";
let walking = 0;
const arrive = async (address, { focus }) => {
  const began = performance.now();
  const walk = document.getElementById("walk");
  const number = (walking += 1);
  const url = new URL(address, window.location.href);
  let answer;
  try {
    answer = await ask(`${url.pathname.replace(/\/$/, "")}/walk/${url.search}`);
    if (!answer.ok) throw new Error("no walk");
    const html = await answer.text();
    if (number !== walking) return;
    walk.outerHTML = html;
  } catch {
    window.location.reload(); // the address is the step's already
    return;
  }
  explorer?.walk(neuronIn(address));
  if (focus) document.getElementById("walk-h").focus({ preventScroll: false });
  performance.measure("hop", { start: began, end: performance.now() });
};
const walkTo = (neuron) => {
  const url = new URL(window.location.href);
  url.searchParams.set("neuron", neuron);
  url.hash = "walk";
  go(url.href);
};
const go = (address) => {
  window.history.pushState({ walk: true }, "", address);
  arrive(address, { focus: true });
};
document.addEventListener("click", (event) => {
  const link = event.target.closest("#loom a, #walk .weights a, .connections a");
  if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  if (!neuronIn(link.href) || !document.getElementById("walk")) return;
  event.preventDefault();
  go(link.href);
});
window.addEventListener("popstate", () => {
  if (neuronIn(window.location.href) && document.getElementById("walk")) arrive(window.location.href, { focus: false });
  else if (document.querySelector("#walk[data-neuron]")) window.location.reload();
});

const start = () => {
  const root = document.querySelector("[data-explorer]:not([data-started])");
  if (!root) return;
  root.dataset.started = "";
  explorer = new Explorer(root);
};
document.addEventListener("htmx:afterSettle", start);
start();
