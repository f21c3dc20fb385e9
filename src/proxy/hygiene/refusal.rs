//! Reasons to refuse a request's head.

use http::StatusCode;
use std::fmt;

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No reading, or more than one.
    Malformed(&'static str),
    /// An escaped slash, which its route does not keep.
    EncodedSlash,
    Method,
    /// A protocol that is not carried, asked for by an extended CONNECT.
    Protocol,
    TargetTooLong,
    HeadersTooLarge,
}

impl Refusal {
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::Malformed(_) | Refusal::EncodedSlash => StatusCode::BAD_REQUEST,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Protocol => StatusCode::NOT_IMPLEMENTED,
            Refusal::TargetTooLong => StatusCode::URI_TOO_LONG,
            Refusal::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Malformed(why) => why,
            Refusal::EncodedSlash => {
                "an escaped slash, which a route lets pass with `encoded_slashes: keep`"
            }
            Refusal::Method => "a method that ends here",
            Refusal::Protocol => "a protocol that is not carried",
            Refusal::TargetTooLong => "too long a request target",
            Refusal::HeadersTooLarge => "too many headers, or too large ones",
        })
    }
}
