//! Failures of requests, in a user's words.

use serde::Serialize;
use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

/// Counted from when the request was due.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that a user would not call an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nobody listened.
    Refused,
    /// The connection was reset before the answer was complete.
    Reset,
    /// The connection ended before the answer began.
    Closed,
    /// The connection ended in the middle of the answer.
    ShortBody,
    /// The answer is complete, and is not what was asked for.
    WrongBody,
    TimedOut,
    Status {
        code: u16,
        by_replica: bool,
    },
    Other(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Refused => f.write_str("connection refused"),
            Failure::Reset => f.write_str("connection reset"),
            Failure::Closed => f.write_str("closed without an answer"),
            Failure::ShortBody => f.write_str("answer cut short"),
            Failure::WrongBody => f.write_str("wrong answer"),
            Failure::TimedOut => write!(f, "no answer within {} s", PATIENCE.as_secs()),
            Failure::Status { code, by_replica } => {
                write!(
                    f,
                    "{code} by the {}",
                    if *by_replica { "replica" } else { "edge" }
                )
            }
            Failure::Other(why) => f.write_str(why),
        }
    }
}

/// Hyper's error in a user's words; `ended`: the meaning of an early end of the connection here.
pub fn failure(error: &hyper::Error, ended: Failure) -> Failure {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return io_failure(error, ended);
        }
        cause = error.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return ended;
    }
    Failure::Other(error.to_string())
}

/// An error of a connection in a user's words; `ended`: the meaning of its early end here.
pub fn io_failure(error: &std::io::Error, ended: Failure) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Failure::Reset,
        ErrorKind::UnexpectedEof => ended,
        _ => Failure::Other(error.to_string()),
    }
}

/// Whether the edge has said that it did nothing about a request, which every client may then
/// repeat (RFC 9113, 8.7): its stream was refused, or came after those that GOAWAY names. A request
/// that never left is another one.
pub fn is_untouched(error: &hyper::Error) -> bool {
    if error.is_canceled() || error.is_closed() {
        return true;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return match error.reason() {
                Some(h2::Reason::REFUSED_STREAM) => error.is_reset() && error.is_remote(),
                Some(h2::Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
                _ => false,
            };
        }
        cause = error.source();
    }
    false
}
