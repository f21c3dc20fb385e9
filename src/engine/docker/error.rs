//! Failures of calls, for the planner and for operators.

use super::host::Host;
use crate::engine::{EngineError, ErrorKind};
use crate::service::time::Human;
use bollard::errors::Error;
use std::io;
use std::time::Duration;

/// A failed call: the error of the engine, and Docker's status if it answered.
#[derive(Debug)]
pub(super) struct CallFailure {
    status: Option<u16>,
    error: EngineError,
}

impl CallFailure {
    pub(super) fn new(op: &'static str, host: &Host, error: Error) -> CallFailure {
        if let Error::DockerResponseServerError {
            status_code,
            message,
        } = error
        {
            return CallFailure {
                status: Some(status_code),
                error: refused(op, status_code, &message),
            };
        }
        let error = match unanswered(host, &error) {
            Some(message) => EngineError {
                kind: ErrorKind::Unreachable,
                op,
                message,
            },
            None => failed(op, error.to_string()),
        };
        CallFailure {
            status: None,
            error,
        }
    }

    /// The engine itself does not answer.
    pub(super) fn silent(op: &'static str, host: &Host, limit: Duration) -> CallFailure {
        CallFailure {
            status: None,
            error: EngineError {
                kind: ErrorKind::Unreachable,
                op,
                message: format!("Docker at {host} did not answer within {}", Human(limit)),
            },
        }
    }

    /// One call hangs while the engine answers others, as with a container that cannot be
    /// removed: that container's failure and nobody else's.
    pub(super) fn stuck(op: &'static str, limit: Duration) -> CallFailure {
        let limit = Human(limit);
        let message =
            format!("Docker did not finish this within {limit}, though it lists containers");
        failed(op, message).into()
    }

    /// The daemon answers, and another process controls its containers.
    pub(super) fn not_for_us(op: &'static str, message: String) -> CallFailure {
        let error = EngineError {
            kind: ErrorKind::Unreachable,
            op,
            message,
        };
        CallFailure {
            status: None,
            error,
        }
    }

    pub(super) fn is(&self, status: u16) -> bool {
        self.status == Some(status)
    }

    /// Another container has the name. Podman says so with a status that can mean anything.
    pub(super) fn name_is_taken(&self) -> bool {
        let message = self.message().to_lowercase();
        self.is(409) || message.contains("name") && message.contains("is already in use by")
    }

    pub(super) fn unreachable(&self) -> bool {
        self.error.kind == ErrorKind::Unreachable
    }

    /// Names the thing, which Docker's message may leave out.
    pub(super) fn about(mut self, thing: &str) -> CallFailure {
        if !self.unreachable() && !self.error.message.contains(thing) {
            self.error.message = format!("`{thing}`: {}", self.error.message);
        }
        self
    }

    pub(super) fn message(&self) -> &str {
        &self.error.message
    }
}

/// A failure of an engine that answered.
impl From<EngineError> for CallFailure {
    fn from(error: EngineError) -> Self {
        CallFailure {
            status: None,
            error,
        }
    }
}

impl From<CallFailure> for EngineError {
    fn from(failure: CallFailure) -> Self {
        failure.error
    }
}

pub(super) fn failed(op: &'static str, message: String) -> EngineError {
    EngineError {
        kind: ErrorKind::Failed,
        op,
        message,
    }
}

/// Messages of Docker's versions and platforms for a host port in use.
const PORT_TAKEN: [&str; 4] = [
    "port is already allocated",
    "address already in use",
    "ports are not available",
    "port is already in use",
];

fn refused(op: &'static str, status: u16, message: &str) -> EngineError {
    let message = message.trim();
    let lower = message.to_lowercase();
    let taken = PORT_TAKEN.iter().any(|said| lower.contains(said));
    EngineError {
        kind: if taken {
            ErrorKind::PortTaken
        } else {
            ErrorKind::Failed
        },
        op,
        message: match message {
            "" => format!("Docker answered with status {status}"),
            _ => message.to_owned(),
        },
    }
}

/// Message for a daemon that did not answer; `None`: it answered something odd.
fn unanswered(host: &Host, error: &Error) -> Option<String> {
    let kind = match error {
        Error::SocketNotFoundError(path) => match std::fs::metadata(path) {
            Err(error) => error.kind(),
            Ok(_) => io::ErrorKind::ConnectionRefused,
        },
        Error::IOError { err } => err.kind(),
        Error::RequestTimeoutError => io::ErrorKind::TimedOut,
        Error::HyperLegacyError { err } => io_kind(err),
        Error::HyperResponseError { err } => io_kind(err),
        _ => return None,
    };
    Some(match (kind, host) {
        (io::ErrorKind::NotFound, Host::Unix(path)) => format!(
            "there is no Docker socket at {}; is Docker installed and running (`sudo systemctl start docker`)? If it listens elsewhere, set DOCKER_HOST",
            path.display()
        ),
        (io::ErrorKind::PermissionDenied, Host::Unix(path)) => format!(
            "no permission to use {}; add this user to the docker group (`sudo usermod -aG docker $USER`, then log in again) or run as root",
            path.display()
        ),
        (io::ErrorKind::ConnectionRefused, _) => format!(
            "Docker does not answer at {host}; is it running (`sudo systemctl start docker`)?"
        ),
        _ => format!(
            "the connection to Docker at {host} failed: {}",
            root_cause(error)
        ),
    })
}

fn io_kind(error: &(dyn std::error::Error + 'static)) -> io::ErrorKind {
    chain(error)
        .find_map(|cause| cause.downcast_ref::<io::Error>())
        .map_or(io::ErrorKind::Other, io::Error::kind)
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error)
        .last()
        .map_or_else(String::new, |cause| cause.to_string())
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix() -> Host {
        Host::Unix("/nowhere/docker.sock".into())
    }

    fn said(status_code: u16, message: &str) -> EngineError {
        let message = message.to_owned();
        let error = Error::DockerResponseServerError {
            status_code,
            message,
        };
        CallFailure::new("start the container", &unix(), error).into()
    }

    #[test]
    fn a_taken_port_is_known_in_every_dialect() {
        for message in [
            "driver failed programming external connectivity on endpoint x (y): Error starting userland proxy: listen tcp4 127.0.0.1:8000: bind: address already in use",
            "driver failed programming external connectivity on endpoint x (y): Bind for 127.0.0.1:8000 failed: port is already allocated",
            "Ports are not available: exposing port TCP 127.0.0.1:8000 -> 0.0.0.0:0: listen tcp 127.0.0.1:8000: bind: address already in use",
        ] {
            assert_eq!(said(500, message).kind, ErrorKind::PortTaken, "{message}");
        }
        assert_eq!(said(500, "no space left on device").kind, ErrorKind::Failed);
    }

    #[test]
    fn a_taken_name_is_known_in_every_dialect() {
        let says = |status_code, message: &str| {
            let message = message.to_owned();
            let error = Error::DockerResponseServerError {
                status_code,
                message,
            };
            CallFailure::new("create the container", &unix(), error).name_is_taken()
        };
        assert!(says(
            409,
            "Conflict. The container name \"/a\" is already in use by container \"b\"."
        ));
        assert!(says(
            500,
            "creating container storage: the container name \"a\" is already in use by b"
        ));
        assert!(!says(500, "no space left on device"));
        assert!(!says(
            500,
            "listen tcp4 127.0.0.1:8000: bind: address already in use"
        ));
    }

    #[test]
    fn an_empty_answer_still_says_something() {
        let error = said(503, "");
        let text = "start the container: Docker answered with status 503";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn a_failure_names_its_thing_once() {
        for (said, expected) in [
            ("no free address pool", "`front`: no free address pool"),
            ("front is in use", "front is in use"),
        ] {
            let error = Error::DockerResponseServerError {
                status_code: 500,
                message: said.to_owned(),
            };
            let failure = CallFailure::new("create the network", &unix(), error).about("front");
            assert_eq!(failure.message(), expected);
        }
    }

    #[test]
    fn a_daemon_that_cannot_be_reached_says_what_to_do() {
        for (kind, hint) in [
            (io::ErrorKind::NotFound, "is Docker installed and running"),
            (io::ErrorKind::PermissionDenied, "docker group"),
            (io::ErrorKind::ConnectionRefused, "is it running"),
            (io::ErrorKind::ConnectionReset, "failed"),
        ] {
            let err = io::Error::from(kind);
            let failure = CallFailure::new("list the containers", &unix(), Error::IOError { err });
            assert!(failure.unreachable());
            assert!(failure.message().contains(hint), "{}", failure.message());
            assert!(failure.message().contains("/nowhere/docker.sock"));
        }
    }
}
