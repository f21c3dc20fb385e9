// A person's way through the dashboard, in front of real containers. tests/dashboard.rs sets the
// stage, and does what a line in capitals asks for.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { Board, open } from "./board.mjs";

const { EDGE, ADMIN, TOKEN, IMAGE, BROKEN, SHOTS } = process.env;
const [a, b, c] = [0, 1, 2].map((at) => Number(process.env.FIRST_PORT) + at);
const began = Date.now();
const say = (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1)}s ${text}`);

await mkdir(SHOTS, { recursive: true });
const browser = await open();
const board = await Board.start(browser, ADMIN, { viewport: { width: 1280, height: 800 } });
const { page } = board;

// --- looking ---

// A file that is dropped on its way, as when a container's network comes or goes, is no reason to
// stare at half a page.
let dropped = 0;
await page.route("**/dashboard/words.js", (route) => (dropped++ ? route.continue() : route.abort("failed")));
await board.visit();
assert.ok(dropped > 1, "it was asked for again");
await page.unroute("**/dashboard/words.js");
await board.ready(a);
await page.getByRole("heading", { name: "acts is up" }).waitFor();
await board.told("ready", `${a}`).waitFor();
say("what runs and what happened is there");

// Requests are counted and drawn.
for (let at = 0; at < 30; at += 1) assert.equal((await fetch(`${EDGE}/api/v1/categories`)).status, 200);
await page.locator(".chart .number b", { hasText: /^[1-9]/ }).first().waitFor();
await page.waitForFunction(() => document.querySelector(".charts .line.main")?.getAttribute("d")?.includes("L"));

// A crash: its reason is told with what the replica said last, and another container takes the slot.
const first = await board.tile(a).getAttribute("data-id");
await fetch(`${EDGE}/api/v1/_crash`, { method: "POST" });
await board.told("sick", "acts: listening on").waitFor();
await page.locator(`.tile[data-slot="${a}"][data-state="ready"]:not([data-id="${first}"])`).waitFor();
await page.getByText(/ready again/).waitFor();
say("a crash is seen, with what the replica said last");

// --- acting, by keyboard alone ---

await page.keyboard.press("s");
await board.sheet("Sign in").waitFor();
await page.keyboard.type("a guess");
await page.keyboard.press("Enter");
await board.sheet("Sign in").getByRole("alert").getByText("This token is wrong.").waitFor();
assert.equal(await page.evaluate(() => sessionStorage.length), 0);
await page.getByLabel("Token").fill("");
await page.keyboard.type(TOKEN);
await page.keyboard.press("Enter");
await board.sheet("Scale acts").waitFor();
await page.keyboard.type("9");
await page.keyboard.press("Enter");
await board.sheet("Scale acts").getByRole("alert").waitFor();
await page.getByLabel("Replicas", { exact: true }).fill("");
await page.keyboard.type("3");
await page.keyboard.press("Enter");
await board.toast("3 replicas, held by hand").waitFor();
await board.ready(a, b, c);
await board.told("scaled", "1 → 3 replicas").waitFor();
await page.getByText("held at 3 by hand").waitFor();
say("a wrong token is refused, and with the right one it scales");

await board.tile(a).focus();
await page.keyboard.press("ArrowRight");
await page.keyboard.press("Enter");
await board.sheet(`acts on ${b}`).getByText("none in this slot").waitFor();
await page.screenshot({ path: `${SHOTS}/dashboard-replica.png`, animations: "disabled" });
await page.keyboard.press("Tab");
await page.keyboard.press("Tab");
await page.keyboard.press("Enter");
await board.sheet(`Replace ${b} of acts`).waitFor();
await page.keyboard.press("Enter");
await board.toast(`${b} is being replaced`).waitFor();
await board.told("draining", `Drained ${b}`).waitFor();
await page.waitForFunction(() => document.querySelectorAll(".tile[data-state=ready]").length === 3);
say("a replica is drained");

// A version that does not start changes nothing, and the page says what it went back to and why.
await page.keyboard.press("d");
await board.sheet("Deploy acts").waitFor();
await page.keyboard.type(BROKEN);
await page.keyboard.press("Enter");
await page.locator(".rollout[data-stage='rolled back']", { hasText: /^Rolled back to acts:latest .* from \S+:broken .*exited with code/ }).waitFor();
await page.locator(".rollout summary").click();
await page.locator(".rollout pre", { hasText: "ACTS_LISTEN is `nonsense`" }).waitFor();
await page.screenshot({ path: `${SHOTS}/dashboard-back.png`, animations: "disabled" });
assert.equal(await page.locator(".tile[data-state=ready]").count(), 3);
say("a broken version is rolled back, with what it said last");

await page.keyboard.press("d");
await board.sheet("Deploy acts").waitFor();
await page.keyboard.type(IMAGE);
await page.keyboard.press("Enter");
await board.toast(`${IMAGE} (`).waitFor();
await page.locator(".rollout:not([hidden])").waitFor();
await board.told("rolled_out").waitFor();
await page.locator(".image", { hasText: IMAGE }).waitFor();
say("a deploy is seen from its beginning to its end");

// A file with a mistake changes nothing, and the reason is where it was asked for.
console.log("BREAK");
await page.keyboard.press("r");
await page.keyboard.press("Enter");
await board.sheet("Reload the configuration").getByText("there is no service to run").waitFor();
await page.screenshot({ path: `${SHOTS}/dashboard-wrong.png`, animations: "disabled" });
console.log("MEND");
await page.keyboard.press("Escape");
await board.sheet("Reload the configuration").waitFor({ state: "detached" });
await board.told("reload_failed").waitFor();

await board.tile(a).focus();
await page.keyboard.press("Tab");
assert.deepEqual(await board.nameless(), []);
await page.keyboard.press("e");
assert.equal(await page.evaluate(() => document.activeElement.id), "events");
await page.keyboard.press("?");
await board.sheet("Keyboard").waitFor();
await page.keyboard.press("Escape");
await page.evaluate(() => document.activeElement.blur());
await page.mouse.move(5, 795);
await board.toast("").first().waitFor({ state: "detached" });
await board.shots(SHOTS, "acts");

for (const [what, all] of Object.entries(await board.delays())) say(`${what} was on the page ${Math.max(...all)} ms later`);

// --- Tidegate goes and comes back ---

console.log("CRASH");
await page.locator("html[data-link=lost]").waitFor();
await page.getByRole("alert").getByText("Tidegate does not answer. This page shows the state of").waitFor();
assert.equal(await page.locator(".tile[data-state=ready]").count(), 3, "what was known is still shown");
await board.shots(SHOTS, "lost");
console.log("START");
await board.live();
await page.locator("#stale").waitFor({ state: "hidden" });
await board.told("adopted").first().waitFor();
await page.getByText("Earlier events are unknown.").waitFor();
await board.ready(a, b, c);
say("it reconnects by itself, and said so meanwhile");

// The light that was chosen stays; the token does as long as the tab.
await page.keyboard.press("t");
await page.keyboard.press("t");
await board.reload();
assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
await page.keyboard.press("Tab");
assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the services");
await page.getByRole("button", { name: "Sign out" }).click();
await page.getByRole("button", { name: "Sign in" }).waitFor();
assert.equal(await page.evaluate(() => sessionStorage.length), 0);

assert.deepEqual(board.errors, [], "no error in the page");
assert.deepEqual(board.foreign, [], "nothing from elsewhere");
assert.ok(!board.asked.some((url) => url.includes(TOKEN)), "the token is in no address");
await browser.close();
