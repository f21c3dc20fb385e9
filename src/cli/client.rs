//! Talks to the running Tidegate over its unix socket.

use crate::admin::view::Problem;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// A reload waits for the configuration to be checked and swapped, nothing slower.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A large image over a slow line.
const PULLED_WITHIN: Duration = Duration::from_secs(60 * 60);

pub struct Client {
    socket: PathBuf,
}

#[derive(Debug)]
pub enum ClientError {
    /// Nobody listens there, or not for this user.
    NotReached {
        socket: PathBuf,
        why: io::Error,
    },
    /// It said no, and why.
    Refused(StatusCode, String),
    Broken(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NotReached { socket, why } => {
                let socket = socket.display();
                match why.kind() {
                    io::ErrorKind::PermissionDenied => write!(
                        f,
                        "this user may not open {socket}\n  hint: be the user that runs Tidegate, \
                         as with `sudo`"
                    ),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => write!(
                        f,
                        "no Tidegate answers at {socket}\n  hint: start it with `tidegate run`; \
                         if it runs, name its configuration with -c or its `state_dir` with \
                         --state-dir"
                    ),
                    _ => write!(f, "cannot reach {socket}: {why}"),
                }
            }
            ClientError::Refused(_, why) => f.write_str(why),
            ClientError::Broken(why) => write!(f, "the running Tidegate answered strangely: {why}"),
        }
    }
}

impl Client {
    pub fn new(state_dir: &Path) -> Client {
        Client {
            socket: state_dir.join("admin.sock"),
        }
    }

    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, None, ANSWER_WITHIN)
    }

    pub fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::POST, path, None, ANSWER_WITHIN)
    }

    /// Posts an order that may wait for a registry.
    pub fn order<T: DeserializeOwned>(
        &self,
        path: &str,
        order: &impl Serialize,
    ) -> Result<T, ClientError> {
        let order =
            serde_json::to_vec(order).map_err(|error| ClientError::Broken(error.to_string()))?;
        self.call(Method::POST, path, Some(order), PULLED_WITHIN)
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        within: Duration,
    ) -> Result<T, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ClientError::Broken(error.to_string()))?;
        runtime.block_on(async {
            tokio::time::timeout(within, self.exchange(method, path, body))
                .await
                .unwrap_or_else(|_| Err(ClientError::Broken("no answer in time".to_owned())))
        })
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<T, ClientError> {
        let broken = |error: &dyn fmt::Display| ClientError::Broken(error.to_string());
        let stream =
            UnixStream::connect(&self.socket)
                .await
                .map_err(|why| ClientError::NotReached {
                    socket: self.socket.clone(),
                    why,
                })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "tidegate")
            .header("content-type", "application/json")
            .body(Full::<Bytes>::new(body.unwrap_or_default().into()))
            .map_err(|error| broken(&error))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?;
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| broken(&error))?;
        let body = body.to_bytes();
        if !status.is_success() {
            let problem: Result<Problem, _> = serde_json::from_slice(&body);
            let why = problem.map_or_else(|_| status.to_string(), |problem| problem.error);
            return Err(ClientError::Refused(status, why));
        }
        serde_json::from_slice(&body).map_err(|error| broken(&error))
    }
}
