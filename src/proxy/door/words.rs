//! Answers to connections that have no request yet.

use http::StatusCode;
use std::fmt::Write;
use uuid::Uuid;

/// An answer that ends the connection, in bytes.
pub fn of(status: StatusCode) -> Vec<u8> {
    with_body(status, &format!("{status}\n"))
}

/// An answer, in clear, to a request in plain HTTP on a listener that speaks TLS.
pub fn plain_http() -> Vec<u8> {
    let status = StatusCode::BAD_REQUEST;
    let hint = "This port speaks HTTPS: begin the address with https://";
    with_body(status, &format!("{status}\n{hint}\n"))
}

fn with_body(status: StatusCode, body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\n");
    let wait = match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => "retry-after: 1\r\n",
        _ => "",
    };
    let _ = write!(
        text,
        "content-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nx-request-id: {}\r\n\
         {wait}connection: close\r\n\r\n{body}",
        body.len(),
        Uuid::new_v4(),
    );
    text.into_bytes()
}

/// The status of an answer that somebody else was about to give.
pub fn status_of(answer: &[u8]) -> StatusCode {
    let code = answer
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5));
    code.and_then(|code| StatusCode::from_bytes(code).ok())
        .unwrap_or(StatusCode::BAD_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_it_is_and_no_more() {
        let text = String::from_utf8(of(StatusCode::SERVICE_UNAVAILABLE)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nretry-after: 1\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        assert!(head.contains("\r\nx-request-id: "));
        assert_eq!(body, "503 Service Unavailable\n");
        assert_eq!(status_of(text.as_bytes()), 503);
        assert_eq!(status_of(b"nonsense"), 400);
    }
}
