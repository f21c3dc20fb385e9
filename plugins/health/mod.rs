//! Probes: ask a replica whether it is well.

pub mod answers;
pub mod http;
pub mod tcp;

use crate::plugin::prelude::*;
use pingora::{Error, ErrorType};
use pingora_load_balancing::Backend;

/// The caller bounds a check by the service's own timeout; this one only sees to it that a caller
/// who forgot leaves no socket open for ever.
const LAST_RESORT: Duration = Duration::from_secs(60);

fn backend(address: SocketAddr) -> Backend {
    Backend {
        addr: address.into(),
        weight: 1,
        ext: Default::default(),
    }
}

/// What went wrong between us and the replica, in an operator's words.
fn in_words(error: &Error) -> String {
    match error.etype() {
        ErrorType::ConnectRefused => "connection refused".into(),
        ErrorType::ConnectNoRoute => "no route to it".into(),
        ErrorType::ConnectTimedout => "no connection in time".into(),
        ErrorType::ConnectionClosed => "closed the connection without an answer".into(),
        ErrorType::ReadTimedout => "no answer in time".into(),
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error => "the answer is not HTTP".into(),
        _ => error.root_cause().to_string(),
    }
}
