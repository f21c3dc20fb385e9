//! Client of the running Tidegate, over its unix socket.

use crate::admin::view::ProblemJson;
use crate::service::time::Human;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// Timeout of an order; a reload checks and swaps the configuration.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Timeout of a deploy, which may pull a large image over a slow line.
const PULLED_WITHIN: Duration = Duration::from_secs(60 * 60);

#[derive(Clone)]
pub struct Client {
    socket: PathBuf,
}

#[derive(Debug)]
pub enum ClientError {
    /// No process listens there, or not for this user.
    NotReached {
        socket: PathBuf,
        why: io::Error,
    },
    /// The process refused, with its reason.
    Refused(StatusCode, String),
    /// Timeout.
    Silent(Duration),
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
            ClientError::Silent(within) => {
                write!(f, "no answer within {}", Human(*within))
            }
            ClientError::Broken(why) => {
                write!(f, "unexpected answer of the running Tidegate: {why}")
            }
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

    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        order: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.order_within(path, order, ANSWER_WITHIN)
    }

    /// Posts an order that may wait for a registry.
    pub fn order<T: DeserializeOwned>(
        &self,
        path: &str,
        order: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.order_within(path, order, PULLED_WITHIN)
    }

    pub fn order_within<T: DeserializeOwned>(
        &self,
        path: &str,
        order: &impl Serialize,
        within: Duration,
    ) -> Result<T, ClientError> {
        let order =
            serde_json::to_vec(order).map_err(|error| ClientError::Broken(error.to_string()))?;
        self.call(Method::POST, path, Some(order), within)
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        within: Duration,
    ) -> Result<T, ClientError> {
        block_on(async {
            tokio::time::timeout(within, self.exchange(method, path, body))
                .await
                .unwrap_or(Err(ClientError::Silent(within)))
        })
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<T, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(Full::<Bytes>::new(body.unwrap_or_default().into()));
        let body = whole(self.send(request.map_err(|error| broken(&error))?).await?).await?;
        serde_json::from_slice(&body).map_err(|error| broken(&error))
    }

    /// Opens a stream of events after the last one received.
    pub async fn open(&self, path: &str, last_id: &str) -> Result<Incoming, ClientError> {
        let mut request = Request::get(path).header("accept", "text/event-stream");
        if !last_id.is_empty() {
            request = request.header("last-event-id", last_id);
        }
        let request = request.body(Full::default());
        self.send(request.map_err(|error| broken(&error))?).await
    }

    /// Body of an answer that is no refusal.
    async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Incoming, ClientError> {
        let host = HeaderValue::from_static("tidegate");
        request.headers_mut().insert("host", host);
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
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.into_body());
        }
        let body = whole(response.into_body()).await?;
        let problem: Result<ProblemJson, _> = serde_json::from_slice(&body);
        let why = problem.map_or_else(|_| status.to_string(), |problem| problem.error);
        Err(ClientError::Refused(status, why))
    }
}

async fn whole(body: Incoming) -> Result<Bytes, ClientError> {
    let body = body.collect().await.map_err(|error| broken(&error))?;
    Ok(body.to_bytes())
}

fn broken(error: &dyn fmt::Display) -> ClientError {
    ClientError::Broken(error.to_string())
}

pub fn block_on<T>(talk: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| broken(&error))?;
    runtime.block_on(talk)
}
