// Certificates: a line each, with the next order, below the services.
import { h } from "./dom.js";

const EVERY = 15_000;
/** Lines that are shown; `tidegate certs` has all. */
const SHOWN_MAX = 50;
const DAY = 24 * 60 * 60;

/** Looks again and again, while the page is seen. */
export function follow(section, list) {
  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch("api/v1/certificates");
        if (answer.ok) draw(section, list, (await answer.json()).certificates);
      } catch {
        // The page says elsewhere that nobody answers.
      }
    }
    setTimeout(look, EVERY);
  };
  look();
}

function draw(section, list, all) {
  section.hidden = all.length === 0;
  const rank = (one) => (one.last_error || one.state !== "held" ? 0 : 1);
  const sorted = [...all].sort((a, b) => rank(a) - rank(b));
  const lines = sorted.slice(0, SHOWN_MAX).map(line);
  if (all.length > SHOWN_MAX) lines.push(h("li", {}, `and ${all.length - SHOWN_MAX} more`));
  list.replaceChildren(...lines);
}

function line(one) {
  const level = one.state === "held" ? (one.last_error || one.expires_in < 3 * DAY ? "warn" : "good") : one.ordering ? "busy" : "bad";
  const state = one.ordering ? (one.state === "held" ? "renewing" : "ordering") : one.state;
  const ends = one.not_after ? `until ${one.not_after.slice(0, 10)}` : "";
  const next = one.next_try && !one.ordering ? `next order ${one.next_try.slice(0, 16).replace("T", " ")} UTC, ${one.because}` : "";
  return h(
    "li",
    { "data-level": level },
    h("b", {}, one.names.join(", ")),
    h("span", {}, [state, ends, `from ${one.origin}`].filter(Boolean).join(" · ")),
    next && h("span", {}, next),
    one.last_error && h("span", { class: "why" }, one.last_error),
  );
}
