//! Results, as a table.

use crate::attackers::Kind;
use crate::edge::Which;
use crate::options::Options;
use kit::process::Usage;
use std::fmt;
use std::time::Duration;

pub struct Row {
    pub which: Which,
    pub kind: Kind,
    pub sent: u64,
    pub failed: u64,
    pub first_failure: Option<String>,
    pub p50: Duration,
    pub p99_calm: Duration,
    pub p99: Duration,
    pub opened: u64,
    pub refused: u64,
    pub cut: u64,
    pub before: Usage,
    pub peak: Usage,
    pub after: Usage,
    /// How long after the attack its files were given back.
    pub back: Option<Duration>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |wait: Duration| format!("{:.1} ms", wait.as_secs_f64() * 1e3);
        let mib = |usage: Usage| format!("{:.0}", usage.memory as f64 / f64::from(1 << 20));
        let ratio = self.p99.as_secs_f64() / self.p99_calm.as_secs_f64().max(f64::EPSILON);
        let back = match self.back {
            Some(back) => format!("{:.1} s", back.as_secs_f64()),
            None => "not yet".to_owned(),
        };
        write!(
            f,
            "| {} | {} | {} | {} | {} | {} | {} | {ratio:.1} | {} / {} / {} | {} / {} / {} MiB | {} / {} / {} | {back} |",
            self.which.name(),
            self.kind.name(),
            self.sent,
            self.failed,
            millis(self.p50),
            millis(self.p99_calm),
            millis(self.p99),
            self.opened,
            self.refused,
            self.cut,
            mib(self.before),
            mib(self.peak),
            mib(self.after),
            self.before.files,
            self.peak.files,
            self.after.files,
        )?;
        match &self.first_failure {
            Some(why) => write!(f, " <!-- {why} -->"),
            None => Ok(()),
        }
    }
}

pub fn render(rows: &[Row], options: &Options) -> String {
    let mut text = format!(
        "{} connections attack for {} s, {} requests a second mean well.\n\n\
         | edge | attack | sent | failed | p50 | p99, calm | p99 | times calm | attackers: opened / refused / cut | memory: before / peak / after | files: before / peak / after | files back after |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        options.connections, options.seconds, options.rate,
    );
    for row in rows {
        text += &format!("{row}\n");
    }
    text
}
