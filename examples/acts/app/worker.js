// Keeps the page itself for a moment when nobody answers, and nothing else: whatever the page
// shows comes from the service at that moment, or it says that it does not.
const KEPT = "acts-page";
const FILES = ["/app", "/app/icon.svg", "/app/icon-192.png", "/app/manifest.webmanifest"];

self.addEventListener("install", (event) => {
  const keep = caches.open(KEPT).then((kept) => kept.addAll(FILES));
  event.waitUntil(keep.then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  const ours = origin === self.location.origin && FILES.includes(pathname);
  if (ours && request.method === "GET") event.respondWith(answer(request, pathname));
});

// The service first, always; the copy only when there is no answer worth showing.
async function answer(request, pathname) {
  const kept = await caches.open(KEPT);
  let response;
  try {
    response = await fetch(request);
    if (response.ok) await kept.put(pathname, response.clone());
  } catch {
    response = Response.error();
  }
  const copy = response.status < 400 && response.type !== "error" ? undefined : await kept.match(pathname);
  return copy ?? response;
}
