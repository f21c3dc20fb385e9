// A small chart, drawn as SVG: a unit wide is a second, so that time is the same everywhere.
import { GAP, WINDOW } from "./model.js";
import { h, svg, text } from "./dom.js";
import { at } from "./words.js";

const WIDTH = WINDOW / 1000;
const HEIGHT = 48;
/** Room above the highest line. */
const TOP = 1;

/**
 * `lines`: [{ of, className, fill, step, rare }]. `of` is the field of a point; a `rare` line is
 * drawn only if one of its values is not zero. `least` is the smallest scale, `room` the free part
 * above, `show` formats the scale, and `since` labels the time range.
 */
export class Chart {
  constructor({ label, lines, least, show, room = 0, since = "" }) {
    this.lines = lines;
    this.least = least;
    this.show = show;
    this.room = room;
    this.since = since;
    this.label = label;
    this.marks = svg("path", { class: "marks" });
    this.cursor = svg("path", { class: "cursor" });
    this.paths = lines.map(({ className, fill }) => ({
      area: fill && svg("path", { class: `area ${className}` }),
      line: svg("path", { class: `line ${className}` }),
    }));
    this.plot = svg(
      "svg",
      { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      this.marks,
      ...this.paths.flatMap(({ area, line }) => (area ? [area, line] : [line])),
      this.cursor,
    );
    this.time = h("span");
    this.scale = h("span");
    this.top = h("span", { class: "top", "aria-hidden": "true" }, this.time, this.scale);
    this.node = h("div", { class: "canvas" }, this.top, this.plot);
  }

  /** The time under the pointer. */
  timeAt(clientX, now) {
    const { left, width } = this.plot.getBoundingClientRect();
    return now - WINDOW * (1 - Math.min(1, Math.max(0, (clientX - left) / width)));
  }

  draw(points, now, cursor, marks) {
    const from = now - WINDOW;
    let most = 0;
    for (const point of points) {
      for (const { of } of this.lines) most = Math.max(most, point[of] ?? 0);
    }
    const top = nice(Math.max(most + this.room, this.least));
    const x = (t) => ((t - from) / 1000).toFixed(1);
    const y = (value) => (HEIGHT - 0.75 - (value / top) * (HEIGHT - TOP - 0.75)).toFixed(1);
    this.lines.forEach(({ of, step, rare }, place) => {
      const { area, line } = this.paths[place];
      const runs = rare && !points.some((point) => point[of]) ? [] : path(points, of, x, y, step);
      line.setAttribute("d", runs.map(({ d }) => d).join(""));
      area?.setAttribute("d", runs.map(({ d, first, last }) => `${d}L${last} ${HEIGHT}L${first} ${HEIGHT}Z`).join(""));
    });
    const bars = marks.filter((t) => t > from).map((t) => `M${x(t)} 0V${HEIGHT}`);
    this.marks.setAttribute("d", bars.join(""));
    this.cursor.setAttribute("d", cursor ? `M${x(cursor)} 0V${HEIGHT}` : "");
    text(this.scale, most > 0 ? this.show(top) : "");
    text(this.time, cursor ? at(cursor) : this.since);
    return most;
  }

  say(text) {
    this.plot.setAttribute("aria-label", `${this.label}: ${text}`);
  }
}

/** The unbroken parts of a line. */
function path(points, of, x, y, step) {
  const runs = [];
  let run = null;
  let before = -Infinity;
  let height = null;
  for (const point of points) {
    const value = point[of];
    if (value == null) {
      run = null;
      continue;
    }
    const from = x(point.t);
    const to = y(value);
    if (!run || point.t - before > GAP) {
      run = { d: `M${from} ${to}`, first: from };
      runs.push(run);
    } else if (step) {
      run.d += to === height ? `H${from}` : `H${from}V${to}`;
    } else {
      run.d += `L${from} ${to}`;
    }
    run.last = from;
    height = to;
    before = point.t;
  }
  return runs;
}

/** The next round number. */
function nice(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]) {
    if (value <= step * unit * 1.0001) return step * unit;
  }
  return value;
}

/** The point at a time, if there is one. */
export function pointAt(points, t) {
  let best = null;
  for (const point of points) {
    if (!best || Math.abs(point.t - t) < Math.abs(best.t - t)) best = point;
  }
  return best && Math.abs(best.t - t) < GAP ? best : null;
}
