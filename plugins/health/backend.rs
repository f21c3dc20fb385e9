//! Parts that probes share.

use crate::plugin::prelude::*;
use pingora::{Error, ErrorType};
use pingora_load_balancing::Backend;

/// Timeout of a check whose caller has none; callers use the service's own.
pub const LAST_RESORT: Duration = Duration::from_secs(60);

/// An address as Pingora's checks want it.
pub fn backend(address: SocketAddr) -> Backend {
    Backend {
        addr: address.into(),
        weight: 1,
        ext: Default::default(),
    }
}

/// An error between Tidegate and the replica, in an operator's words.
pub fn in_words(error: &Error) -> String {
    match error.etype() {
        ErrorType::ConnectRefused => "connection refused".into(),
        ErrorType::ConnectNoRoute => "no route to the replica".into(),
        ErrorType::ConnectTimedout => "no connection in time".into(),
        ErrorType::ConnectionClosed => "closed the connection without an answer".into(),
        ErrorType::ReadTimedout => "no answer in time".into(),
        ErrorType::InvalidHTTPHeader | ErrorType::H1Error => "the answer is not HTTP".into(),
        ErrorType::H2Error => "the answer is not HTTP/2".into(),
        ErrorType::TLSHandshakeFailure => {
            let words = error
                .context
                .as_ref()
                .map(|words| words.as_str().to_owned());
            words.unwrap_or_else(|| "TLS failed".into())
        }
        _ => error.root_cause().to_string(),
    }
}
