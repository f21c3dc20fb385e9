// The edge and its replicas from outside the browser.
import { setTimeout as sleep } from "node:timers/promises";

export const base = process.env.EDGE;
const admin = process.env.ADMIN;

const WITHIN_MS = 60_000;

export async function until(what, check) {
  const deadline = Date.now() + WITHIN_MS;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${WITHIN_MS / 1000} s: ${what}`);
    await sleep(50);
  }
}

async function replicas() {
  const answer = await fetch(`${admin}/api/v1/services/acts`);
  return (await answer.json()).replicas.filter((replica) => replica.state === "ready");
}

// Exactly this many are ready.
export async function shows(count) {
  return until(`${count} replicas`, async () => {
    const all = await replicas();
    return all.length === count && all;
  });
}

// Another container is ready in the place of one of `before`.
export async function healed(before) {
  return until("a crashed replica is replaced", async () => {
    const now = await replicas();
    return now.find(({ slot, id }) => before.some((old) => old.slot === slot && old.id !== id));
  });
}

// The image of an act from every replica, past the edge.
export async function fromEvery(id) {
  const all = await replicas();
  return Promise.all(
    all.map(async ({ slot }) => {
      const answer = await fetch(`http://127.0.0.1:${slot}/api/v1/acts/${id}/image`);
      return Buffer.from(await answer.arrayBuffer());
    }),
  );
}
