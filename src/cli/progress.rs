//! Progress: one line that is redrawn on a terminal, elsewhere a line for each step.

use super::terminal::{is_dumb, safe_for};
use std::fmt::Debug;
use std::io::{IsTerminal, Write, stderr};

pub struct ProgressLine {
    quiet: bool,
    in_place: bool,
    last: Option<String>,
}

impl ProgressLine {
    pub fn new(quiet: bool) -> ProgressLine {
        ProgressLine {
            quiet,
            in_place: stderr().is_terminal() && !is_dumb(),
            last: None,
        }
    }

    /// Shows `line`; where lines cannot be replaced, only when `step` is another one.
    pub fn show(&mut self, line: &str, step: &impl Debug) {
        if self.quiet {
            return;
        }
        let step = format!("{step:?}");
        let line = safe_for(&stderr(), line);
        if self.in_place {
            // A line that wrapped could not be replaced.
            let _ = write!(stderr(), "\r\x1b[K\x1b[?7l{line}\x1b[?7h");
        } else if self.last.as_ref() != Some(&step) {
            let _ = writeln!(stderr(), "{line}");
        }
        self.last = Some(step);
    }

    pub fn end(&mut self) {
        if self.in_place && self.last.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
