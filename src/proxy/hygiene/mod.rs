//! What a request and an answer must look like, as pure functions over their heads.
//!
//! Where two readings are possible, a request is refused; what has one reading and two spellings
//! is brought into the common one, so that routes, filters and replicas see the same. A request
//! that needs nothing of it costs no allocation.

mod chunk;
mod connection;
mod framing;
mod headers;
mod host;
mod line;
mod method;
mod response;
mod target;

pub use chunk::size as chunk_size;
pub use connection::ends as ends_connection;
pub use line::settle as request_line;
pub use response::{clean as response, length as answer_length};
pub use target::Slashes;

use http::{StatusCode, Version, header};
use pingora::http::RequestHeader;
use std::fmt;

/// How much of a head is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The request line and the header lines.
    pub header_bytes: u64,
    /// Header lines.
    pub headers: usize,
    pub target_bytes: usize,
}

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has no reading, or more than one.
    Malformed(&'static str),
    /// Its route does not keep escaped slashes.
    EncodedSlash,
    Method,
    TargetTooLong,
    HeadersTooLarge,
}

impl Refusal {
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::Malformed(_) | Refusal::EncodedSlash => StatusCode::BAD_REQUEST,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
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
            Refusal::TargetTooLong => "too long a request target",
            Refusal::HeadersTooLarge => "too many headers, or too large ones",
        })
    }
}

pub fn is_host(text: &[u8]) -> bool {
    host::check(text).is_ok()
}

/// Where a clean request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToAService(Slashes),
    /// It asks this hop what it can do.
    AnsweredHere,
}

/// Brings a request's head into the one form that the rest relies on.
///
/// `raw` is the head as it came, where there is such a thing: some of what makes it ambiguous
/// does not survive parsing.
pub fn request(head: &mut RequestHeader, raw: &[u8], limits: &Limits) -> Result<Way, Refusal> {
    framing::lines(raw)?;
    target::line(raw)?;
    headers::fit(head, limits)?;
    method::check(&head.method)?;
    framing::check(head, raw)?;
    let slashes = match target::read(&head.method, head.raw_path(), limits.target_bytes)? {
        target::Read::AsItIs(slashes) => Some(slashes),
        target::Read::Server => None,
        target::Read::Rewritten {
            target,
            authority,
            slashes,
        } => {
            if let Some(authority) = authority
                && !head.headers.contains_key(header::HOST)
            {
                let host = head.insert_header(header::HOST, authority);
                host.map_err(|_| Refusal::Malformed("an impossible authority"))?;
            }
            let set = head.set_raw_path(&target);
            set.map_err(|_| Refusal::Malformed("an impossible request target"))?;
            Some(slashes)
        }
    };
    match head.headers.get(header::HOST) {
        Some(value) => host::check(value.as_bytes())?,
        None if head.version == Version::HTTP_11 => {
            return Err(Refusal::Malformed("no Host"));
        }
        None => {}
    }
    connection::settle(head)?;
    headers::drop_impostors(head);
    let is_last_hop = method::count_forwards(head)?;
    Ok(match slashes {
        Some(slashes) if !is_last_hop => Way::ToAService(slashes),
        _ => Way::AnsweredHere,
    })
}

#[cfg(test)]
mod tests;
