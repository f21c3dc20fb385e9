//! Whether a request that failed on one replica may be sent to another.
//!
//! The decision depends on how much of it the replica may have got, because only the client knows
//! whether it may be carried out twice. The method says so for some: those that HTTP calls
//! idempotent (RFC 9110 §9.2.2). The others are sent again only where the replica cannot have
//! understood the request, which is certain in two cases: no connection was given to it, or writing
//! its head failed, so that the end of the head never left. A connection that breaks later says
//! nothing: also when it was a used one that the replica closed meanwhile, Pingora finds that out
//! after the kernel has taken the whole head.
//!
//! An answer that arrived is an answer, however malformed: the replica has carried the request
//! out, and the next one would only do so again.

use super::failure;
use crate::proxy::http1::fields::content_length;
use crate::service::replica::idle_pool::Use;
use http::header;
use pingora::http::RequestHeader;
use pingora::{Error, ErrorType};

/// Pingora remembers no more of a body.
pub const BODY_KEPT_BYTES: u64 = 64 * 1024;

/// Whether another replica may be asked for the answer while this one still works on it: the
/// method allows it, and all of the body will be remembered.
pub fn may_be_repeated(head: &RequestHeader) -> bool {
    let is_framed = head.headers.contains_key(header::TRANSFER_ENCODING);
    let length = content_length(head).unwrap_or(0);
    head.method.is_idempotent() && !is_framed && length <= BODY_KEPT_BYTES
}

/// Whether a request may use a connection on which others were, and how old a one.
pub fn used_for(head: &RequestHeader) -> Use {
    match may_be_repeated(head) {
        true => Use::MayBeRepeated,
        false => Use::Once,
    }
}

/// How far a request came on its way to a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// No connection was given to it.
    #[default]
    Nowhere,
    /// Its head was being written.
    Head,
    /// Its head is with the kernel, if not with the replica.
    Sent,
}

/// The end of an attempt that broke off.
#[derive(Clone, Copy)]
pub struct BrokenAttempt<'a> {
    pub error: &'a Error,
    pub reach: Reach,
    /// The client has something of an answer.
    pub answer_began: bool,
    /// All of the body that was read is remembered.
    pub body_is_kept: bool,
    pub is_idempotent: bool,
}

impl BrokenAttempt<'_> {
    pub fn may_go_elsewhere(&self) -> bool {
        let possible = failure::is_broken(self.error) && !self.answer_began && self.body_is_kept;
        possible && (self.is_idempotent || self.was_not_sent())
    }

    fn was_not_sent(&self) -> bool {
        match self.reach {
            Reach::Nowhere => true,
            Reach::Head => *self.error.etype() == ErrorType::WriteError,
            Reach::Sent => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorType::*;

    fn goes_elsewhere(error: &Error, reach: Reach, is_idempotent: bool) -> bool {
        let broken = BrokenAttempt {
            error,
            reach,
            answer_began: false,
            body_is_kept: true,
            is_idempotent,
        };
        let again = broken.may_go_elsewhere();
        let [began, forgotten] =
            [(true, true), (false, false)].map(|(began, kept)| BrokenAttempt {
                answer_began: began,
                body_is_kept: kept,
                ..broken
            });
        assert!(!began.may_go_elsewhere() && !forgotten.may_go_elsewhere());
        again
    }

    #[test]
    fn what_may_have_been_carried_out_is_only_sent_again_when_the_method_allows() {
        let table = [
            // Where it broke, with what, and whether a GET and a POST go elsewhere.
            (Reach::Nowhere, ConnectionClosed, true, true),
            (Reach::Head, WriteError, true, true),
            (Reach::Head, ReadError, true, false),
            (Reach::Head, ConnectionClosed, true, false),
            (Reach::Sent, ConnectionClosed, true, false),
            (Reach::Sent, ReadError, true, false),
            (Reach::Sent, WriteError, true, false),
            (Reach::Sent, InvalidHTTPHeader, false, false),
            (Reach::Sent, Custom("InvalidChunk"), false, false),
            (Reach::Head, WriteTimedout, false, false),
            (Reach::Sent, ReadTimedout, false, false),
        ];
        for (reach, kind, get, post) in table {
            let error = Error::new_up(kind);
            let found = [true, false].map(|method| goes_elsewhere(&error, reach, method));
            assert_eq!(found, [get, post], "{reach:?} {error}");
        }
    }

    #[test]
    fn what_the_client_broke_is_not_sent_again() {
        let error = Error::new_down(ReadError);
        assert!(!goes_elsewhere(&error, Reach::Sent, true));
    }
}
