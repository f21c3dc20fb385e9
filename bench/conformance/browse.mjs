// The example's page in Chromium over HTTPS; each check prints a line of JSON, which
// suites/chromium.py reads.
import assert from "node:assert/strict";
import { open, Phone } from "../../examples/acts/browser/phone.mjs";

const { BASE, HOST, KEY, PHOTO, SHOTS } = process.env;
// The key is that of the suite's own certificate. Browsers have stores of their own for roots.
const browser = await open([`--ignore-certificate-errors-spki-list=${KEY}`, `--host-resolver-rules=MAP ${HOST} 127.0.0.1`]);
const phone = await Phone.start(browser, BASE, SHOTS, "https", { viewport: { width: 390, height: 844 } });
const { page } = phone;

async function check(name, run) {
  const error = await run().then(
    () => null,
    (failure) => String(failure.message ?? failure),
  );
  console.log(JSON.stringify({ name, error }));
}

await check("TLS 1.3 and the certificate", async () => {
  const answer = await page.goto(`${BASE}/app`);
  assert.equal(answer.status(), 200);
  const { protocol, subjectName } = await answer.securityDetails();
  assert.equal(protocol, "TLS 1.3");
  assert.equal(subjectName, HOST);
});
await check("the page is a secure context, and its worker runs", async () => {
  await page.locator("#grid:not([aria-busy=true])").waitFor({ state: "attached" });
  assert.ok(await page.evaluate(() => window.isSecureContext));
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
});
await check("a photo goes up and is shown", async () => {
  await phone.addCategory("Trees");
  await phone.share(PHOTO, "Planted an oak behind the school", "Trees");
  await phone.shows("Planted an oak behind the school");
  await phone.shot("photo");
});
await check("100 requests at once", async () => {
  const statuses = await page.evaluate(() =>
    Promise.all(Array.from({ length: 100 }, () => fetch("/api/v1/acts/count", { cache: "no-store" }).then((got) => got.status))),
  );
  assert.deepEqual(new Set(statuses), new Set([200]));
});
await check("a WebSocket", async () => {
  const echoed = await page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(`wss://${location.host}/echo`);
        socket.onopen = () => socket.send("there and back");
        socket.onmessage = ({ data }) => resolve(data);
        socket.onerror = () => reject(new Error("it failed"));
      }),
  );
  assert.equal(echoed, "there and back");
});
await check("everything came over HTTP/2", async () => {
  const protocols = await page.evaluate(() =>
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
      .filter(({ nextHopProtocol }) => nextHopProtocol)
      .map(({ nextHopProtocol }) => nextHopProtocol),
  );
  assert.deepEqual([...new Set(protocols)], ["h2"]);
  assert.ok(protocols.length > 50, `${protocols.length} requests`);
});
await check("no error on the page, and no request elsewhere", async () => {
  assert.deepEqual(phone.errors, []);
  assert.deepEqual(phone.foreign.filter((url) => !url.startsWith("data:")), []);
});
console.log(JSON.stringify({ version: browser.version() }));
await browser.close();
