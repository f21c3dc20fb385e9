// Events and reasons, the newest first; simultaneous events of several replicas are one line.
import { h, text } from "./dom.js";
import { atInFull, isOld, kind, slots, title, when } from "./words.js";

const SHOWN_MAX = 250;
/** Events within this time, in ms, may be one line. */
const AT_ONCE = 4_000;
/** Lines that are searched for the one that an event belongs to. */
const NEAR = 12;

const FILTERS = {
  all: ({ what }) => what !== "decided",
  decisions: (told) => kind(told.what) === "decision" && !(told.what === "decided" && told.from !== told.to),
  trouble: (told) => kind(told.what) === "bad",
};

export class Timeline {
  filter = "all";
  service = null;
  groups = [];

  /** `pick` is called with the name of a service, `point` with a time. */
  constructor(model, list, { pick, point }) {
    Object.assign(this, { model, list, pick, point });
    this.list.addEventListener("pointerleave", () => point(null));
  }

  show({ filter = this.filter, service = this.service }) {
    this.filter = filter;
    this.service = service;
    this.groups = [];
    this.list.replaceChildren();
    for (const told of this.model.events) this.add(told);
  }

  add(told) {
    if (this.service && told.service && told.service !== this.service) return;
    if (!told.gap && !FILTERS[this.filter](told)) return;
    if (this.absorb(told)) return;
    const last = this.groups[0];
    if (last && last.told.slot != null && belongs(last.told, told)) {
      last.slots.push(told.slot);
      text(last.title, title(last.told, last.slots));
      last.item.title = `${last.item.title}\n${told.text}`;
      return;
    }
    const group = told.gap ? this.gap(told) : this.make(told);
    this.groups.unshift(group);
    this.list.prepend(group.item);
    while (this.groups.length > SHOWN_MAX) this.groups.pop().item.remove();
  }

  /** An event that only ends another one has no line of its own. */
  absorb(told) {
    if (!["said_last", "drained", "stopped"].includes(told.what)) return false;
    const begun = told.what === "said_last" ? ["sick"] : ["draining", "sick"];
    const group = this.groups.slice(0, NEAR).find((it) => begun.includes(it.told.what) && it.told.service === told.service && it.slots.includes(told.slot));
    if (!group) return false;
    if (told.what === "said_last") group.words.append(h("pre", {}, told.why));
    if (told.what === "stopped" && group.told.what === "draining") {
      group.gone.add(told.slot);
      if (group.slots.every((slot) => group.gone.has(slot))) text(group.title, `Drained ${slots(group.slots)}`);
    }
    group.item.title = `${group.item.title}\n${told.text}`;
    return true;
  }

  make(told) {
    const on = told.slot == null ? [] : [told.slot];
    const line = h("span", { class: "title" }, title(told, on));
    const of = told.service && h("button", { type: "button", class: "of", onclick: () => this.pick(told.service), "aria-label": `Show ${told.service}` }, told.service);
    const words = told.what === "said_last" ? h("pre", {}, told.why) : told.why && h("p", { class: "why" }, told.why);
    const item = h(
      "li",
      { class: "event", "data-what": told.what, "data-kind": kind(told.what), title: `${atInFull(told.t)}\n${told.text}` },
      this.time(told),
      h("div", {}, h("p", { class: "what" }, of, line), words),
    );
    const body = item.lastChild;
    item.addEventListener("pointerenter", () => this.point(told.t));
    return { told, slots: on, item, title: line, words: body, gone: new Set() };
  }

  gap(told) {
    return { told, slots: [], item: h("li", { class: "event gap" }, this.time(told), h("p", {}, told.text)) };
  }

  time({ t, time }) {
    return h("time", { datetime: time }, when(t, this.model.now()));
  }

  /** Adds the date to times that are no longer of today. */
  age() {
    const now = this.model.now();
    for (const { told, item } of this.groups.toReversed()) {
      if (!isOld(told.t, now)) return;
      text(item.querySelector("time"), when(told.t, now));
    }
  }
}

const belongs = (one, other) =>
  one.what === other.what && one.what !== "said_last" && one.service === other.service && one.why === other.why && other.t - one.t < AT_ONCE;
