// The headline: the state of all services, the last event, and the totals.
import { h, number, order, set, text } from "./dom.js";
import { condition, kind, many, rate, share, span, title, whole } from "./words.js";

const TROUBLED_MAX = 6;
const $ = (id) => document.getElementById(id);

const totals = Object.fromEntries(["rps", "inFlight", "held", "errors", "replicas"].map((key) => [key, number(key)]));
for (const [key, it] of Object.entries(totals)) $("totals").querySelector(`[data-of=${key}]`).append(it.node);

/** `link` is the state of the stream; `reveal` is called with the name of a service. */
export function drawHeadline(model, link, reveal) {
  const services = [...model.services.values()];
  const troubled = services.map((service) => [service, ...condition(service)]).filter(([, level]) => level === "bad" || level === "warn");
  const moving = services.filter((service) => condition(service)[0] === "busy");
  const isBad = troubled.some(([, level]) => level === "bad");
  const level = link === "connecting" ? "idle" : isBad ? "bad" : troubled.length || !model.engineUp ? "warn" : moving.length ? "busy" : "good";
  const words = summary(model, services, troubled);
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
  drawTroubled(troubled.slice(0, TROUBLED_MAX), reveal);
  drawLatest(model);
  const sign = link === "live" ? { bad: "✕ ", warn: "! ", busy: "… " }[level] ?? "" : link === "lost" ? "? " : "";
  document.title = `${sign}${words} · Tidegate`;
  set($("icon"), "href", iconOf(link === "live" ? level : "idle"));
}

function summary(model, services, troubled) {
  if (!model.known) return "Connecting…";
  if (services.length === 0) return "No services";
  if (troubled.length > 1) return `${troubled.length} of ${many(services.length, "service")} need attention`;
  if (troubled.length) return `${troubled[0][0].name}: ${troubled[0][2]}`;
  if (services.length === 1) {
    const [level, words] = condition(services[0]);
    return level === "good" ? `${services[0].name} is up` : `${services[0].name}: ${words}`;
  }
  return services.length === 2 ? "Both services are up" : `All ${services.length} services are up`;
}

const chips = new Map();

/** A single one is in the headline already. */
function drawTroubled(list, reveal) {
  const shown = new Map(list.length > 1 ? list.map(([{ name }, ...how]) => [name, how]) : []);
  for (const [name, { item }] of chips) {
    if (shown.has(name)) continue;
    item.remove();
    chips.delete(name);
  }
  for (const [name, [level, words]] of shown) {
    if (!chips.has(name)) chips.set(name, chip(name, reveal));
    const { button, why } = chips.get(name);
    set(button, "data-level", level);
    text(why, words);
  }
  order($("troubled"), [...shown.keys()].map((name) => chips.get(name).item));
}

function chip(name, reveal) {
  const why = h("span");
  const button = h("button", { type: "button", class: "chip", onclick: () => reveal(name) }, h("b", {}, name), " ", why);
  return { item: h("li", {}, button), button, why };
}

/** The last decision or failure, and whether it is over. */
function drawLatest(model) {
  const told = model.events.findLast(({ what }) => what !== "decided" && what !== "said_last" && ["decision", "bad"].includes(kind(what)));
  $("latest").hidden = !told;
  if (!told) return;
  const ago = (model.now() - told.t) / 1000;
  const later = model.events.slice(model.events.indexOf(told));
  const healed = told.what === "sick" && later.find((it) => it.what === "ready" && it.service === told.service && it.slot === told.slot);
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
