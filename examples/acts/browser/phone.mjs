// A browser with the page open, and what a person does with it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { chromium } from "playwright-core";

const WITHIN_MS = 30_000;

export async function open(more = []) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // In a container there is no other user to give fewer rights to.
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", ...more],
  });
}

export class Phone {
  // Uploads of the phone: the id of the act, and the bytes that went up.
  sent = new Map();
  errors = [];
  foreign = [];

  static async start(browser, base, shots, name, options) {
    const context = await browser.newContext({ ...options, locale: "en-GB", timezoneId: "UTC" });
    const page = await context.newPage();
    page.setDefaultTimeout(WITHIN_MS);
    return new Phone(page, base, shots, name);
  }

  constructor(page, base, shots, name) {
    Object.assign(this, { page, base, shots, name });
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(`${base}/`) && !url.startsWith("blob:")) this.foreign.push(url);
      if (request.method() === "POST" && url === `${base}/api/v1/acts`) {
        const act = request.postDataJSON();
        this.sent.set(act.actId, Buffer.from(act.imgB64, "base64"));
      }
    });
  }

  async visit() {
    await this.page.goto(`${this.base}/app`);
    await this.page.locator("#grid:not([aria-busy=true])").waitFor({ state: "attached" });
  }

  async shot(what) {
    await this.page.screenshot({ path: `${this.shots}/${this.name}-${what}.png`, animations: "disabled" });
  }

  async addCategory(name) {
    await this.page.getByRole("button", { name: "New category" }).click();
    await this.page.getByLabel("Name", { exact: true }).fill(name);
    await this.page.getByRole("button", { name: "Add", exact: true }).click();
    await this.page.locator("#title", { hasText: name }).waitFor();
  }

  async choose(file) {
    const chooser = this.page.waitForEvent("filechooser");
    await this.page.locator("label.file", { hasText: "Choose a photo" }).click();
    await (await chooser).setFiles(file);
  }

  async compose(file, caption, category) {
    await this.page.locator("[data-open=compose]").click();
    await this.choose(file);
    await this.page.locator("#preview:not([hidden])").waitFor();
    await this.page.getByLabel("What was done?").fill(caption);
    if (category) await this.page.getByLabel("Category", { exact: true }).selectOption(category);
    await this.page.getByLabel("Your name").fill("Ada");
  }

  // Shares a photo, and does not wait for it.
  async share(file, caption, category) {
    await this.compose(file, caption, category);
    await this.page.getByRole("button", { name: "Share" }).click();
  }

  // In the grid, with its photo loaded.
  async shows(caption) {
    const item = this.item(caption);
    await item.locator("img.here").waitFor({ timeout: WITHIN_MS });
    assert.equal(await this.page.locator("#uploads .failed").count(), 0, "no upload failed");
    return item;
  }

  item(caption) {
    return this.page.locator("#grid li", { has: this.page.getByRole("heading", { name: caption, exact: true }) });
  }

  // Which act has these bytes.
  async idOf(file) {
    const bytes = await readFile(file);
    return [...this.sent].filter(([, sent]) => sent.equals(bytes)).map(([id]) => id);
  }

  // Every control has a name that can be read out.
  async nameless() {
    return this.page.evaluate(() => {
      const named = (control) =>
        control.getAttribute("aria-label") || control.labels?.[0]?.textContent.trim() || control.textContent.trim();
      const controls = document.querySelectorAll("button, input, select, textarea, summary");
      return [...controls].filter((control) => !named(control) && !control.closest("[hidden], #viewer:not([open])")).map((control) => control.outerHTML);
    });
  }

  // Nothing is wider than the screen.
  async overflow() {
    return this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  }
}
