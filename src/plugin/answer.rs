//! Answers that Tidegate and its filters give themselves.

use bytes::Bytes;
use http::HeaderValue;
use pingora::http::StatusCode;

/// An answer without a replica.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, HeaderValue)>,
    pub body: Bytes,
}
