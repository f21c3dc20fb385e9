//! The only map from what went wrong to the status that goes down.

use http::StatusCode;
use pingora::{Error, ErrorSource, ErrorType};
use std::io;

/// Nothing can be answered: the client is gone.
pub const CLIENT_GONE: u16 = 0;

pub fn status(error: &Error) -> u16 {
    if let ErrorType::HTTPStatus(code) = error.etype() {
        return *code;
    }
    let status = match (error.esource(), error.etype()) {
        (
            ErrorSource::Upstream,
            ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
            | ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout,
        ) => StatusCode::GATEWAY_TIMEOUT,
        (ErrorSource::Upstream, _) => StatusCode::BAD_GATEWAY,
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => StatusCode::REQUEST_TIMEOUT,
        (ErrorSource::Downstream, ErrorType::ReadError)
            if is_because(error, io::ErrorKind::TimedOut) =>
        {
            StatusCode::REQUEST_TIMEOUT
        }
        (ErrorSource::Downstream, ErrorType::ReadError)
            if is_because(error, io::ErrorKind::InvalidData) =>
        {
            StatusCode::BAD_REQUEST
        }
        (
            ErrorSource::Downstream,
            ErrorType::ReadError
            | ErrorType::WriteError
            | ErrorType::WriteTimedout
            | ErrorType::ConnectionClosed,
        ) => return CLIENT_GONE,
        (ErrorSource::Downstream, _) => StatusCode::BAD_REQUEST,
        (ErrorSource::Internal | ErrorSource::Unset, _) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    status.as_u16()
}

/// A failure at a replica, in words.
pub fn why(error: &Error) -> String {
    let error = innermost(error);
    let context = error.context.as_ref().map(|context| context.as_str());
    let why = match (error.etype(), context) {
        (ErrorType::ConnectRefused, _) => "the connection was refused",
        (ErrorType::ConnectTimedout, _) => "no connection within connect_timeout",
        (ErrorType::ConnectNoRoute, _) => "no route to the replica",
        (ErrorType::ReadTimedout, _) => "no answer within read_timeout",
        (ErrorType::WriteTimedout, _) => {
            "the replica read nothing of the request within write_timeout"
        }
        (ErrorType::ConnectionClosed | ErrorType::ReadError, None) => {
            "the connection closed before the answer was complete"
        }
        (_, Some(context)) => context,
        (etype, None) => return format!("the request failed ({})", etype.as_str()),
    };
    match error.root_cause().downcast_ref::<io::Error>() {
        Some(cause) if context == Some(why) => format!("{why}: {cause}"),
        _ => why.to_owned(),
    }
}

/// The error without what was said around it.
fn innermost(error: &Error) -> &Error {
    let cause = error.cause.as_ref();
    let cause = cause.and_then(|cause| cause.downcast_ref::<Box<Error>>());
    cause.map_or(error, |cause| innermost(cause))
}

/// Whether the stream below gave the client up for this.
fn is_because(error: &Error, kind: io::ErrorKind) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == kind)
}

/// Whether the connection failed before anything was sent, so any request may go elsewhere.
pub fn is_connect(error: &Error) -> bool {
    matches!(
        error.etype(),
        ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectTimedout
            | ErrorType::ConnectError
            | ErrorType::ConnectionClosed
            | ErrorType::TLSHandshakeFailure
            | ErrorType::TLSHandshakeTimedout
    )
}

/// Whether the replica closed or reset the connection under a request.
pub fn is_broken(error: &Error) -> bool {
    *error.esource() == ErrorSource::Upstream
        && matches!(
            error.etype(),
            ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError
        )
}

/// For a request that found its connection closed before anything was sent.
pub fn stale() -> Box<Error> {
    let what = "the replica closed the connection meanwhile";
    Error::explain(ErrorType::ConnectionClosed, what).into_up()
}

/// Whether the replica answered something that is no answer.
pub fn is_malformed(error: &Error) -> bool {
    *error.esource() == ErrorSource::Upstream && *error.etype() == ErrorType::InvalidHTTPHeader
}

/// For a request that was claimed for a replica, or waited for one, that is lost.
pub fn lost() -> Box<Error> {
    Error::explain(ErrorType::ConnectionClosed, "the replica is lost").into_up()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_words() {
        use ErrorType::*;
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        for (error, expected) in [
            (Error::new_up(ConnectRefused), "the connection was refused"),
            (Error::new_up(ReadTimedout), "no answer within read_timeout"),
            (
                Error::because(ConnectRefused, "connecting to a replica", "no"),
                "the connection was refused",
            ),
            (
                Error::explain(InvalidHTTPHeader, "two different Content-Lengths"),
                "two different Content-Lengths",
            ),
            (
                Error::because(WriteError, "writing a request", reset),
                "writing a request: connection reset",
            ),
            (
                Error::new_up(ConnectionClosed).more_context("replica 127.0.0.1:8000"),
                "the connection closed before the answer was complete",
            ),
        ] {
            assert_eq!(why(&error), expected);
        }
    }

    #[test]
    fn each_failure_has_its_status() {
        use ErrorType::*;
        let table = [
            (Error::new_up(ConnectRefused), 502),
            (Error::new_up(ConnectTimedout), 504),
            (Error::new_up(TLSHandshakeFailure), 502),
            (Error::new_up(TLSHandshakeTimedout), 504),
            (Error::new_up(ReadTimedout), 504),
            (Error::new_up(ConnectionClosed), 502),
            (Error::new_up(InvalidHTTPHeader), 502),
            (Error::new_down(ReadTimedout), 408),
            (Error::new_down(InvalidHTTPHeader), 400),
            (Error::new_down(ConnectionClosed), CLIENT_GONE),
            (Error::new_down(WriteError), CLIENT_GONE),
            (Error::new_in(InternalError), 500),
            (Error::new(HTTPStatus(413)), 413),
        ];
        for (error, expected) in table {
            assert_eq!(status(&error), expected, "{error}");
        }
    }
}
