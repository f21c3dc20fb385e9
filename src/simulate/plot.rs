//! Load, wanted and ready over time, as a picture.

use super::outcome::{Outcome, Second};
use std::fmt::Write;

const WIDTH: usize = 1200;
const HEIGHT: usize = 220;
const LEFT: usize = 48;
const TOP: usize = 28;
const GAP: usize = 34;

/// An SVG document with panels one below the other, each with its title.
pub fn svg(panels: &[(String, &Outcome)]) -> String {
    let height = panels.len() * (HEIGHT + TOP + GAP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n",
        LEFT + WIDTH + 12
    );
    for (index, (title, outcome)) in panels.iter().enumerate() {
        panel(&mut out, index * (HEIGHT + TOP + GAP), title, outcome);
    }
    out.push_str("</svg>\n");
    out
}

fn panel(out: &mut String, top: usize, title: &str, outcome: &Outcome) {
    let columns = columns(&outcome.seconds);
    let highest = columns.iter().fold(1.0, |highest: f64, it| {
        highest
            .max(f64::from(it.load))
            .max(f64::from(it.wanted.max(it.ready)))
    });
    let (base, per_replica) = (top + TOP + HEIGHT, HEIGHT as f64 / (highest * 1.05));
    let y = |value: f64| base as f64 - value * per_replica;
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{}\">{} <tspan fill=\"#8ab\">load</tspan> <tspan \
         fill=\"#c33\">wanted</tspan> <tspan fill=\"#222\">ready</tspan></text>",
        top + 18,
        escaped(title),
    );
    // About five lines, at whole numbers of replicas.
    let every = ((highest / 5.0).ceil() as usize).max(1);
    for value in (0..=highest as usize).step_by(every) {
        let at = y(value as f64);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {at:.1}h{WIDTH}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" \
             text-anchor=\"end\">{value}</text>",
            LEFT - 6,
            at + 4.0,
        );
    }
    let x = |column: usize| LEFT as f64 + column as f64 * WIDTH as f64 / columns.len() as f64;
    let line = |value: &dyn Fn(&Second) -> f64| {
        let mut path = String::new();
        for (column, second) in columns.iter().enumerate() {
            let letter = if column == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{:.1} {:.1}", x(column), y(value(second)));
            let _ = write!(path, "H{:.1}", x(column + 1));
        }
        path
    };
    let load = line(&|second| f64::from(second.load));
    let _ = writeln!(out, "<path d=\"{load}V{base}H{LEFT}Z\" fill=\"#cde\"/>");
    for (color, path) in [
        ("#c33", line(&|second| f64::from(second.wanted))),
        ("#222", line(&|second| f64::from(second.ready))),
    ] {
        let _ = writeln!(out, "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\"/>");
    }
    let hours = outcome.seconds.len() as f64 / 3600.0;
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{hours:.2} h</text>",
        LEFT + WIDTH,
        base + 16,
    );
}

/// Points for the width of the picture, each the maximum of its seconds.
fn columns(seconds: &[Second]) -> Vec<Second> {
    let each = seconds.len().div_ceil(WIDTH).max(1);
    let highest = |chunk: &[Second]| {
        let start = Second::default();
        chunk.iter().fold(start, |most, it| Second {
            load: most.load.max(it.load),
            wanted: most.wanted.max(it.wanted),
            ready: most.ready.max(it.ready),
            waiting: most.waiting.max(it.waiting),
        })
    };
    seconds.chunks(each).map(highest).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
