//! Progress of a change, until it is done or a timeout.
//!
//! On a terminal the state is one line that is redrawn; elsewhere each new state is a line. A reason is
//! printed once, on a line of its own, which a narrow terminal wraps.

use super::client::ClientError;
use super::terminal::{is_dumb, safe_for};
use crate::admin::view::ServiceJson;
use crate::service::time::Human;
use clap::Args;
use ratatui::crossterm::terminal;
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write, stderr};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Interval of redrawing.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Time for a new process to take over.
const AWAY_FOR: Duration = Duration::from_secs(15);
/// Different reasons that are printed.
const REASONS_MAX: usize = 50;
/// Usual time of a start.
const START_SECONDS_USUAL: f64 = 2.0;

/// Options of a command that waits for the end of a change.
#[derive(Args)]
pub struct WaitOptions {
    /// Time to wait for the end, as in 90s or 10m; the change continues afterwards
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Return as soon as the change has begun
    #[arg(short = 'd', long, alias = "detach")]
    pub no_wait: bool,
}

/// Reason why a change was not watched to its end.
#[derive(Debug)]
pub enum Unfinished {
    Client(ClientError),
    /// Timeout.
    Late {
        timeout: Duration,
        state: String,
        reasons: Vec<String>,
    },
}

impl From<ClientError> for Unfinished {
    fn from(error: ClientError) -> Self {
        Unfinished::Client(error)
    }
}

impl Unfinished {
    /// Message for the user; `then`: a command to type next.
    pub fn message(&self, service: &str, then: &str) -> String {
        match self {
            Unfinished::Client(error) => error.to_string(),
            Unfinished::Late {
                timeout,
                state,
                reasons,
            } => {
                let mut text = format!("{service}: not done within {}: {state}", Human(*timeout));
                for reason in reasons {
                    text += &format!("\n  {reason}");
                }
                text + "\n  hint: the change continues: `tidegate status` shows its progress; "
                    + then
            }
        }
    }
}

pub struct ProgressWatch {
    timeout: Duration,
    until: Instant,
    printer: Printer,
    state: String,
    reasons: Vec<String>,
}

impl ProgressWatch {
    /// `began`: start of the timeout.
    pub fn new(service: &str, quiet: bool, began: Instant, timeout: Duration) -> ProgressWatch {
        ProgressWatch {
            timeout,
            until: began + timeout,
            printer: Printer {
                service: service.to_owned(),
                quiet,
                in_place: stderr().is_terminal() && !is_dumb(),
                is_drawn: false,
                last: String::new(),
                said: BTreeSet::new(),
            },
            state: String::new(),
            reasons: Vec::new(),
        }
    }

    /// Shows the state of the change, and the reasons that hold it up.
    pub fn show(&mut self, state: String, reasons: Vec<String>) {
        let width = terminal::size().map_or(80, |(width, _)| usize::from(width));
        let safe = |text: &String| safe_for(&stderr(), text).into_owned();
        let shown: Vec<String> = reasons.iter().map(safe).collect();
        let text = self.printer.text(&safe(&state), &shown, width);
        let _ = stderr().write_all(text.as_bytes());
        (self.state, self.reasons) = (state, reasons);
    }

    /// Waits for the next look; fails after the timeout.
    pub fn wait(&mut self) -> Result<(), Unfinished> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.end();
            return Err(Unfinished::Late {
                timeout: self.timeout,
                state: std::mem::take(&mut self.state),
                reasons: std::mem::take(&mut self.reasons),
            });
        }
        sleep(LOOK_EVERY.min(left));
        Ok(())
    }

    pub fn end(&mut self) {
        let _ = stderr().write_all(self.printer.erased().as_bytes());
    }
}

/// Text for the terminal, from states and reasons.
struct Printer {
    service: String,
    quiet: bool,
    in_place: bool,
    /// Whether the next line replaces the one before the cursor.
    is_drawn: bool,
    last: String,
    said: BTreeSet<String>,
}

impl Printer {
    fn text(&mut self, state: &str, reasons: &[String], width: usize) -> String {
        let mut text = String::new();
        if self.quiet {
            return text;
        }
        for reason in reasons {
            if self.said.len() < REASONS_MAX && self.said.insert(without_numbers(reason)) {
                text += &self.erased();
                text += &format!("{}: {reason}\n", self.service);
            }
        }
        let line = format!("{}: {state}", self.service);
        // A line that wrapped could not be replaced.
        if self.in_place && line.chars().count() < width {
            text += &self.erased();
            text += &line;
            self.is_drawn = true;
        } else if self.last != line {
            text += &self.erased();
            text += &line;
            text.push('\n');
        }
        self.last = line;
        text
    }

    fn erased(&mut self) -> String {
        match std::mem::take(&mut self.is_drawn) {
            true => "\r\x1b[K".to_owned(),
            false => String::new(),
        }
    }
}

/// A reason without its numbers: another time left, port or failure makes no new one.
fn without_numbers(reason: &str) -> String {
    let mut text = String::new();
    let mut in_number = false;
    for letter in reason.chars() {
        in_number = letter.is_ascii_digit()
            || in_number && (letter.is_ascii_alphanumeric() || letter == '.');
        match (in_number, text.ends_with('#')) {
            (true, true) => {}
            (true, false) => text.push('#'),
            (false, _) => text.push(letter),
        }
    }
    text
}

/// Reasons why a service is not as wanted: those of its plan, and of replicas that have been starting
/// longer than most take.
pub fn reasons(service: &ServiceJson) -> Vec<String> {
    let late = service.replicas.iter().filter(|replica| {
        replica.state == "starting" && replica.since_seconds > START_SECONDS_USUAL
    });
    let late = late.filter_map(|replica| {
        let why = replica.because.as_deref()?;
        Some(format!("{}: {why}", replica.slot))
    });
    // The first reason is the scaler's: why so many are wanted.
    let planned = service.because.iter().skip(1).cloned();
    planned.chain(late).collect()
}

/// Repeats a request for a while when there is no answer.
pub fn patient<T>(ask: impl Fn() -> Result<T, ClientError>) -> Result<T, ClientError> {
    let began = Instant::now();
    loop {
        match ask() {
            Err(ClientError::NotReached { .. }) if began.elapsed() < AWAY_FOR => sleep(LOOK_EVERY),
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printer(in_place: bool) -> Printer {
        Printer {
            service: "web".to_owned(),
            quiet: false,
            in_place,
            is_drawn: false,
            last: String::new(),
            said: BTreeSet::new(),
        }
    }

    /// Everything that is printed of these looks.
    fn printed(mut printer: Printer, looks: &[(&str, &[&str])], width: usize) -> String {
        let mut text = String::new();
        for (state, reasons) in looks {
            let reasons: Vec<String> = reasons.iter().map(|it| (*it).to_owned()).collect();
            text += &printer.text(state, &reasons, width);
        }
        text + &printer.erased()
    }

    const FLIPPING: &[(&str, &[&str])] = &[
        (
            "0 of 1 ready",
            &["8003: not healthy yet: connection refused"],
        ),
        (
            "0 of 1 ready",
            &["waiting 1.5s before the next start: 1 failures in a row"],
        ),
        (
            "0 of 1 ready",
            &["8003: not healthy yet: connection refused"],
        ),
        (
            "0 of 1 ready",
            &["waiting 2m10s before the next start: 2 failures in a row"],
        ),
        ("1 of 1 ready", &[]),
    ];

    #[test]
    fn a_reason_is_printed_once_however_often_it_comes_back() {
        let expected = "\
web: 8003: not healthy yet: connection refused
web: 0 of 1 ready
web: waiting 1.5s before the next start: 1 failures in a row
web: 1 of 1 ready
";
        assert_eq!(printed(printer(false), FLIPPING, 80), expected);
    }

    #[test]
    fn on_a_terminal_only_the_state_is_replaced_and_no_reason_is_cut_off() {
        let state = "web: 0 of 1 ready";
        let again = "\r\x1b[K";
        let expected = format!(
            "web: 8003: not healthy yet: connection refused\n{state}\
             {again}web: waiting 1.5s before the next start: 1 failures in a row\n{state}\
             {again}{state}{again}{state}{again}web: 1 of 1 ready{again}"
        );
        assert_eq!(printed(printer(true), FLIPPING, 20), expected);
        // Where the state has no room either, it is written like a reason.
        let narrow = printed(printer(true), &FLIPPING[..1], 10);
        assert_eq!(
            narrow,
            "web: 8003: not healthy yet: connection refused\nweb: 0 of 1 ready\n"
        );
    }

    #[test]
    fn when_the_time_is_over_the_reason_and_the_next_step_are_told() {
        let mut watch = ProgressWatch::new("web", true, Instant::now(), Duration::ZERO);
        watch.show(
            "0 of 2 ready".to_owned(),
            vec!["the container engine does not answer".to_owned()],
        );
        let late = watch.wait().expect_err("no time is left");
        let expected = "\
web: not done within 0ms: 0 of 2 ready
  the container engine does not answer
  hint: the change continues: `tidegate status` shows its progress; `tidegate scale web auto` \
lets the policy decide";
        let then = "`tidegate scale web auto` lets the policy decide";
        assert_eq!(late.message("web", then), expected);
    }
}
