// The page: brings together what is known, what is shown and what is asked for.
import { Actions, sheet } from "./actions.js";
import { h, icon, number, set, text } from "./dom.js";
import { Model } from "./model.js";
import { ServiceView } from "./service.js";
import { follow } from "./stream.js";
import { Timeline } from "./timeline.js";
import { at, condition, kind, many, rate, share, span, title, whole } from "./words.js";

/** With more services than these, each is a row until somebody opens it. */
const CARDS_MAX = 8;
const TOASTS_FOR = 6_000;

const $ = (id) => document.getElementById(id);
const model = new Model();
const views = new Map();
const opened = new Set();
let view = null;
let link = "connecting";
let version = null;
let drawn = false;

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

// --- what is shown ---

/** Once for whatever changed meanwhile. */
function draw() {
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(() => {
    drawn = false;
    const began = performance.now();
    drawNow();
    performance.measure("tidegate-draw", { start: began });
  });
}

function drawNow() {
  const show = kept("tidegate-view") ?? (model.services.size > CARDS_MAX ? "rows" : "cards");
  if (show !== view) {
    view = show;
    set($("services"), "data-view", view);
    set($("view"), "aria-pressed", String(view === "rows"));
    for (const it of views.values()) it.open(view === "cards" || opened.has(it.name));
  }
  const isFew = views.size <= CARDS_MAX;
  for (const it of views.values()) if (it.seen || isFew) it.draw(view);
  drawHeadline();
}

/** Makes and removes views, and keeps them in order. */
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
  const order = [...views.values()].filter(({ name, service }) => !typed || name.toLowerCase().includes(typed) || service.image?.toLowerCase().includes(typed));
  order.sort(ORDERS[$("sort").value]);
  const list = $("services");
  order.forEach((it, place) => {
    if (list.children[place] !== it.node) list.insertBefore(it.node, list.children[place] ?? null);
  });
  while (list.children.length > order.length) list.lastChild.remove();
  $("none").hidden = order.length > 0 || !model.known;
  text($("none"), typed ? `No service is named like “${typed}”.` : "There is no service.");
  $("tools").hidden = model.services.size < 2;
  set(list, "data-few", model.services.size < 3);
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

const totals = Object.fromEntries(["rps", "inFlight", "held", "errors", "replicas"].map((key) => [key, number(key)]));
for (const [key, it] of Object.entries(totals)) $("totals").querySelector(`[data-of=${key}]`).append(it.node);

function drawHeadline() {
  const services = [...model.services.values()];
  const troubled = services.map((service) => [service, ...condition(service)]).filter(([, level]) => level === "bad" || level === "warn");
  const moving = services.filter((service) => condition(service)[0] === "busy");
  const isBad = troubled.some(([, level]) => level === "bad");
  const level = link === "connecting" ? "idle" : isBad ? "bad" : troubled.length || !model.engineUp ? "warn" : moving.length ? "busy" : "good";
  const words = !model.known
    ? "Connecting…"
    : services.length === 0
      ? "There is no service"
      : troubled.length > 1
        ? `${troubled.length} of ${many(services.length, "service")} need attention`
        : troubled.length
          ? `${troubled[0][0].name}: ${troubled[0][2]}`
          : services.length === 1
            ? `${services[0].name} is up`
            : `All ${services.length} services are up`;
  set(document.documentElement, "data-level", level);
  text($("headline"), words);
  const sum = model.totals();
  totals.rps.show(rate(sum.rps));
  totals.inFlight.show(whole(sum.inFlight));
  totals.held.show(whole(sum.held));
  totals.errors.show(share(sum.errors));
  totals.replicas.show([`${sum.ready} / ${sum.desired}`, ""]);
  set(totals.held.node.parentNode, "data-some", sum.held > 0 && "warn");
  set(totals.errors.node.parentNode, "data-some", sum.errors >= 0.01 && "bad");
  $("engine").hidden = model.engineUp;
  drawTroubled(troubled.slice(0, 6));
  drawLatest();
  const sign = link === "live" ? { bad: "✕ ", warn: "! ", busy: "… " }[level] ?? "" : link === "lost" ? "? " : "";
  document.title = `${sign}${words} · Tidegate`;
  set($("icon"), "href", iconOf(link === "live" ? level : "idle"));
}

function drawTroubled(list) {
  const picture = list.length > 1 ? list.map(([service, level, words]) => `${service.name} ${level} ${words}`).join("\n") : "";
  if ($("troubled").picture === picture) return;
  $("troubled").picture = picture;
  const chips = picture ? list.map(([{ name }, level, words]) => h("li", {}, h("button", { type: "button", class: "chip", "data-level": level, onclick: () => reveal(name) }, h("b", {}, name), ` ${words}`))) : [];
  $("troubled").replaceChildren(...chips);
}

/** The last decision or failure, and whether it is over. */
function drawLatest() {
  const told = model.events.findLast(({ what }) => what !== "decided" && what !== "said_last" && ["decision", "bad"].includes(kind(what)));
  $("latest").hidden = !told;
  if (!told) return;
  const ago = (model.now() - told.t) / 1000;
  const healed = told.what === "sick" && model.events.find((it) => it.what === "ready" && it.service === told.service && it.slot === told.slot && it.id > told.id);
  const over = healed ? `, ready again ${Math.max(0.1, (healed.t - told.t) / 1000).toFixed(1)} s later` : "";
  text($("latest-ago"), ago < 3 ? "just now" : `${span(ago)} ago`);
  text($("latest-what"), `${told.service ? `${told.service}: ` : ""}${title(told, [told.slot ?? []].flat())}${over}`);
  text($("latest-why"), told.why ?? "");
  set($("latest"), "data-kind", healed ? "good" : kind(told.what));
}

function iconOf(level) {
  const colour = { good: "%232f9e6e", busy: "%233b7dd8", warn: "%23d08a1d", bad: "%23d64545" }[level] ?? "%238b8f98";
  return `data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><rect width='16' height='16' rx='4' fill='${colour}'/><path d='M3 6.2c1.7 0 1.7 1.4 3.3 1.4S8 6.2 9.7 6.2s1.7 1.4 3.3 1.4M3 10c1.7 0 1.7 1.4 3.3 1.4S8 10 9.7 10s1.7 1.4 3.3 1.4' fill='none' stroke='white' stroke-width='1.5' stroke-linecap='round'/></svg>`;
}

/** Brings a service into view, opened, and what happened to it. */
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

/** What happened to one service alone, or to all. */
function choose(name) {
  timeline.show({ service: name });
  $("of").hidden = !name;
  text($("of-name"), name ?? "");
  for (const it of views.values()) set(it.node, "data-chosen", it.name === name);
}

// --- what comes from the server ---

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
    const told = { gap: true, t: model.now(), text: "What happened before this is not known any more." };
    model.events.push(told);
    timeline.add(told);
  },
  link(now) {
    link = now;
    set(document.documentElement, "data-link", link);
    showLink();
    if (link === "live") catchUp();
    draw();
  },
});

/** After a while without a connection: what was, and whether this page is of another version. */
async function catchUp() {
  const get = async (path) => (await fetch(`api/v1/${path}`)).json();
  try {
    model.remember(await get("numbers"));
    const now = (await get("version")).version;
    text($("version"), now);
    if (version && version !== now) toast(`Tidegate is ${now} by now. Reload this page to see its own.`);
    version = now;
    draw();
  } catch {
    // The stream says that it is gone.
  }
}

function showLink() {
  const silent = (Date.now() - model.heard) / 1000;
  const words = { connecting: "Connecting…", live: "Live", asleep: "At rest", lost: "Reconnecting…" }[link];
  text($("link"), words);
  $("stale").hidden = link !== "lost";
  if (link === "lost") {
    const old = model.known ? `What you see is from ${at(model.heard)}, ${span(silent)} ago. ` : "";
    text($("stale-words"), `Tidegate does not answer. ${old}This page goes on by itself.`);
  }
}

setInterval(() => {
  if (link === "live") model.point();
  showLink();
  if (!document.hidden) draw();
}, 1000);

// --- what people do ---

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

function kept(name) {
  return localStorage.getItem(name);
}

const THEMES = ["auto", "light", "dark"];
function turnTheme() {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
  root.dataset.theme = next;
  localStorage.setItem("tidegate-theme", next);
  showTheme();
}

function showTheme() {
  const { theme } = document.documentElement.dataset;
  $("theme").replaceChildren(icon(theme));
  const words = { auto: "Light or dark as the system is", light: "Light", dark: "Dark" }[theme];
  set($("theme"), "aria-label", `Theme: ${words}`);
  set($("theme"), "title", `Theme: ${words} (t)`);
}

function turnView() {
  localStorage.setItem("tidegate-view", view === "rows" ? "cards" : "rows");
  draw();
}

function showTab(name) {
  set(document.body, "data-tab", name);
  for (const tab of document.querySelectorAll("[data-tab-of]")) set(tab, "aria-pressed", String(tab.dataset.tabOf === name));
}

function help() {
  const keys = [
    ["j k", "the next service, the one before"],
    ["Enter", "opens a service, or what happened to it alone"],
    ["s d", "scale, deploy the service that has the focus"],
    ["← → ↑ ↓", "among the replicas of a service; Enter shows one, to drain it"],
    ["/", "filter services"],
    ["e", "to what happened"],
    ["r", "reload the configuration"],
    ["v t", "rows or cards, light or dark"],
    ["Esc", "back"],
  ];
  const rows = keys.flatMap(([key, what]) => [h("dt", {}, key.split(" ").map((it) => h("kbd", {}, it))), h("dd", {}, what)]);
  sheet({ title: "Keyboard", parts: [h("dl", { class: "facts keys" }, rows)] });
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
const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  s: () => act("scale"),
  d: () => act("deploy"),
  r: () => page.actions.reload(),
  t: turnTheme,
  v: turnView,
  e: () => {
    showTab("timeline");
    $("events").focus();
  },
  "/": () => {
    showTab("services");
    $("filter").focus();
  },
  "?": help,
};

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (key === "Escape") {
    if (target === $("filter")) {
      $("filter").value = "";
      arrange();
      target.blur();
    } else choose(null);
    return;
  }
  if (target.matches("input, select, textarea") || !KEYS[key]) return;
  event.preventDefault();
  KEYS[key]();
});

$("sign").addEventListener("click", () => (page.actions.token ? page.actions.signOut() : page.actions.signIn()));
$("reload").addEventListener("click", () => page.actions.reload());
$("theme").addEventListener("click", turnTheme);
$("help").addEventListener("click", help);
$("view").addEventListener("click", turnView);
$("again").addEventListener("click", () => stream.again());
$("of").addEventListener("click", () => choose(null));
$("latest").addEventListener("click", () => showTab("timeline"));
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
showSignedIn();
draw();
