// One service: a row of numbers, and opened, charts, replicas and reasons.
import { Chart, pointAt } from "./chart.js";
import { h, icon, number, set, text } from "./dom.js";
import { Strip, Tiles } from "./replicas.js";
import { condition, many, plain, rate, share, short, took, whole } from "./words.js";

/** In seconds. */
const LATE = 2;
const MARKED = ["scaled", "sick", "rolling", "rolling_back", "start_failed"];

export class ServiceView {
  service = null;
  /** True while on the screen; other services are not drawn. */
  seen = false;
  isOpen = false;
  body = null;

  constructor(name, page) {
    this.name = name;
    this.page = page;
    this.dot = h("i", { class: "dot", "aria-hidden": "true" });
    this.title = h("button", { type: "button", class: "name", onclick: () => page.toggle(name) }, this.dot, h("span", {}, name));
    this.image = h("span", { class: "image" });
    this.hand = h("span", { class: "hand", hidden: true });
    this.state = h("span", { class: "state" });
    this.strip = new Strip();
    this.spark = new Chart({ label: `Requests per second to ${name}`, lines: [{ of: "rps", className: "main", fill: true }], least: 1, show: () => "" });
    this.numbers = Object.fromEntries(["rps", "inFlight", "held", "p50", "p99", "errors"].map((key) => [key, number(key)]));
    const cell = (key, label) => h("span", { class: `cell ${key}` }, h("span", { class: "label" }, `${label} `), this.numbers[key].node);
    this.row = h(
      "div",
      { class: "row" },
      this.strip.node,
      this.spark.node,
      cell("rps", "Requests"),
      cell("inFlight", "In flight"),
      cell("held", "Held"),
      cell("p50", "p50"),
      cell("p99", "p99"),
      cell("errors", "Errors"),
    );
    const act = (what, label, run) =>
      h("button", { type: "button", class: "quiet", "data-act": what, "aria-label": `${label} ${name}`, onclick: run }, icon(what), h("span", {}, label));
    this.acts = h(
      "div",
      { class: "acts" },
      act("scale", "Scale", () => page.actions.scale(this.service)),
      act("deploy", "Deploy", () => page.actions.deploy(this.service)),
    );
    const names = h("div", { class: "names" }, h("h2", {}, this.title), this.image, this.hand, this.state);
    this.node = h("article", { class: "service", "data-name": name, "aria-label": name }, h("header", {}, names, this.row, this.acts));
  }

  open(isOpen) {
    this.isOpen = isOpen;
    if (isOpen && !this.body) this.build();
    set(this.node, "data-open", isOpen);
    if (this.body) this.body.hidden = !isOpen;
  }

  build() {
    const { page, name } = this;
    const figure = (label, chart, ...shown) =>
      h("figure", { class: "chart" }, h("figcaption", {}, h("span", { class: "label" }, label), ...shown), chart.node);
    const n = (this.shown = Object.fromEntries(["rps", "errors", "inFlight", "held", "p50", "p99", "ready", "desired"].map((key) => [key, number(key)])));
    const said = (word, number) => h("span", { class: "said" }, number.node, h("i", {}, word));
    const before = (word, number) => h("span", { class: "said" }, h("i", {}, word), number.node);
    this.charts = {
      rps: new Chart({ label: "Requests per second", lines: [{ of: "rps", className: "main", fill: true }], least: 1, show: (top) => plain(rate(top)), since: "last 5 min" }),
      inFlight: new Chart({
        label: "Requests in flight and held",
        lines: [
          { of: "inFlight", className: "main", fill: true },
          { of: "held", className: "warn", fill: true, rare: true },
        ],
        least: 4,
        show: (top) => String(top),
      }),
      latency: new Chart({
        label: "Latency",
        lines: [
          { of: "p99", className: "soft", fill: true },
          { of: "p50", className: "main" },
        ],
        least: 0.001,
        show: (top) => plain(took(top)),
      }),
      replicas: new Chart({
        label: "Replicas ready and wanted",
        lines: [
          { of: "ready", className: "main", fill: true, step: true },
          { of: "desired", className: "wanted", step: true },
        ],
        least: 2,
        room: 1,
        show: (top) => String(top),
      }),
    };
    const charts = h(
      "div",
      { class: "charts" },
      figure("Requests", this.charts.rps, n.rps.node, said("errors", n.errors)),
      figure("In flight", this.charts.inFlight, n.inFlight.node, said("held", n.held)),
      figure("Latency", this.charts.latency, before("p50", n.p50), before("p99", n.p99)),
      figure("Replicas", this.charts.replicas, h("span", { class: "of" }, n.ready.node, h("i", {}, "ready")), said("wanted", n.desired)),
    );
    charts.addEventListener("pointermove", (event) => {
      const plot = event.target.closest(".canvas")?.parentNode;
      const chart = plot && Object.values(this.charts).find(({ node }) => node.parentNode === plot);
      page.point(chart ? chart.timeAt(event.clientX, page.model.now()) : null);
    });
    charts.addEventListener("pointerleave", () => page.point(null));
    this.tiles = new Tiles(name, (id) => page.look(name, id));
    this.rollout = h("div", { class: "rollout", hidden: true });
    this.because = h("ul", { class: "because", "aria-label": `Reasons for the state of ${name}` });
    this.lastWords = h("div", { class: "last-words", hidden: true });
    this.body = h("div", { class: "body" }, charts, this.tiles.node, this.rollout, this.because, this.lastWords);
    this.node.append(this.body);
  }

  /** Takes over the new state; `draw` shows it. */
  update(service) {
    this.service = service;
    const [level, words] = condition(service);
    set(this.node, "data-level", level);
    this.level = level;
    this.words = words;
  }

  draw(view) {
    const { service, page } = this;
    const points = page.model.series.get(this.name) ?? [];
    const now = page.model.now();
    const { ready, desired, replicas } = service;
    text(this.image, short(service.image) || many(replicas.length, "fixed address", "fixed addresses"));
    set(this.image, "title", service.image);
    const hand = byHand(service);
    this.hand.hidden = !hand;
    text(this.hand, hand);
    set(this.hand, "title", service.configured_image && `The configuration says ${service.configured_image}`);
    text(this.state, this.level === "good" ? `${ready} of ${desired} ready` : this.words);
    this.acts.hidden = !service.image;
    set(this.title, "aria-expanded", view === "rows" ? String(this.isOpen) : null);
    if (view === "rows") this.drawRow(service, points, now);
    if (this.isOpen) this.drawBody(service, points, now);
  }

  drawRow(service, points, now) {
    const { numbers } = this;
    this.strip.update(service);
    this.spark.draw(points, now, this.page.cursor, []);
    this.spark.say(`${rate(service.requests_per_second).join(" ")} now`);
    numbers.rps.show(rate(service.requests_per_second));
    numbers.inFlight.show(whole(service.in_flight));
    numbers.held.show(whole(service.held));
    numbers.p50.show(took(service.p50_seconds));
    numbers.p99.show(took(service.p99_seconds));
    numbers.errors.show(share(service.error_rate));
    set(numbers.held.node, "data-some", service.held > 0);
    set(numbers.errors.node, "data-some", service.error_rate >= 0.01);
  }

  drawBody(service, points, now) {
    const { charts, shown, page } = this;
    const cursor = page.cursor;
    const past = cursor && pointAt(points, cursor);
    const it = cursor
      ? past
      : {
          rps: service.requests_per_second,
          errors: service.error_rate,
          inFlight: service.in_flight,
          held: service.held,
          p50: service.p50_seconds,
          p99: service.p99_seconds,
          ready: service.ready,
          desired: service.desired,
        };
    const none = ["–", ""];
    shown.rps.show(it ? rate(it.rps) : none);
    shown.errors.show(share(it?.errors));
    shown.inFlight.show(it ? whole(it.inFlight) : none);
    shown.held.show(it ? whole(it.held) : none);
    shown.p50.show(took(it?.p50));
    shown.p99.show(took(it?.p99));
    shown.ready.show(it ? whole(it.ready) : none);
    shown.desired.show(it ? whole(it.desired) : none);
    set(shown.held.node.parentNode, "data-some", it?.held > 0 && "warn");
    set(shown.errors.node.parentNode, "data-some", it?.errors >= 0.01 && "bad");

    const marks = page.model.events.filter((told) => told.service === this.name && MARKED.includes(told.what)).map(({ t }) => t);
    for (const chart of Object.values(charts)) chart.most = chart.draw(points, now, cursor, marks);
    charts.rps.say(`${rate(service.requests_per_second).join(" ")} now, at most ${rate(charts.rps.most).join(" ")} in five minutes`);
    charts.inFlight.say(`${service.in_flight} in flight and ${service.held} held now, at most ${charts.inFlight.most} in five minutes`);
    charts.latency.say(`half within ${took(service.p50_seconds).join(" ")}, 99 of 100 within ${took(service.p99_seconds).join(" ")}`);
    charts.replicas.say(`${service.ready} ready, ${service.desired} wanted, of ${service.min} to ${service.max}`);

    this.tiles.update(service);
    this.drawRollout(service.rollout);
    const reasons = [...service.because, ...late(service)];
    if (this.reasons !== reasons.join("\n")) {
      this.reasons = reasons.join("\n");
      this.because.replaceChildren(...reasons.map((reason) => h("li", {}, reason)));
    }
    this.drawLastWords(service.last_words);
  }

  /** The end of a failed replica's log, while its successors fail, too. */
  drawLastWords(last) {
    this.lastWords.hidden = !last;
    const picture = last ? JSON.stringify(last) : "";
    if (this.wrote === picture) return;
    this.wrote = picture;
    if (!last) return;
    const title = h("summary", {}, `The last replica on ${last.slot} failed; its log ended with`);
    this.lastWords.replaceChildren(h("details", { open: true }, title, h("pre", {}, last.lines.join("\n"))));
  }

  drawRollout(rollout) {
    const isOver = !rollout || rollout.stage === "done";
    this.rollout.hidden = isOver;
    const picture = isOver ? "" : JSON.stringify({ ...rollout, took_seconds: 0 });
    if (this.picture === picture) return;
    this.picture = picture;
    if (isOver) return;
    const { stage, from, to, ready, wanted, why, failures } = rollout;
    const done = wanted ? Math.min(1, ready / wanted) : 0;
    const title = { rolling: "Rolling out", watching: "Watching", "rolling back": "Rolling back to", "rolled back": "Rolled back to", paused: "Paused on the way to" }[stage] ?? stage;
    const [there, here] = stage === "rolling back" || stage === "rolled back" ? [from, to] : [to, from];
    const parts = [
      h("p", {}, h("b", {}, `${title} ${short(there)}`), h("span", {}, ` ${ready} of ${wanted} ready, from ${short(here)}`)),
      stage !== "rolled back" && h("progress", { max: 1, value: done, "aria-label": `${ready} of ${wanted} replicas are new` }),
      why && h("p", { class: "why" }, why),
      ...failures.slice(-2).map((failed) => h("details", {}, h("summary", {}, `${failed.slot}: ${failed.why}`), h("pre", {}, failed.last_words.join("\n") || "No output."))),
    ];
    set(this.rollout, "data-stage", stage);
    this.rollout.replaceChildren(...parts.filter(Boolean));
  }
}

/** Settings by hand that the configuration does not have. */
function byHand({ by_hand, configured_image }) {
  const held = by_hand == null ? "" : `held at ${by_hand} by hand`;
  const image = configured_image ? `not the file's ${short(configured_image)}` : "";
  return [held, image].filter(Boolean).join(", ");
}

/** Reason why a new replica is not ready after the time that most take. */
function late({ replicas }) {
  const replica = replicas.find(({ state, since_seconds, because }) => state === "starting" && since_seconds > LATE && because);
  return replica ? [`${replica.slot}: ${replica.because}`] : [];
}
