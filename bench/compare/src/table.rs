//! Results, as tables.

use crate::edge::Which;
use crate::figures::Figure;
use std::fmt::Write;

/// One edge in one case of speed.
#[derive(Default, Clone)]
pub struct Speed {
    pub per_second: Figure,
    pub cpu_micros: Figure,
    pub busy_percent: Figure,
    pub p50_millis: Figure,
    pub p99_millis: Figure,
    pub p999_millis: Figure,
}

#[derive(Default, Clone)]
pub struct Space {
    pub resident_mib: Figure,
    pub proportional_mib: Figure,
    pub for_each_kib: Figure,
}

pub struct SpeedRow {
    pub case: &'static str,
    pub which: Which,
    /// Requests a second while waits were measured.
    pub rate: f64,
    pub speed: Speed,
}

pub fn speed(rows: &[SpeedRow]) -> String {
    let mut text = "| case | edge | requests/s | busy | CPU µs/request | at requests/s | p50 ms | p99 ms | p99.9 ms |\n\
                    |---|---|--:|--:|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for row in rows {
        let Speed {
            per_second,
            cpu_micros,
            busy_percent,
            p50_millis,
            p99_millis,
            p999_millis,
        } = &row.speed;
        let busy = busy_percent.median().unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {} | {per_second} | {busy:.0} % | {cpu_micros} | {:.0} | {p50_millis} | {p99_millis} | {p999_millis} |",
            row.case,
            row.which.name(),
            row.rate,
        );
    }
    text
}

pub fn space(rows: &[(Which, Space)], connections: usize) -> String {
    let mut text = format!(
        "| edge | idle: RSS MiB | idle: PSS MiB | each of {connections} idle connections: KiB |\n\
         |---|--:|--:|--:|\n"
    );
    for (which, space) in rows {
        let Space {
            resident_mib,
            proportional_mib,
            for_each_kib,
        } = space;
        let name = which.name();
        let _ = writeln!(
            text,
            "| {name} | {resident_mib} | {proportional_mib} | {for_each_kib} |"
        );
    }
    text
}
