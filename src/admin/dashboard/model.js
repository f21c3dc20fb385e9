// The model: services, their history, and events. Independent of the page.

/** How far charts look back, in ms. */
export const WINDOW = 300_000;
/** Points further apart than this have a gap between them. */
export const GAP = 5_000;
const EVENTS_MAX = 500;
/** Period of a service's share of errors, in ms. */
const ERRORS_OVER = 60_000;

export class Model {
  services = new Map();
  /** Of each service its points, the oldest first. */
  series = new Map();
  /** The oldest first. */
  events = [];
  engineUp = true;
  known = false;
  /** The server's clock less ours, in ms. */
  offset = 0;
  /** Time of the last message, by our clock. */
  heard = 0;
  newest = 0;

  /** The server's time. */
  now() {
    return Date.now() + this.offset;
  }

  apply(state) {
    this.offset = Date.parse(state.time) - Date.now();
    this.heard = Date.now();
    this.known = true;
    this.engineUp = state.engine_up;
    const gone = new Set(state.full ? this.services.keys() : state.removed);
    for (const service of state.services) {
      gone.delete(service.name);
      service.heard = this.heard;
      this.services.set(service.name, service);
      if (!this.series.has(service.name)) this.series.set(service.name, []);
    }
    for (const name of gone) {
      this.services.delete(name);
      this.series.delete(name);
    }
  }

  /** Adds a point to each curve. */
  point() {
    const t = this.now();
    for (const [name, service] of this.services) {
      const points = this.series.get(name);
      points.push({
        t,
        rps: service.requests_per_second,
        inFlight: service.in_flight,
        held: service.held,
        p50: service.p50_seconds,
        p99: service.p99_seconds,
        errors: service.error_rate,
        desired: service.desired,
        ready: service.ready,
      });
      while (points.length && points[0].t < t - WINDOW - GAP) points.shift();
    }
  }

  /** Fills gaps with the server's own history. */
  remember(lately) {
    const end = Date.parse(lately.time);
    const every = lately.every_seconds * 1000;
    for (const [name, it] of Object.entries(lately.services)) {
      const own = this.series.get(name);
      if (!own) continue;
      const first = end - (it.desired.length - 1) * every;
      const seen = (t) => own.some((point) => Math.abs(point.t - t) < every);
      const points = it.desired.map((desired, at) => ({
        t: first + at * every,
        rps: it.requests_per_second[at],
        inFlight: it.in_flight[at],
        held: it.held[at],
        p50: it.p50_seconds[at],
        p99: it.p99_seconds[at],
        errors: it.error_rate[at],
        desired,
        ready: it.ready[at],
      }));
      const all = points.filter(({ t }) => !seen(t)).concat(own);
      this.series.set(name, all.sort((a, b) => a.t - b.t));
    }
  }

  /** True for an event that is not known yet. */
  tell(told) {
    if (told.id <= this.newest) return false;
    this.newest = told.id;
    told.t = Date.parse(told.time);
    this.events.push(told);
    if (this.events.length > EVENTS_MAX) this.events.shift();
    return true;
  }

  /** Requests a second of the last minute, over which errors are counted. */
  lately(name, service) {
    const points = this.series.get(name);
    const from = this.now() - ERRORS_OVER;
    let sum = service.requests_per_second;
    let count = 1;
    for (let at = points.length - 1; at >= 0 && points[at].t > from; at -= 1) {
      sum += points[at].rps;
      count += 1;
    }
    return sum / count;
  }

  totals() {
    const sum = { rps: 0, inFlight: 0, held: 0, ready: 0, desired: 0 };
    let [answers, errors] = [0, 0];
    for (const [name, service] of this.services) {
      sum.rps += service.requests_per_second;
      sum.inFlight += service.in_flight;
      sum.held += service.held;
      sum.ready += service.ready;
      sum.desired += service.desired;
      if (service.error_rate == null) continue;
      // There were some, even if this page saw none.
      const weight = Math.max(this.lately(name, service), 1e-6);
      answers += weight;
      errors += weight * service.error_rate;
    }
    return { ...sum, errors: answers > 0 ? errors / answers : null };
  }
}
