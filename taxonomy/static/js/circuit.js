// A circuit that can be asked, and moved: over its server-made drawing, which stays where the screen is narrow.
//
// Hovering shows what a neuron is joined to; an edge shows its kernel. In the editor a node is dragged along its
// layer's column, and what is selected can be removed. What is changed is sent with the form: the server does the rest.

const NARROW = 640;
const FACE = 52;
const COLOURS = ["paper", "surface", "sunk", "ink", "soft", "rule", "edge", "accent", "excite", "inhibit"];

const theme = () => {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
};

const loaded = new Map();
const picture = (href) => {
  if (!loaded.has(href)) {
    const image = new Image();
    image.src = href;
    loaded.set(href, image.decode().then(() => image).catch(() => null));
  }
  return loaded.get(href);
};

// A node as a picture: a neuron's face, or a family's card with some of its members.
function portrait(node, sheet, colours) {
  const ratio = 2;
  const canvas = document.createElement("canvas");
  canvas.width = node.width * ratio;
  canvas.height = node.height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const face = (place, x, y, side) => {
    pen.save();
    pen.beginPath();
    pen.roundRect(x, y, side, side, 4);
    pen.fillStyle = colours.sunk;
    pen.fill();
    pen.clip();
    if (place && sheet) {
      pen.drawImage(sheet, place[0] + 0.4, place[1] + 0.4, node.cell - 0.8, node.cell - 0.8, x, y, side, side);
    } else {
      pen.strokeStyle = colours.edge;
      for (const radius of [0.28, 0.15]) {
        pen.beginPath();
        pen.arc(x + side / 2, y + side / 2, side * radius, 0, 2 * Math.PI);
        pen.stroke();
      }
    }
    pen.restore();
  };
  if (!node.family) {
    face(node.faces[0], 0, 0, FACE);
    return canvas.toDataURL();
  }
  pen.beginPath();
  pen.roundRect(0.5, 0.5, node.width - 1, node.height - 1, 6);
  pen.fillStyle = colours.surface;
  pen.fill();
  pen.strokeStyle = colours.rule;
  pen.stroke();
  const sans = getComputedStyle(document.documentElement).getPropertyValue("--sans");
  pen.font = `600 13px ${sans}`;
  pen.fillStyle = colours.ink;
  pen.fillText(node.name.length > 18 ? `${node.name.slice(0, 17)}…` : node.name, 9, 20);
  pen.font = `13px ${sans}`;
  pen.fillStyle = colours.soft;
  pen.textAlign = "right";
  pen.fillText(node.count, node.width - 9, 20);
  node.faces.forEach((place, number) => face(place, 8 + number * 32, 30, 28));
  return canvas.toDataURL();
}

// The same curve as in the server's drawing: it leaves and arrives level.
function bend(edge) {
  const [from, to] = [edge.source().position(), edge.target().position()];
  const x = to.x - edge.target().data("width") / 2 - (from.x + edge.source().data("width") / 2);
  const y = to.y + edge.data("end") - from.y - edge.data("start");
  const square = x * x + y * y || 1;
  const along = (0.35 * x * x) / square;
  const aside = (0.35 * x * y) / Math.sqrt(square);
  edge.style({
    "control-point-weights": [along, 1 - along],
    "control-point-distances": [-aside, aside],
    "source-endpoint": `${edge.source().data("width") / 2 + 3}px ${edge.data("start")}px`,
    "target-endpoint": `${-edge.target().data("width") / 2 - 3}px ${edge.data("end")}px`,
  });
}

function looks(colours, drawn) {
  const scale = drawn.scale || 1;
  const share = (edge) => Math.abs(edge.data("weight")) / scale;
  const sans = getComputedStyle(document.documentElement).getPropertyValue("--sans").trim();
  const sign = (edge) => (edge.data("weight") > 0 ? colours.excite : colours.inhibit);
  return [
    {
      selector: "node",
      style: {
        shape: "round-rectangle",
        width: "data(width)",
        height: "data(height)",
        "background-opacity": 0,
        "background-image": "data(portrait)",
        "background-fit": "cover",
        "font-family": sans,
        "font-size": 13,
        color: colours.ink,
        "text-valign": "bottom",
        "text-margin-y": 3,
        "overlay-opacity": 0,
      },
    },
    { selector: "node[!family]", style: { label: "data(name)" } },
    {
      selector: "node.head",
      style: {
        "background-image": "none",
        label: "data(name)",
        color: colours.soft,
        width: 1,
        height: 1,
        "text-valign": "center",
        "text-halign": "right",
        "text-margin-y": 0,
        events: "no",
      },
    },
    { selector: "node:selected", style: { "outline-width": 2, "outline-color": colours.accent, "outline-offset": 2 } },
    {
      selector: "edge",
      style: {
        "curve-style": "unbundled-bezier",
        "edge-distances": "endpoints",
        width: (edge) => 1.2 + 5.8 * share(edge),
        "line-opacity": (edge) => (0.35 + 0.55 * share(edge)) * drawn.thinned,
        "line-color": sign,
        "target-arrow-color": sign,
        "target-arrow-shape": (edge) => (edge.data("weight") > 0 ? "triangle" : "tee"),
        "arrow-scale": 0.8,
        "overlay-opacity": 0,
      },
    },
    { selector: "edge:selected, edge.near", style: { "line-opacity": 1, "z-index": 9 } },
    { selector: "edge.faint", style: { "line-opacity": 0.08 } },
    { selector: "node.faint", style: { opacity: 0.35 } },
  ];
}

async function stage(figure, drawn) {
  const form = figure.closest("[data-changed], .circuit-editor");
  const { default: cytoscape } = await import(figure.dataset.cytoscape);
  const sheets = new Map();
  for (const node of drawn.nodes) if (node.sheet && !sheets.has(node.sheet)) sheets.set(node.sheet, await picture(node.sheet));
  await document.fonts.ready;
  if (!figure.isConnected) return;
  let colours = theme();
  const nodes = drawn.nodes.map((node) => ({
    data: { ...node, portrait: portrait(node, sheets.get(node.sheet), colours) },
    position: { x: node.x + node.width / 2, y: node.y + node.height / 2 },
    grabbable: form !== null,
  }));
  const heads = drawn.columns.map((column) => ({
    data: { id: `head ${column.name}`, name: column.name, family: true },
    position: { x: column.x, y: 8 },
    classes: "head",
    grabbable: false,
    selectable: false,
  }));
  const edges = drawn.edges.map((edge, number) => ({ data: { ...edge, id: `edge ${number}` } }));
  const scroll = figure.querySelector(".circuit-scroll");
  const canvas = document.createElement("div");
  // Cytoscape would put a style element into the page, which is not let in: its one rule stands in the stylesheet.
  canvas.id = document.getElementById("__________cytoscape_stylesheet") ? "" : "__________cytoscape_stylesheet";
  canvas.className = "circuit-stage";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${figure.dataset.label}. The table below lists them.`);
  const wide = figure.clientWidth;
  const zoom = Math.min(1.15, wide / (drawn.width + 32));
  figure.classList.add("staged");
  scroll.after(canvas);
  canvas.style.height = `${Math.min((drawn.height + 40) * zoom, Math.max(320, window.innerHeight * 0.85))}px`;
  const cy = cytoscape({
    container: canvas,
    elements: { nodes: [...nodes, ...heads], edges },
    layout: { name: "preset" },
    style: looks(colours, drawn),
    userZoomingEnabled: false,
    boxSelectionEnabled: false,
    minZoom: 0.15,
    maxZoom: 4,
  });
  cy.edges().forEach(bend);
  const fit = () => cy.fit(undefined, 16);
  fit();
  if (cy.zoom() > 1.15) {
    cy.zoom(1.15);
    cy.center();
  }

  // With Ctrl the wheel zooms; without, the page goes on.
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const box = canvas.getBoundingClientRect();
      const at = { x: event.clientX - box.left, y: event.clientY - box.top };
      cy.zoom({ level: cy.zoom() * (event.deltaY < 0 ? 1.2 : 1 / 1.2), renderedPosition: at });
    },
    { passive: false },
  );
  const tools = document.createElement("div");
  tools.className = "circuit-tools";
  tools.setAttribute("role", "group");
  tools.setAttribute("aria-label", "The view");
  const tool = (words, sign, act) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button quiet small";
    button.textContent = sign;
    button.setAttribute("aria-label", words);
    button.title = words;
    button.addEventListener("click", act);
    tools.append(button);
  };
  const middle = () => ({ x: cy.width() / 2, y: cy.height() / 2 });
  tool("Larger", "+", () => cy.zoom({ level: cy.zoom() * 1.25, renderedPosition: middle() }));
  tool("Smaller", "−", () => cy.zoom({ level: cy.zoom() / 1.25, renderedPosition: middle() }));
  tool("All of it", "□", fit);
  canvas.after(tools);

  const plain = () => cy.elements().removeClass("faint near");
  const near = (found) => {
    plain();
    cy.elements().not(found).not(".head").addClass("faint");
    found.edges().addClass("near");
  };
  cy.on("mouseover", "node, edge", (event) => {
    const found = event.target;
    canvas.style.cursor = "pointer";
    near(found.isNode() ? found.closedNeighborhood() : found.union(found.connectedNodes()));
    canvas.title = found.isNode() ? found.data("title") : found.data("said");
  });
  cy.on("mouseout", "node, edge", () => {
    canvas.style.cursor = "";
    canvas.title = "";
    plain();
  });
  cy.on("tap", "edge", (event) => show(figure, event.target.data()));
  cy.on("tap", "node", (event) => {
    if (!form) window.location.assign(event.target.data("href"));
    else showNode(figure, event.target.data());
  });
  cy.on("tap", (event) => {
    if (event.target === cy) figure.querySelector(".circuit-kernel").replaceChildren();
  });

  // A node keeps to its layer's column.
  cy.nodes().forEach((node) => node.data("column", node.position("x")));
  cy.on("drag", "node", (event) => {
    const node = event.target;
    node.position({ x: node.data("column"), y: Math.max(node.position("y"), 30 + node.data("height") / 2) });
    node.connectedEdges().forEach(bend);
  });
  cy.on("dragfree", "node", () => keep(form, cy));

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours = theme();
    for (const node of drawn.nodes) {
      cy.getElementById(node.id).data("portrait", portrait(node, sheets.get(node.sheet), colours));
    }
    cy.style(looks(colours, drawn));
    cy.edges().forEach(bend);
  });
  // For whoever looks at the drawing from a program: a canvas tells nothing of what it shows.
  figure.circuit = cy;
}

// Where every node stands goes with the form.
function keep(form, cy) {
  const field = form.querySelector("[data-subgraph]");
  const subgraph = JSON.parse(field.value);
  for (const node of subgraph.nodes) {
    const found = cy.getElementById(node.id);
    if (found.empty()) continue;
    node.x = Math.round(found.position("x") - found.data("width") / 2);
    node.y = Math.round(found.position("y") - found.data("height") / 2);
  }
  field.value = JSON.stringify(subgraph);
  form.setAttribute("data-changed", "");
}

function removal(words, value) {
  const button = document.createElement("button");
  button.className = "button quiet small";
  button.name = "do";
  button.value = value;
  button.textContent = words;
  return button;
}

async function show(figure, edge) {
  const panel = figure.querySelector(".circuit-kernel");
  const words = document.createElement("p");
  words.className = "facts";
  words.textContent = edge.said + (edge.kernel ? "" : " (drawn by hand, without evidence)");
  const parts = [words];
  if (edge.kernel) {
    const answer = await fetch(edge.kernel, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (answer?.ok) {
      const kernel = document.createElement("div");
      kernel.innerHTML = await answer.text();
      parts.splice(0, 1, kernel);
    } else {
      words.textContent += " Its kernel could not be fetched.";
    }
  }
  if (figure.closest(".circuit-editor")) parts.push(removal("Remove this connection", `cut ${edge.source} ${edge.target}`));
  panel.replaceChildren(...parts);
}

function showNode(figure, node) {
  const link = document.createElement("a");
  link.href = node.href;
  link.textContent = node.title;
  const words = document.createElement("p");
  words.append(link);
  figure.querySelector(".circuit-kernel").replaceChildren(words, removal("Remove it", `remove ${node.id}`));
}

function wake(figure) {
  if (figure.dataset.awake !== undefined) return;
  figure.dataset.awake = "";
  const drawn = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const by = new Map(drawn.edges.map((edge) => [`${edge.source} ${edge.target}`, edge]));
  // The server's drawing answers too.
  figure.querySelector(".circuit-scroll").addEventListener("click", (event) => {
    const edge = event.target.closest(".edges > g");
    if (edge) show(figure, by.get(`${edge.dataset.source} ${edge.dataset.target}`));
  });
  if (figure.clientWidth < NARROW || !drawn.nodes.length) return;
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    stage(figure, drawn);
  }, { rootMargin: "300px" });
  seen.observe(figure);
}

const wakeAll = () => document.querySelectorAll("[data-circuit]").forEach(wake);
wakeAll();
document.addEventListener("htmx:afterSettle", wakeAll);

// What is not saved is not left without a question; the form's own buttons ask none.
let sending = false;
document.addEventListener("submit", () => (sending = true));
document.addEventListener("htmx:afterRequest", () => (sending = false));
window.addEventListener("beforeunload", (event) => {
  if (!sending && document.querySelector(".circuit-editor[data-changed]")) event.preventDefault();
});
