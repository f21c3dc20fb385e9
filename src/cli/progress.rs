//! What goes on, on a terminal in one line, elsewhere in a line for each step.

use super::client::ClientError;
use super::terminal::{is_dumb, safe_for};
use std::fmt::Debug;
use std::io::{IsTerminal, Write, stderr};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Often enough to look alive.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The process may be making way for a new one.
const AWAY_FOR: Duration = Duration::from_secs(15);

pub struct Progress {
    quiet: bool,
    in_place: bool,
    last: Option<String>,
}

impl Progress {
    pub fn new(quiet: bool) -> Progress {
        Progress {
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

    pub fn wait(&self) {
        sleep(LOOK_EVERY);
    }

    pub fn end(&mut self) {
        if self.in_place && self.last.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// Asks again for a while when nobody answers.
pub fn patient<T>(ask: impl Fn() -> Result<T, ClientError>) -> Result<T, ClientError> {
    let began = Instant::now();
    loop {
        match ask() {
            Err(ClientError::NotReached { .. }) if began.elapsed() < AWAY_FOR => sleep(LOOK_EVERY),
            other => return other,
        }
    }
}
