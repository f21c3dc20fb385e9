// Words and numbers for the page. Independent of the page.

/** A number and its unit, each as text. */
export function rate(value) {
  if (value >= 100_000) return [`${Math.round(value / 1000)}k`, "/s"];
  if (value >= 10_000) return [`${(value / 1000).toFixed(1)}k`, "/s"];
  if (value >= 100) return [String(Math.round(value)), "/s"];
  return [value.toFixed(1), "/s"];
}

/** The same without trailing zeros, for scales. */
export const plain = ([number, unit]) => `${number.replace(/\.0+$|(\.\d*[1-9])0+$/, "$1")} ${unit}`.trim();

export function took(seconds) {
  if (seconds == null) return ["–", ""];
  const millis = seconds * 1000;
  if (millis < 9.95) return [millis.toFixed(1), "ms"];
  if (millis < 999.5) return [String(Math.round(millis)), "ms"];
  return [seconds.toFixed(seconds < 9.995 ? 2 : 1), "s"];
}

export function share(value) {
  if (value == null) return ["–", ""];
  const percent = value * 100;
  if (percent > 0 && percent < 0.05) return ["<0.1", "%"];
  return [percent === 0 || percent >= 9.95 ? String(Math.round(percent)) : percent.toFixed(1), "%"];
}

export const whole = (value) => [Math.round(value).toLocaleString("en"), ""];

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s < 600 && s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
export const at = (millis) => clock.format(millis);
/** With its date if it could be that of another day. */
export const when = (millis, now) => (isOld(millis, now) ? `${date.format(millis)} ${at(millis)}` : at(millis));
export const isOld = (millis, now) => now - millis > 12 * 3_600_000;
export const atInFull = (millis) => day.format(millis);

export const many = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;

/** Slots in a row as one: 8000–8003, 8007. */
export function slots(list) {
  const sorted = [...new Set(list)].sort((a, b) => a - b);
  const runs = [];
  for (const slot of sorted) {
    const run = runs.at(-1);
    if (run && run[1] === slot - 1) run[1] = slot;
    else runs.push([slot, slot]);
  }
  return runs.map(([from, to]) => (from === to ? from : to === from + 1 ? `${from}, ${to}` : `${from}–${to}`)).join(", ");
}

/** State of a service: `bad`, `warn`, `busy`, `good` or `idle`, and the reason in a few words. */
export function condition(service) {
  const { ready, desired, replicas, rollout } = service;
  const count = (state) => replicas.filter((replica) => replica.state === state).length;
  const sick = count("sick");
  const starting = count("starting");
  if (desired > 0 && ready === 0) return ["bad", starting ? "none ready, starting" : "none ready"];
  if (sick) return ["warn", `${sick} sick, ${ready} of ${desired} ready`];
  if (rollout?.stage === "paused") return ["warn", "rollout paused"];
  if (rollout?.stage === "rolling back") return ["warn", "rolling back"];
  if ((service.error_rate ?? 0) >= 0.05) return ["warn", `${share(service.error_rate).join(" ")} errors`];
  if (service.held > 0) return ["warn", `${many(service.held, "request")} held`];
  if (ready < desired) return [starting ? "busy" : "warn", `${ready} of ${desired} ready`];
  if (rollout?.stage === "rolling") return ["busy", `rolling out, ${rollout.ready} of ${rollout.wanted}`];
  if (desired === 0) return ["idle", service.asleep ? (count("asleep") ? "asleep, paused" : "asleep") : "at rest"];
  return ["good", "up"];
}

const PLAIN = {
  starting: (on) => `Starting on ${on}`,
  start_failed: (on) => `Could not start on ${on}`,
  port_taken: (on) => `Port ${on} is taken`,
  not_ready: (on) => `Not healthy yet on ${on}`,
  adopted: (on) => `Adopted ${on}, already running`,
  ready: (on) => `${on} ready`,
  sick: (on) => `${on} sick`,
  ejected: (on) => `${on} ejected for a while`,
  draining: (on) => `Draining ${on}`,
  returned: (on) => `${on} back in rotation`,
  drained: (on) => `${on} drained`,
  stopped: (on) => `${on} removed`,
  paused: (on) => `${on} paused`,
  resumed: (on) => `${on} resumed`,
  pause_failed: (on) => `Could not pause ${on}`,
  resume_failed: (on) => `Could not resume ${on}`,
  stop_failed: (on) => `Could not stop ${on}`,
  said_last: (on) => `Last output of ${on}`,
  request_failed: (on) => `A request failed on ${on}`,
  engine_up: () => "The container engine answers",
  certificate_issued: () => "A certificate came",
  certificate_failed: () => "An order of a certificate failed",
  engine_down: () => "The container engine does not answer",
  reloaded: () => "Configuration reloaded",
  reload_failed: () => "Configuration not reloaded",
};

/** Title of a group of events, from the first event and all slots. */
export function title(told, list) {
  const { what, from, to } = told;
  if (what === "scaled") return `${from} → ${to} replicas`;
  if (what === "decided") return `Stays at ${to}, ${told.reason === "by hand" ? told.reason : `bound by ${told.reason}`}`;
  if (what === "rolling") return `Rolling out ${short(to)}`;
  if (what === "rolled_out") return `Every replica runs ${short(to)}`;
  if (what === "rolling_back") return `Rolling back from ${short(from)} to ${short(to)}`;
  if (what === "rollout_paused") return `Rollout of ${short(from)} paused`;
  if (what === "rolled_back") return `Every replica runs ${short(to)} again`;
  return PLAIN[what]?.(slots(list)) ?? told.text.replace(`${told.service}: `, "");
}

/** An image's name with a shortened digest. */
export const short = (image) => (image ?? "").replace(/sha256:([0-9a-f]{12})[0-9a-f]*/g, "$1");

/** Colour of an event: `decision`, `good`, `move`, `bad` or `quiet`. */
export function kind(what) {
  if (["scaled", "decided", "rolling", "rolled_out", "rolled_back", "reloaded"].includes(what)) return "decision";
  if (["sick", "start_failed", "stop_failed", "pause_failed", "resume_failed", "said_last", "request_failed", "ejected", "port_taken", "rolling_back", "rollout_paused", "engine_down", "certificate_failed", "reload_failed"].includes(what)) return "bad";
  if (["ready", "returned", "resumed", "engine_up", "adopted"].includes(what)) return "good";
  if (what === "starting" || what === "draining") return "move";
  return "quiet";
}
