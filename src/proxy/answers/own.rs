//! Answers of the edge itself, instead of a service.

use crate::plugin::Answer;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use pingora::Result;
use pingora::http::ResponseHeader;

/// A service without a ready replica is asked for again after this.
pub(in crate::proxy) const RETRY_AFTER_SECS: &str = "1";

pub(in crate::proxy) fn answer_head(answer: Answer) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(answer.status, Some(answer.headers.len() + 4))?;
    for (name, value) in answer.headers {
        head.insert_header(name, value)?;
    }
    head.insert_header(header::CONTENT_LENGTH, answer.body.len())?;
    Ok(head)
}

pub(in crate::proxy) fn plain(status: StatusCode) -> Answer {
    Answer {
        status,
        headers: vec![(
            "content-type",
            HeaderValue::from_static("text/plain; charset=utf-8"),
        )],
        body: Bytes::from(format!("{status}\n")),
    }
}

pub(in crate::proxy) fn unavailable() -> Answer {
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE);
    let seconds = HeaderValue::from_static(RETRY_AFTER_SECS);
    answer.headers.push(("retry-after", seconds));
    answer
}

/// Abilities of this hop, for a client that asks it and nobody behind it.
pub(in crate::proxy) fn options() -> Answer {
    let allow = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    Answer {
        status: StatusCode::OK,
        headers: vec![("allow", allow)],
        body: Bytes::new(),
    }
}

pub(in crate::proxy) fn front_page() -> Answer {
    Answer {
        status: StatusCode::OK,
        headers: vec![(
            "content-type",
            HeaderValue::from_static("text/html; charset=utf-8"),
        )],
        body: Bytes::from_static(include_bytes!("front_page.html")),
    }
}
