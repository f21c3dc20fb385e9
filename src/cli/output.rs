//! Output of commands, and their exit codes.

use super::terminal::safe_for;
use crate::config::Problems;
use std::fmt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Failed while running.
pub const FAILED: u8 = 1;
/// Wrong usage, as clap has it.
pub const WRONG_USAGE: u8 = 2;
/// Bad configuration, as in `sysexits.h`.
pub const BAD_CONFIGURATION: u8 = 64;
/// `plan` would change something.
pub const WOULD_CHANGE: u8 = 3;

/// Prints the problems of a configuration, each with file and line first, where editors look.
pub fn refuse(problems: &Problems) -> ExitCode {
    complain(problems);
    ExitCode::from(BAD_CONFIGURATION)
}

/// Prints why a command fails; returns its exit code.
pub fn fail(code: u8, message: impl fmt::Display) -> ExitCode {
    complain(format_args!("tidegate: {message}"));
    ExitCode::from(code)
}

/// Prints to standard error. The exit code does not depend on a reader.
pub fn complain(message: impl fmt::Display) {
    use std::io::Write;
    let mut err = std::io::stderr();
    let message = message.to_string();
    let _ = writeln!(err, "{}", safe_for(&err, &message));
}

/// Whether the reader of standard output has gone; what is printed is lost then.
pub fn is_reader_gone() -> bool {
    READER_GONE.load(Ordering::Relaxed)
}

static READER_GONE: AtomicBool = AtomicBool::new(false);

/// Ends the process when nobody reads its standard output any more, which printing alone notices
/// only at the next line. For commands that follow something.
pub fn end_with_reader() {
    use rustix::event::{PollFd, PollFlags, poll};
    std::thread::spawn(|| {
        let out = std::io::stdout();
        let mut watched = [PollFd::new(&out, PollFlags::empty())];
        let gone = PollFlags::ERR | PollFlags::HUP;
        if poll(&mut watched, None).is_ok() && watched[0].revents().intersects(gone) {
            std::process::exit(0);
        }
    });
}

/// Prints to standard output. A reader that left, as in `tidegate status | head`, is no failure.
pub fn print(text: impl fmt::Display) -> ExitCode {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let text = text.to_string();
    match out.write_all(safe_for(&out, &text).as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            READER_GONE.store(true, Ordering::Relaxed);
            ExitCode::SUCCESS
        }
        Err(error) => fail(FAILED, error),
    }
}

/// Prints a value as JSON.
pub fn print_json(value: &impl serde::Serialize) -> ExitCode {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(format_args!("{text}\n")),
        Err(error) => fail(FAILED, error),
    }
}
