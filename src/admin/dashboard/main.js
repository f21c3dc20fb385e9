// The page: connects the model, the views and the commands.
import { Actions } from "./actions.js";
import { follow as followCertificates } from "./certificates.js";
import { h, icon, order, set, storage, text } from "./dom.js";
import { drawHeadline } from "./headline.js";
import { help, listen } from "./keys.js";
import { Model } from "./model.js";
import { ServiceView } from "./service.js";
import { follow } from "./stream.js";
import { Timeline } from "./timeline.js";
import { at, span } from "./words.js";

/** With more services than these, each is a row until it is opened. */
const CARDS_MAX = 8;
const TOASTS_FOR = 6_000;

const $ = (id) => document.getElementById(id);
const local = storage("localStorage");
const model = new Model();
const views = new Map();
const opened = new Set();
let view = null;
let link = "connecting";
let version = null;
let drawn = false;
let pressed = false;

const page = {
  model,
  cursor: null,
  actions: new Actions({ toast, changed: showSignedIn }),
  toggle(name) {
    if (view === "cards") return choose(timeline.service === name ? null : name);
    const isOpen = !opened.has(name);
    if (isOpen) opened.add(name);
    else opened.delete(name);
    views.get(name).open(isOpen);
    choose(isOpen ? name : null);
    drawNow();
    if (isOpen) views.get(name).node.scrollIntoView({ block: "nearest" });
  },
  look(name, id) {
    page.actions.look(() => {
      const service = model.services.get(name);
      const replica = service?.replicas.find((it) => it.id === id);
      return replica && { service, replica };
    }, id);
  },
  point(t) {
    if (page.cursor === t) return;
    page.cursor = t;
    draw();
  },
};

const timeline = new Timeline(model, $("events"), {
  pick: (name) => model.services.has(name) && reveal(name),
  point: page.point,
});

// --- views ---

/** Draws once for all changes since the last frame. */
function draw() {
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(() => {
    drawn = false;
    const began = performance.now();
    drawNow();
    // Browsers keep every measure; the last is enough.
    performance.clearMeasures("tidegate-draw");
    performance.measure("tidegate-draw", { start: began });
  });
}

function drawNow() {
  const show = local.get("tidegate-view") ?? (model.services.size > CARDS_MAX ? "rows" : "cards");
  if (show !== view) {
    view = show;
    set($("services"), "data-view", view);
    set($("view"), "aria-pressed", String(view === "rows"));
    for (const it of views.values()) it.open(view === "cards" || opened.has(it.name));
  }
  const isFew = views.size <= CARDS_MAX;
  for (const it of views.values()) if (it.seen || isFew) it.draw(view);
  drawHeadline(model, link, reveal);
}

/** Creates, removes and orders views. */
function arrange() {
  for (const [name, it] of views) {
    if (model.services.has(name)) continue;
    seen.unobserve(it.node);
    it.node.remove();
    views.delete(name);
  }
  for (const [name, service] of model.services) {
    if (!views.has(name)) {
      const it = new ServiceView(name, page);
      views.set(name, it);
      it.open(view === "cards" || opened.has(name));
      seen.observe(it.node);
    }
    views.get(name).update(service);
  }
  const typed = $("filter").value.trim().toLowerCase();
  const shown = [...views.values()].filter(({ name, service }) => !typed || name.toLowerCase().includes(typed) || service.image?.toLowerCase().includes(typed));
  shown.sort(ORDERS[$("sort").value]);
  const list = $("services");
  // A pressed element must still exist when the button is released.
  if (!pressed) {
    const nodes = shown.map(({ node }) => node);
    const there = new Set(nodes);
    for (const { node } of views.values()) if (!there.has(node)) node.remove();
    order(list, nodes);
  }
  $("none").hidden = shown.length > 0 || !model.known;
  text($("none"), typed ? `No service matches “${typed}”.` : "There is no service.");
  $("tools").hidden = model.services.size < 2;
  set(list, "data-few", model.services.size < 3 && model.services.size);
}

const LEVELS = ["bad", "warn", "busy", "good", "idle"];
const byName = (a, b) => (a.name < b.name ? -1 : 1);
const ORDERS = {
  name: byName,
  traffic: (a, b) => b.service.requests_per_second - a.service.requests_per_second || byName(a, b),
  trouble: (a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) || byName(a, b),
};

const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const it = views.get(target.dataset.name);
      if (it) it.seen = isIntersecting;
    }
    draw();
  },
  { rootMargin: "200px" },
);

/** Brings a service into view, opened, with its events. */
function reveal(name) {
  if (!views.get(name)?.node.isConnected) {
    $("filter").value = "";
    arrange();
  }
  showTab("services");
  if (view === "rows" && !opened.has(name)) page.toggle(name);
  else choose(name);
  const { node, title } = views.get(name);
  node.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  title.focus({ preventScroll: true });
}

/** Shows the events of one service alone, or of all. */
function choose(name) {
  timeline.show({ service: name });
  $("of").hidden = !name;
  text($("of-name"), name ?? "");
  for (const it of views.values()) set(it.node, "data-chosen", it.name === name);
}

// --- messages of the server ---

const stream = follow(model, {
  state() {
    arrange();
    draw();
  },
  told(told) {
    timeline.add(told);
    draw();
  },
  missed() {
    model.newest = 0;
    const told = { gap: true, t: model.now(), text: "Earlier events are unknown." };
    model.events.push(told);
    timeline.add(told);
  },
  link(now) {
    link = now;
    set(document.documentElement, "data-link", link);
    showLink();
    if (link === "live") {
      if (history.state) history.replaceState(null, "");
      catchUp();
    }
    draw();
  },
});

/** After a reconnect: fetches missed points, and detects another version of the server. */
async function catchUp() {
  const get = async (path) => (await fetch(`api/v1/${path}`)).json();
  try {
    model.remember(await get("numbers"));
    const now = (await get("version")).version;
    text($("version"), now);
    if (version && version !== now) toast(`Tidegate is now ${now}. Reload this page for its dashboard.`);
    version = now;
    draw();
  } catch {
    // The stream shows whether Tidegate is gone; if it is not, the answer was lost.
    setTimeout(() => link === "live" && catchUp(), 2000);
  }
}

function showLink() {
  const silent = (Date.now() - model.heard) / 1000;
  const words = { connecting: "Connecting…", live: "Live", asleep: "At rest", lost: "Reconnecting…" }[link];
  text($("link"), words);
  $("stale").hidden = link !== "lost";
  if (link === "lost" && model.known) text($("stale-since"), `This page shows the state of ${at(model.heard)}, ${span(silent)} ago.`);
}

setInterval(() => {
  if (link === "live") model.point();
  showLink();
  timeline.age();
  if (!document.hidden) draw();
}, 1000);

// --- input ---

function toast(words, isWrong) {
  const node = h("p", { class: isWrong ? "toast wrong" : "toast" }, words);
  $("toasts").append(node);
  setTimeout(() => node.remove(), TOASTS_FOR);
}

function showSignedIn() {
  const isIn = Boolean(page.actions?.token);
  text($("sign"), isIn ? "Sign out" : "Sign in");
  set(document.documentElement, "data-signed-in", isIn);
}

const THEMES = ["auto", "light", "dark"];
function turnTheme() {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
  root.dataset.theme = next;
  local.set("tidegate-theme", next);
  showTheme();
}

function showTheme() {
  const { theme } = document.documentElement.dataset;
  $("theme").replaceChildren(icon(theme));
  const words = { auto: "Light or dark, like the system", light: "Light", dark: "Dark" }[theme];
  set($("theme"), "aria-label", `Theme: ${words}`);
  set($("theme"), "title", `Theme: ${words} (t)`);
}

function turnView() {
  local.set("tidegate-view", view === "rows" ? "cards" : "rows");
  draw();
}

function showTab(name) {
  set(document.body, "data-tab", name);
  for (const tab of document.querySelectorAll("[data-tab-of]")) set(tab, "aria-pressed", String(tab.dataset.tabOf === name));
}

function step(by) {
  const nodes = [...$("services").children];
  const here = nodes.indexOf(document.activeElement?.closest(".service"));
  const node = nodes[Math.max(0, Math.min(nodes.length - 1, here < 0 ? 0 : here + by))];
  if (!node) return;
  views.get(node.dataset.name).title.focus();
  node.scrollIntoView({ block: "nearest" });
}

const focused = () => views.get(document.activeElement?.closest(".service")?.dataset.name)?.service ?? (views.size === 1 ? [...views.values()][0].service : null);
const act = (what) => {
  const service = focused();
  if (service?.image) page.actions[what](service);
};

listen(
  {
    j: ["go to the next service", () => step(1)],
    k: ["go to the previous service", () => step(-1)],
    s: ["scale the service that has the focus", () => act("scale")],
    d: ["deploy the service that has the focus", () => act("deploy")],
    r: ["reload the configuration", () => page.actions.reload()],
    "/": ["filter services", () => (showTab("services"), $("filter").focus())],
    e: ["go to the events", () => (showTab("timeline"), $("events").focus())],
    v: ["switch between rows and cards", turnView],
    t: ["switch between light and dark", turnTheme],
  },
  (target) => {
    if (target !== $("filter")) return choose(null);
    target.value = "";
    arrange();
    target.blur();
  },
);
$("sign").addEventListener("click", () => (page.actions.token ? page.actions.signOut() : page.actions.signIn()));
$("reload").addEventListener("click", () => page.actions.reload());
$("theme").addEventListener("click", turnTheme);
$("help").addEventListener("click", help);
$("view").addEventListener("click", turnView);
$("again").addEventListener("click", () => stream.again());
$("of").addEventListener("click", () => choose(null));
$("latest").addEventListener("click", () => showTab("timeline"));
// With the timeline beside it, the link leads nowhere.
const narrow = matchMedia("(max-width: 1099px)");
const showNarrow = () => ($("latest").tabIndex = narrow.matches ? 0 : -1);
narrow.addEventListener("change", showNarrow);
$("services").addEventListener("pointerdown", ({ button }) => (pressed = button === 0));
for (const over of ["pointerup", "pointercancel", "blur"]) addEventListener(over, () => (pressed = false));
for (const name of ["filter", "sort"]) {
  $(name).addEventListener("input", () => {
    arrange();
    draw();
  });
}
for (const tab of document.querySelectorAll("[data-tab-of]")) tab.addEventListener("click", () => showTab(tab.dataset.tabOf));
for (const button of document.querySelectorAll("[data-filter]")) {
  button.addEventListener("click", () => {
    for (const it of document.querySelectorAll("[data-filter]")) set(it, "aria-pressed", String(it === button));
    timeline.show({ filter: button.dataset.filter });
  });
}

text($("place"), location.host);
showTab("services");
showTheme();
showNarrow();
showSignedIn();
draw();

followCertificates($("certificates"), $("certificate-list"));
