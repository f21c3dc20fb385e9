// Replicas as tiles in slot order, and the details of one.
import { h, order, set, svg, text } from "./dom.js";
import { many, rate, span, when } from "./words.js";

/** More than these are drawn small. */
const LARGE_MAX = 16;
const STATES = ["ready", "starting", "draining", "sick", "asleep", "stopping"];

export const ageOf = (service, seconds) => seconds + (Date.now() - service.heard) / 1000;

export class Tiles {
  tiles = new Map();

  /** `look` is called with a replica's id. */
  constructor(name, look) {
    this.look = look;
    this.node = h("ol", { class: "tiles", "aria-label": `Replicas of ${name}` });
    this.node.addEventListener("keydown", (event) => this.move(event));
    // One tab stop for all tiles; arrow keys move between them.
    this.node.addEventListener("focusin", ({ target }) => this.stopAt(target));
  }

  update(service) {
    const { replicas, desired } = service;
    const missing = Math.max(0, desired - replicas.filter(({ state }) => !["draining", "stopping", "asleep"].includes(state)).length);
    set(this.node, "data-size", replicas.length + missing > LARGE_MAX ? "small" : "large");
    const ids = new Set(replicas.map(({ id }) => id));
    const { activeElement } = document;
    // The focus stays at a slot when another replica takes it.
    const left = this.node.contains(activeElement) && !ids.has(activeElement.dataset.id) ? activeElement.dataset.slot : null;
    for (const [id, tile] of this.tiles) {
      if (ids.has(id)) continue;
      tile.item.remove();
      this.tiles.delete(id);
    }
    const items = replicas.map((replica) => {
      let tile = this.tiles.get(replica.id);
      if (!tile) {
        tile = this.make(replica);
        this.tiles.set(replica.id, tile);
      }
      show(tile, service, replica);
      return tile.item;
    });
    order(this.node, items);
    if (left) (this.node.querySelector(`[data-slot="${left}"]`) ?? this.node.querySelector("button"))?.focus({ preventScroll: true });
    this.wait(missing);
    if (!this.node.querySelector('[tabindex="0"]')) this.node.querySelector("button")?.setAttribute("tabindex", "0");
  }

  /** Places of replicas that are wanted and do not exist yet. */
  wait(missing) {
    const there = this.node.querySelectorAll(".missing");
    for (let at = there.length; at < Math.min(missing, 64); at += 1) {
      this.node.append(h("li", { class: "missing" }, h("span", { class: "tile" }, h("span", {}, "wanted"))));
    }
    for (let at = missing; at < there.length; at += 1) there[at].remove();
  }

  make({ id }) {
    const [slot, traffic, age, work] = ["slot", "traffic", "age", "work"].map((name) => h("span", { class: name }));
    const button = h("button", { type: "button", class: "tile", tabindex: "-1", "data-id": id, onclick: () => this.look(id) }, slot, traffic, age, work);
    return { item: h("li", {}, button), button, slot, traffic, age, work };
  }

  stopAt(button) {
    this.node.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    button.setAttribute("tabindex", "0");
  }

  move(event) {
    const buttons = [...this.node.querySelectorAll("button")];
    const here = buttons.indexOf(document.activeElement);
    const perRow = buttons.filter(({ offsetTop }) => offsetTop === buttons[0].offsetTop).length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -perRow, ArrowDown: perRow, Home: -here, End: buttons.length - 1 - here };
    const to = buttons[here + steps[event.key]];
    if (!to) return;
    event.preventDefault();
    to.focus();
  }
}

function show(tile, service, replica) {
  const { slot, state, in_flight, requests_per_second } = replica;
  const since = ageOf(service, state === "ready" ? (replica.age_seconds ?? replica.since_seconds) : replica.since_seconds);
  const word = state === "ready" ? span(since) : `${state} ${span(since)}`;
  set(tile.button, "data-state", state);
  set(tile.button, "data-slot", slot);
  text(tile.slot, String(slot));
  text(tile.traffic, state === "ready" ? rate(requests_per_second).join(" ") : "");
  text(tile.age, word);
  text(tile.work, in_flight ? `${in_flight} in flight` : "");
  const label = `${slot}, ${state} for ${span(ageOf(service, replica.since_seconds))}, ${in_flight} in flight`;
  set(tile.button, "aria-label", label);
  set(tile.button, "title", replica.because ? `${label}: ${replica.because}` : label);
}

/** All replicas of a service in a few pixels. */
export class Strip {
  constructor() {
    this.paths = STATES.map((state) => svg("path", { "data-state": state }));
    this.node = svg("svg", { class: "strip", role: "img" }, ...this.paths);
  }

  update({ replicas }) {
    // As many as fit, in three rows at most.
    const room = innerWidth > 1600 ? 50 : 25;
    const rows = Math.min(3, Math.ceil(replicas.length / room)) || 1;
    const perRow = Math.max(10, Math.ceil(replicas.length / rows));
    const [step, tall] = [6, rows === 1 ? 14 : rows === 2 ? 8 : 5];
    const d = Object.fromEntries(STATES.map((state) => [state, ""]));
    const count = Object.fromEntries(STATES.map((state) => [state, 0]));
    replicas.forEach(({ state }, at) => {
      const [x, y] = [(at % perRow) * step, Math.floor(at / perRow) * (tall + 1)];
      d[state] += `M${x} ${y}h${step - 1}v${tall}h-${step - 1}z`;
      count[state] += 1;
    });
    STATES.forEach((state, at) => set(this.paths[at], "d", d[state]));
    set(this.node, "viewBox", `0 0 ${perRow * step} ${rows * (tall + 1)}`);
    set(this.node, "style", `width:${perRow * step}px;height:${rows * (tall + 1)}px`);
    const words = STATES.filter((state) => count[state]).map((state) => `${count[state]} ${state}`);
    set(this.node, "aria-label", words.join(", ") || "no replica");
  }
}

/** Details of a replica, as rows. */
export function facts(service, replica) {
  const seconds = (value) => span(ageOf(service, value));
  return [
    ["State", `${replica.state}, for ${seconds(replica.since_seconds)}`],
    replica.because && ["Because", replica.because],
    ["Requests", `${rate(replica.requests_per_second).join(" ")}, ${many(replica.in_flight, "request")} in flight, ${replica.requests.toLocaleString("en")} since it became ready`],
    ["Address", replica.address ?? "not known yet"],
    replica.age_seconds != null && ["Container", replica.id.slice(0, 12)],
    replica.age_seconds != null && ["Created", `${seconds(replica.age_seconds)} ago`],
    ["Failures", replica.restarts ? `${replica.restarts} in this slot since Tidegate started` : "none in this slot since Tidegate started"],
    replica.last_failure && ["Last failure", `${replica.last_failure.why}, at ${when(Date.parse(replica.last_failure.time), Date.now())}`],
  ].filter(Boolean);
}
