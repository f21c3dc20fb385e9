// A hundred services with fifty replicas each: the real page, with a stream of the story's own.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { Board, open } from "./board.mjs";

const { ADMIN, SHOTS } = process.env;
const UPDATES = 20;

await mkdir(SHOTS, { recursive: true });
const browser = await open();
const board = await Board.start(browser, ADMIN, { viewport: { width: 1280, height: 800 } }, crowd);
const { page } = board;
await page.route("**/api/v1/numbers", (route) => route.fulfill({ json: past() }));
await board.visit();
await page.locator(".service[data-name=service-00] .strip").waitFor();
assert.equal(await page.locator(".service").count(), 100);
await page.waitForFunction(() => document.querySelector("[data-name=service-00] .line").getAttribute("d").length > 1000);

// Every second everything is another, as it is under load.
for (let at = 0; at < UPDATES; at += 1) {
  await next();
}
const scripted = await page.evaluate(() => window.crowd.took);
scripted.sort((a, b) => a - b);
console.log(`script time of an update with all 5000 replicas: median ${scripted[scripted.length >> 1].toFixed(1)} ms, longest ${scripted.at(-1).toFixed(1)} ms`);
assert.equal(await page.evaluate(() => performance.getEntriesByName("tidegate-draw").length), 1, "measures do not pile up");
await board.shots(SHOTS, "many");

// Rows that move and are drawn anew keep the focus.
const place = () => page.evaluate(() => [...document.querySelectorAll(".service")].findIndex((it) => it.contains(document.activeElement)));
await page.locator("#sort").selectOption("traffic");
await page.locator(".service[data-name=service-50] .name").focus();
const places = new Set();
for (let at = 0; at < 5; at += 1) {
  places.add(await place());
  await next();
}
assert.ok(places.size > 1 && !places.has(-1), `it moves and keeps the focus: ${[...places]}`);
await page.locator("#sort").selectOption("name");

// Events of a process with an earlier clock are not taken for old.
await page.evaluate(() => window.crowd.tell("message", { id: 2000, time: new Date().toISOString(), what: "scaled", service: "service-01", from: 1, to: 2, text: "first" }));
await page.evaluate(() => window.crowd.tell("missed", {}));
await page.evaluate(() => window.crowd.tell("message", { id: 1000, time: new Date(Date.now() - 86_400_000).toISOString(), what: "scaled", service: "service-01", from: 2, to: 3, text: "second" }));
await board.told("scaled", "2 → 3 replicas").getByText(/^\d+ \w+ \d\d:\d\d:\d\d$/).waitFor();

// One is found, opened, and seen to fail, by keyboard.
await page.keyboard.press("/");
await page.keyboard.type("service-42");
await page.keyboard.press("Escape");
await page.keyboard.press("/");
await page.keyboard.type("-42");
await page.waitForFunction(() => document.querySelectorAll(".service").length === 1);
await page.locator(".service[data-name=service-42] .name").press("Enter");
await page.waitForFunction(() => document.querySelectorAll(".tile").length === 50);
await page.evaluate(() => window.crowd.fail("service-42", 7));
await page.locator(".tile[data-state=sick]").waitFor();
await page.getByRole("heading", { name: "service-42: 1 sick, 49 of 50 ready" }).waitFor();
await board.shots(SHOTS, "one-of-many");
await page.evaluate(() =>
  window.crowd.change("service-42", { configured_image: "registry.example/service:file", last_words: { slot: 10107, lines: ["reading <settings>", "no such file"] } }),
);
// A page of rows has no room for it.
await page.getByText("not the file's registry.example/service:file").waitFor({ state: "attached" });
await page.getByText("The last replica on 10107 failed; its log ended with").waitFor();
await page.getByText("reading <settings>").waitFor();
await board.shots(SHOTS, "last-words");
await page.evaluate(() => window.crowd.change("service-42", { configured_image: null, last_words: null }));
await page.getByText("no such file").waitFor({ state: "hidden" });
await page.locator(".service[data-name=service-42] .tile").nth(3).focus();
await page.evaluate(() => window.crowd.fail("service-42", 3, "another"));
await page.waitForFunction(() => document.activeElement.dataset.id === "another");

// An order that fails after its sheet was closed shows its failure all the same.
let answer = null;
await page.route("**/api/v1/token", (route) => route.fulfill({ json: {} }));
await page.route("**/deploy", (route) => (answer = () => route.fulfill({ status: 422, json: { error: "there is no such image" } })));
await page.keyboard.press("d");
await page.getByLabel("Token").fill("a\u200bguess");
await page.keyboard.press("Enter");
await board.sheet("Sign in").getByRole("alert").getByText("This token is wrong.").waitFor();
await page.getByLabel("Token").fill("right");
await page.keyboard.press("Enter");
await board.sheet("Deploy service-42").waitFor();
await page.keyboard.press("Enter");
await board.sheet("Deploy service-42").getByText("Sent; waiting for the answer…").waitFor();
await page.keyboard.press("Escape");
await board.sheet("Deploy service-42").waitFor({ state: "detached" });
await answer();
await board.toast("Deploy service-42: there is no such image").waitFor();

// On a phone that keeps nothing for the page, with names that do not break.
const phone = await Board.start(browser, ADMIN, { viewport: { width: 390, height: 844 } }, crowd);
await phone.page.addInitScript(forgetful);
await phone.page.route("**/api/v1/numbers", (route) => route.fulfill({ json: past() }));
await phone.visit();
for (const count of [2, 1]) {
  await phone.page.evaluate((count) => window.crowd.trouble(count), count);
  await phone.page.waitForFunction((count) => document.querySelectorAll(".service").length === count, count);
  await phone.page.getByRole("heading", { name: count === 1 ? /: none ready$/ : "2 of 2 services need attention" }).waitFor();
  assert.equal(await phone.page.evaluate(() => document.documentElement.scrollWidth), 390, "it is as wide as the phone");
}
assert.deepEqual(phone.errors, [], "no error on the phone");

assert.deepEqual(board.errors, [], "no error in the page");
assert.deepEqual(board.foreign, [], "nothing from elsewhere");
await browser.close();

async function next() {
  await page.evaluate(() => window.crowd.next());
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

/** Runs in the page, before its scripts: nothing may be kept. */
function forgetful() {
  const get = () => {
    throw new DOMException("denied", "SecurityError");
  };
  for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, { get });
}

/** Five minutes of each, as Tidegate would remember them. */
function past() {
  const points = Array.from({ length: 150 }, (_, at) => at);
  const of = (value) => points.map(value);
  const services = Array.from({ length: 100 }, (_, at) => {
    const wave = (point) => 1 + 0.4 * Math.sin(point / 14 + at) + 0.1 * Math.sin(point * 0.8 + at * 3);
    const series = {
      requests_per_second: of((point) => 40 * wave(point) * (1 + (at % 9))),
      in_flight: of((point) => Math.round(8 * wave(point) * (1 + (at % 3)))),
      held: of(() => 0),
      p50_seconds: of((point) => (0.004 + at / 5000) * wave(point)),
      p99_seconds: of((point) => (0.02 + at / 800) * wave(point)),
      error_rate: of(() => 0),
      desired: of((point) => (point < 60 ? 40 : 50)),
      ready: of((point) => (point < 62 ? 40 : 50)),
    };
    return [`service-${String(at).padStart(2, "0")}`, series];
  });
  return { time: new Date().toISOString(), every_seconds: 2, services: Object.fromEntries(services) };
}

/** Runs in the page, before its scripts: the stream, and the state that comes through it. */
function crowd() {
  const services = Array.from({ length: 100 }, (_, at) => ({
    name: `service-${String(at).padStart(2, "0")}`,
    min: 1,
    max: 60,
    desired: 50,
    by_hand: null,
    ready: 50,
    requests: 1000,
    requests_counted: 1000,
    requests_per_second: 0,
    in_flight: 0,
    held: 0,
    p50_seconds: 0.004 + at / 5000,
    p99_seconds: 0.02 + at / 800,
    error_rate: 0,
    because: ["6000 requests in the last 2m: floor(6000 / 120) + 1 = 51, bounded by 50"],
    image: `registry.example/service:${at}`,
    rollout: null,
    replicas: Array.from({ length: 50 }, (_, place) => ({
      slot: 8000 + at * 50 + place,
      id: `${at}-${place}`,
      state: "ready",
      since_seconds: 60,
      age_seconds: 61,
      address: "172.17.0.2:80",
      in_flight: 0,
      requests: 20,
      requests_per_second: 0,
      restarts: 0,
      last_failure: null,
      because: null,
    })),
  }));
  let clock = 0;
  class Stream extends EventTarget {
    readyState = 1;
    constructor() {
      super();
      window.crowd.stream = this;
      setTimeout(() => window.crowd.next(true));
    }
    close() {}
  }
  window.crowd = {
    took: [],
    next(full = false) {
      clock += 1;
      services.forEach((service, at) => {
        const wave = 1 + 0.4 * Math.sin(clock / 7 + at) + 0.1 * Math.sin(clock * 1.7 + at * 3);
        service.requests_per_second = Math.round(4000 * wave * (1 + (at % 9))) / 100;
        service.in_flight = Math.round(8 * wave * (1 + (at % 3)));
        for (const replica of service.replicas) replica.requests_per_second = Math.round((service.requests_per_second / 50) * 100) / 100;
      });
      const data = JSON.stringify({ full, time: new Date().toISOString(), engine_up: true, services, removed: [] });
      const began = performance.now();
      this.stream.dispatchEvent(new MessageEvent("state", { data }));
      const heard = performance.now() - began;
      // Changes are drawn with the next frame.
      requestAnimationFrame(() => {
        const last = performance.getEntriesByName("tidegate-draw").at(-1);
        if (!full) this.took.push(heard + (last?.duration ?? 0));
      });
    },
    tell(kind, what) {
      this.stream.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify(what) }));
    },
    /** With `id`, another replica has its slot already. */
    fail(name, place, id) {
      const service = services.find((it) => it.name === name);
      if (!id) service.ready -= 1;
      Object.assign(service.replicas[place], id ? { id } : { state: "sick", because: "exited with code 137", since_seconds: 0 });
      this.next();
    },
    change(name, fields) {
      Object.assign(services.find((it) => it.name === name), fields);
      this.next();
    },
    /** So many are left, with long names, and none works. */
    trouble(count) {
      services.splice(count);
      services.forEach((service, at) => Object.assign(service, { name: String(at).repeat(40), ready: 0 }));
      this.next(true);
    },
  };
  window.EventSource = Object.assign(Stream, { CLOSED: 2 });
}
