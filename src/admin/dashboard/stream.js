// One stream of events and state, which reconnects by itself.

/** The server sends a message every 5 s; after this time, the page is stale. */
const SILENT_AFTER = 9_000;
/** After this time, the connection is replaced. */
const GIVEN_UP_AFTER = 15_000;
const RETRY_EVERY = 2_000;
/** A browser has few connections to one server: a page hidden for so long closes its own. */
const UNSEEN_AFTER = 60_000;
const EVENTS_AT_FIRST = 300;

/** `on` has `state`, `told`, `missed` and `link`, which gets `live`, `lost` or `asleep`. */
export function follow(model, on) {
  let source = null;
  let opened = 0;
  let link = "connecting";
  let unseen = 0;

  const say = (now) => {
    if (now === link) return;
    link = now;
    on.link(link);
  };
  const close = () => {
    source?.close();
    source = null;
  };
  const open = () => {
    close();
    opened = Date.now();
    const since = model.newest ? `after=${model.newest}` : `last=${EVENTS_AT_FIRST}`;
    source = new EventSource(`api/v1/events?follow&state&${since}`);
    source.addEventListener("state", ({ data }) => {
      model.apply(JSON.parse(data));
      say("live");
      on.state();
    });
    source.addEventListener("message", ({ data }) => {
      model.heard = Date.now();
      const told = JSON.parse(data);
      if (model.tell(told)) on.told(told);
    });
    source.addEventListener("missed", () => on.missed());
    source.addEventListener("error", () => say("lost"));
  };

  const watch = () => {
    const now = Date.now();
    if (!document.hidden) unseen = 0;
    else if (!unseen) unseen = now;
    else if (now - unseen > UNSEEN_AFTER) {
      close();
      return say("asleep");
    }
    const silent = now - Math.max(model.heard, opened);
    if (silent > SILENT_AFTER) say("lost");
    // The browser reconnects by itself unless the answer was a refusal.
    const refused = !source || source.readyState === EventSource.CLOSED;
    if (silent > GIVEN_UP_AFTER || (refused && now - opened > RETRY_EVERY)) open();
  };
  setInterval(watch, 1000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !source) open();
  });
  // A page restored from the browser's memory has a dead stream.
  addEventListener("pagehide", close);
  addEventListener("pageshow", ({ persisted }) => persisted && open());
  open();
  return { again: open };
}
