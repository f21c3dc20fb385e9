//! A bar on a terminal, and a line now and then anywhere else.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicU64, Ordering};

const WIDTH: usize = 32;
/// Parts of the whole that are worth a line.
const LINES: u64 = 4;

pub struct Progress {
    what: &'static str,
    all: u64,
    done: AtomicU64,
    shown: bool,
    terminal: bool,
}

impl Progress {
    pub fn new(what: &'static str, all: u64, shown: bool) -> Progress {
        Progress {
            what,
            all,
            done: AtomicU64::new(0),
            shown,
            terminal: stderr().is_terminal(),
        }
    }

    pub fn step(&self, repeated: u64, failed: usize) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.shown {
            return;
        }
        let full = (done as usize * WIDTH) / self.all.max(1) as usize;
        let bar = "█".repeat(full) + &"░".repeat(WIDTH.saturating_sub(full));
        let line = format!(
            "{:<9} {bar} {done}/{}, {repeated} repeated, {failed} failed",
            self.what, self.all
        );
        // A terminal that has gone is no reason to stop.
        if self.terminal {
            let _ = write!(stderr(), "\r{line}");
        } else if done.is_multiple_of((self.all / LINES).max(1)) {
            let _ = writeln!(stderr(), "{line}");
        }
    }

    pub fn end(&self) {
        if self.shown && self.terminal {
            let _ = writeln!(stderr());
        }
    }
}
