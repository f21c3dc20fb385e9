// The page through the real edge on real containers, at the width of a phone and of a desk, while
// replicas crash, come and go. tests/browser.rs sets the stage and reads the last line.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { open, Phone } from "./phone.mjs";
import { base, fromEvery, healed, shows, until } from "./service.mjs";

const { PHOTOS, SHOTS } = process.env;
const photo = (number) => `${PHOTOS}/${String(number).padStart(3, "0")}.png`;
const began = Date.now();
const say = (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1)}s ${text}`);
const uploaded = [];

async function uploads(phone, number, caption, category) {
  await phone.share(photo(number), caption, category);
  await phone.shows(caption);
  const ids = await phone.idOf(photo(number));
  assert.equal(ids.length, 1, "it went up as it is, under one id");
  uploaded.push({ id: ids[0], file: photo(number) });
}

await mkdir(SHOTS, { recursive: true });
const browser = await open();

// --- one replica, at the width of a phone ---

const small = await Phone.start(browser, base, SHOTS, "phone", {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  hasTouch: true,
  isMobile: true,
  // The answers that go missing below are lost by the browser's own hand.
  serviceWorkers: "block",
});
const { page } = small;
let replicas = await shows(1);
await small.visit();
await page.getByRole("heading", { name: "Nothing here yet" }).waitFor();
await small.shot("1-empty");

await small.addCategory("Trees");
await small.addCategory('Odd / "names" <b>&');
await page.getByRole("button", { name: "New category" }).click();
await page.getByLabel("Name", { exact: true }).fill("Trees");
await page.getByRole("button", { name: "Add", exact: true }).click();
await page.getByText("There is a category Trees already.").waitFor();
await page.keyboard.press("Escape");
say("categories are there");

await uploads(small, 0, "Planted an oak behind the school", "Trees");
await uploads(small, 1, '<img src=x onerror="alert(1)">', 'Odd / "names" <b>&');
say("photos are there, and what was typed is text");

// Something that is no photo, and a form that is not filled in, are answered in words.
await page.locator("[data-open=compose]").click();
await page.getByRole("button", { name: "Share" }).click();
await page.getByText("Take or choose a photo first.").waitFor();
await small.choose({ name: "photo.png", mimeType: "image/png", buffer: Buffer.from("no photo") });
await page.getByText("This is no photo that the browser can read.").waitFor();
await small.shot("2-wrong");
await page.keyboard.press("Escape");

// A photo as cameras make them is scaled down before it goes up.
const large = await page.evaluate(async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 4000, height: 3000 });
  const context = canvas.getContext("2d");
  for (let at = 0; at < 400; at += 1) {
    context.fillStyle = `hsl(${at * 9} 60% 60%)`;
    context.fillRect((at * 613) % 4000, (at * 977) % 3000, 700, 500);
  }
  return canvas.toDataURL("image/jpeg", 0.9).split(",")[1];
});
await small.share({ name: "camera.jpg", mimeType: "image/jpeg", buffer: Buffer.from(large, "base64") }, "From the camera", "Trees");
const scaled = await small.shows("From the camera");
const width = await scaled.locator("img").evaluate((image) => image.naturalWidth);
assert.equal(width, 1600, "scaled down to 1600 pixels");

// A busy edge: the upload waits, says so, and goes on by itself.
let busy = 2;
await page.route("**/api/v1/acts", async (route) => {
  if (route.request().method() !== "POST" || busy === 0) return route.continue();
  busy -= 1;
  return route.fulfill({ status: 503, headers: { "retry-after": "1" }, body: "busy" });
});
await small.share(photo(2), "Through a busy edge", "Trees");
await page.getByText("The service is busy. It goes on by itself…").waitFor();
await small.shot("3-busy");
await small.shows("Through a busy edge");
await page.unroute("**/api/v1/acts");

// The act is stored, its answer is lost: it is not stored twice.
let lose = true;
await page.route("**/api/v1/acts", async (route) => {
  if (route.request().method() !== "POST" || !lose) return route.continue();
  lose = false;
  await route.fetch();
  return route.abort();
});
await uploads(small, 3, "Its answer was lost", "Trees");
await page.unroute("**/api/v1/acts");
assert.equal(await small.item("Its answer was lost").count(), 1);
say("busy edges and lost answers are waited out");

// The only replica crashes, and the next upload outlives it.
await page.locator("#strip summary").click();
await page.getByRole("button", { name: "Crash a replica" }).click();
await uploads(small, 4, "While the only replica crashed", "Trees");
await healed(replicas);
await page.locator("#happened", { hasText: "is a new container" }).waitFor();
await small.shot("4-healed");
await page.locator("#strip summary").click();
say("a crash is waited out");

// Votes, and what is gone is gone, also after a reload.
await small.item("Planted an oak behind the school").getByRole("button", { name: /^Upvote/ }).click();
await small.item("Planted an oak behind the school").locator(".upvote span", { hasText: "1" }).waitFor();
await small.item("From the camera").locator("button.photo").click();
await small.shot("5-viewer");
assert.deepEqual(await small.nameless(), []);
await page.getByRole("button", { name: "Delete" }).click();
await page.getByRole("button", { name: "Delete for good?" }).click();
await small.item("From the camera").waitFor({ state: "detached" });
await page.reload();
await small.shows("Planted an oak behind the school");
assert.equal(await small.item("Planted an oak behind the school").locator(".upvote span").textContent(), "1");
assert.equal(await small.item("From the camera").count(), 0);
assert.equal(await small.item('<img src=x onerror="alert(1)">').count(), 1);
assert.deepEqual(await small.nameless(), []);
assert.equal(await small.overflow(), 0);
say("votes and deletions last");

// --- three replicas, at the width of a desk, while somebody else uploads a hundred ---

console.log("MORE");
const wide = await Phone.start(browser, base, SHOTS, "desktop", {
  viewport: { width: 1280, height: 800 },
  colorScheme: "dark",
});
await wide.visit();
await wide.page.locator("#strip summary").click();
replicas = await shows(3);
await wide.page.locator("#said", { hasText: "3 replicas" }).waitFor();
say("three replicas");
console.log("STAY");
await wide.addCategory("Evening");
await uploads(wide, 5, "Three replicas take turns", "Evening");
console.log("CRASH");
await wide.page.getByRole("button", { name: "Crash a replica" }).click();
await uploads(wide, 6, "While one of three crashed", "Evening");
await healed(replicas);
await wide.page.locator("#happened", { hasText: "is a new container" }).waitFor();
await shows(3);
console.log("READ");
for (const { id, file } of uploaded) {
  const images = await fromEvery(id);
  assert.equal(images.length, 3);
  const bytes = await readFile(file);
  assert.ok(images.every((image) => image.equals(bytes)), `act ${id} is the same from every replica`);
}
say("every replica has every photo, byte for byte");
await wide.page.getByRole("button", { name: /^All/ }).click();
await wide.page.locator("#grid img.here").nth(9).waitFor();
await wide.shot("1-three-replicas");
await wide.page.locator("#strip summary").click();
await wide.shot("2-grid");

// By keyboard: the first stop skips to the photos, and a sheet gives the focus back.
await wide.page.reload();
await wide.page.keyboard.press("Tab");
assert.equal(await wide.page.evaluate(() => document.activeElement.textContent), "Skip to the photos");
await wide.page.keyboard.press("Tab");
await wide.page.keyboard.press("Enter");
await wide.page.locator("#compose[open]").waitFor();
await wide.shot("3-compose");
await wide.page.keyboard.press("Escape");
assert.equal(await wide.page.evaluate(() => document.activeElement.textContent.trim()), "Add a photo");
assert.deepEqual(await wide.nameless(), []);
assert.equal(await wide.overflow(), 0);

// --- back to one, with a photo on its way now and then ---

console.log("QUIET");
for (const number of [7, 8, 9]) await uploads(wide, number, `Quieter, ${number}`, "Evening");
await shows(1);
await uploads(wide, 10, "Down to one replica", "Evening");
await wide.page.locator("#said", { hasText: "1 replica" }).waitFor();
await wide.shot("4-one-replica");
say("one replica");

// Without a connection the page opens and says so, shows nothing old, and goes on by itself.
await wide.page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
await wide.page.reload();
await until("the worker has the page", () => wide.page.evaluate(() => navigator.serviceWorker.controller !== null));
await wide.page.context().setOffline(true);
await wide.page.reload();
await wide.page.locator("#said", { hasText: "No connection" }).waitFor();
assert.equal(await wide.page.locator("#grid article").count(), 0);
await wide.shot("5-offline");
await wide.page.context().setOffline(false);
await wide.shows("Down to one replica");
say("without a connection nothing old is shown");

for (const phone of [small, wide]) {
  assert.deepEqual(phone.errors, [], "no error in the page");
  assert.deepEqual(phone.foreign, [], "nothing from elsewhere");
}
await browser.close();
console.log(JSON.stringify(uploaded));
