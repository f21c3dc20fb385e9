//! Tables and times for people.

use crate::service::time::Coarse;
use std::fmt::Write;
use std::time::Duration;

/// Seconds as `12ms` or `1.5s`, in three digits at most.
pub fn latency(seconds: f64) -> String {
    match seconds * 1_000.0 {
        millis if millis < 1.0 => format!("{millis:.2}ms"),
        millis if millis < 10.0 => format!("{millis:.1}ms"),
        millis if millis < 1_000.0 => format!("{millis:.0}ms"),
        _ => format!("{seconds:.1}s"),
    }
}

/// A time of which only the size matters, as in `75s`, `40m`, `30h` or `12d`.
pub fn coarse(seconds: f64) -> String {
    Coarse(Duration::from_secs(seconds.max(0.0) as u64)).to_string()
}

/// Appends rows, with columns as wide as their widest cell.
pub fn write_table<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    for line in lines(rows) {
        let _ = writeln!(out, "{line}");
    }
}

/// Lines of a table.
pub fn lines<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let lines = rows.iter().map(|row| {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, " {cell:<width$} ");
        }
        line.trim_end().to_owned()
    });
    lines.collect()
}
