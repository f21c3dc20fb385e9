// The dashboard in a browser, and what can be seen there.
import { open } from "../../examples/acts/browser/phone.mjs";

export { open };
/** Nothing takes this long; a machine that stood still meanwhile may. */
const WITHIN_MS = 60_000;

/** Loads a page as often as containers' networks get in between, as whoever sits in front of it would. */
async function stubborn(load) {
  for (let tries = 0; tries < 5; tries += 1) {
    try {
      return await load();
    } catch (error) {
      if (!/ERR_NETWORK_CHANGED/.test(error.message)) throw error;
    }
  }
  return load();
}

export class Board {
  errors = [];
  foreign = [];
  /** Of every request: where to, and with what. */
  asked = [];
  /** Of every answer: of what, and how it ended. */
  answered = [];

  static async start(browser, base, options, before) {
    const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(WITHIN_MS);
    if (before) await page.addInitScript(before);
    await page.addInitScript(remember);
    return new Board(page, base);
  }

  constructor(page, base) {
    Object.assign(this, { page, base });
    page.on("pageerror", (error) => this.errors.push(String(error)));
    // Violations of the page's policy are reported there.
    page.on("console", (message) => {
      if (message.type() === "error" && /Content Security Policy|Refused to/.test(message.text())) this.errors.push(message.text());
    });
    page.on("response", (response) => this.answered.push(`${response.status()} ${response.url()}`));
    page.on("requestfailed", (request) => this.answered.push(`${request.failure()?.errorText} ${request.url()}`));
    page.on("request", (request) => {
      this.asked.push(request.url());
      if (!request.url().startsWith(`${base}/`) && !request.url().startsWith("data:")) this.foreign.push(request.url());
    });
  }

  async visit() {
    await stubborn(() => this.page.goto(`${this.base}/`));
    await this.live();
  }

  async reload() {
    await stubborn(() => this.page.reload());
    await this.live();
  }

  async live() {
    try {
      await this.page.locator("html[data-link=live]").waitFor();
    } catch (error) {
      const link = await this.page.evaluate(() => document.documentElement.dataset.link);
      throw new Error(`the page is ${link ?? "not connected"}; it said ${JSON.stringify(this.errors)}; asked and answered:\n${this.answered.join("\n")}`, { cause: error });
    }
  }

  /** The replica on this slot, in this state. */
  tile(slot, state = "ready") {
    return this.page.locator(`.tile[data-slot="${slot}"][data-state="${state}"]`);
  }

  async ready(...slots) {
    for (const slot of slots) await this.tile(slot).waitFor();
  }

  /** An event in the timeline. */
  told(what, words = "") {
    return this.page.locator(`.event[data-what="${what}"]`, { hasText: words });
  }

  toast(words) {
    return this.page.locator(".toast", { hasText: words });
  }

  sheet(title) {
    return this.page.getByRole("dialog", { name: title });
  }

  /** In both lights and three widths. */
  async shots(folder, what) {
    const { page } = this;
    for (const [width, height] of [
      [1280, 800],
      [1920, 1080],
      [390, 844],
    ]) {
      await page.setViewportSize({ width, height });
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
        await page.screenshot({ path: `${folder}/dashboard-${what}-${width}-${colorScheme}.png`, animations: "disabled" });
      }
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wider > 0) throw new Error(`${what} is ${wider} px wider than a screen of ${width}`);
    }
    await page.emulateMedia({ colorScheme: null });
    await page.setViewportSize({ width: 1280, height: 800 });
  }

  /** Every control has a name that can be read out. */
  nameless() {
    return this.page.evaluate(() => {
      const named = (control) => control.getAttribute("aria-label") || control.labels?.[0]?.textContent.trim() || control.textContent.trim();
      return [...document.querySelectorAll("button, input, select")].filter((control) => !named(control) && !control.closest("[hidden]")).map((control) => control.outerHTML);
    });
  }

  /** After how many ms an event was there, by kind. */
  delays() {
    return this.page.evaluate(() => window.delays);
  }
}

/** Runs in the page: how long after it happened an event is there. */
function remember() {
  const delays = (window.delays = {});
  const look = (changes) => {
    for (const node of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
      const time = node.matches?.(".event") && node.querySelector("time[datetime]");
      const isNews = time && Date.parse(time.dateTime) > performance.timeOrigin;
      if (isNews) (delays[node.dataset.what] ??= []).push(Date.now() - Date.parse(time.dateTime));
    }
  };
  document.addEventListener("DOMContentLoaded", () => new MutationObserver(look).observe(document.body, { subtree: true, childList: true }));
}
