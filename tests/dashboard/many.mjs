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
  await page.evaluate(() => window.crowd.next());
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}
const scripted = await page.evaluate(() => window.crowd.took);
scripted.sort((a, b) => a - b);
console.log(`script time of an update with all 5000 replicas: median ${scripted[scripted.length >> 1].toFixed(1)} ms, longest ${scripted.at(-1).toFixed(1)} ms`);
await board.shots(SHOTS, "many");

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

assert.deepEqual(board.errors, [], "no error in the page");
assert.deepEqual(board.foreign, [], "nothing from elsewhere");
await browser.close();

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
      // What is drawn is drawn with the next frame.
      requestAnimationFrame(() => {
        const last = performance.getEntriesByName("tidegate-draw").at(-1);
        if (!full) this.took.push(heard + (last?.duration ?? 0));
      });
    },
    fail(name, place) {
      const service = services.find((it) => it.name === name);
      service.ready -= 1;
      Object.assign(service.replicas[place], { state: "sick", because: "exited with code 137", since_seconds: 0 });
      this.next();
    },
  };
  window.EventSource = Object.assign(Stream, { CLOSED: 2 });
}
