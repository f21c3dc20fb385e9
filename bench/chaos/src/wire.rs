//! A wire to the machine's Docker engine on which chosen calls fail or get no answer, as with a
//! disk, a runtime or a registry that is stuck.

use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, client, server};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::collections::HashSet;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

const ENGINE: &str = "/var/run/docker.sock";
const HANGS_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// As overlay2 says it.
const BUSY: &str = r#"{"message":"driver \"overlay2\" failed to remove root filesystem: unlinkat: device or resource busy"}"#;

/// The calls that do not come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jam {
    /// Removals of containers answer 500.
    Removals,
    /// Starts of containers of the neighbour hang.
    Starts,
    /// Pulls hang.
    Pulls,
}

pub struct Wire {
    state: Arc<State>,
    connections: JoinHandle<()>,
    folder: TempDir,
}

#[derive(Default)]
struct State {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    jam: Option<Jam>,
    /// Containers of the neighbour.
    neighbours: HashSet<String>,
    hanging: usize,
}

type Answer = Response<Either<Incoming, Full<Bytes>>>;

impl Wire {
    /// `neighbour`: the service whose starts may hang.
    pub fn new(neighbour: &'static str) -> Result<Wire> {
        let folder = TempDir::with_prefix("chaos-")?;
        let listener = UnixListener::bind(socket(&folder))?;
        let state = Arc::new(State::default());
        let accepting = Arc::clone(&state);
        let connections = tokio::spawn(async move {
            let mut connections: JoinSet<()> = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&accepting);
                let pass = service_fn(move |request| {
                    let state = Arc::clone(&state);
                    async move { state.pass(request, neighbour).await }
                });
                let connection = server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), pass);
                connections.spawn(async move { drop(connection.await) });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Wire {
            state,
            connections,
            folder,
        })
    }

    pub fn path(&self) -> PathBuf {
        socket(&self.folder)
    }

    pub fn jam(&self, jam: Jam) {
        self.state.held().jam = Some(jam);
    }

    /// Waits until so many calls hang.
    pub async fn hangs(&self, count: usize) -> std::result::Result<(), String> {
        let hang = async {
            while self.state.held().hanging < count {
                sleep(LOOK_EVERY).await;
            }
        };
        let hang = timeout(HANGS_WITHIN, hang).await;
        hang.map_err(|_| format!("no {count} calls to the engine hang"))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.connections.abort();
    }
}

impl State {
    fn held(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(&self, request: Request<Incoming>, neighbour: &str) -> Result<Answer> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let jam = self.held().jam;
        match jam {
            Some(Jam::Removals) if method == Method::DELETE && path.contains("/containers/") => {
                let busy = Either::Right(Full::from(BUSY));
                let mut answer = Response::new(busy);
                *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                return Ok(answer);
            }
            Some(Jam::Starts) if self.starts_neighbour(&path) => self.hang().await,
            Some(Jam::Pulls) if path.ends_with("/images/create") => self.hang().await,
            _ => {}
        }
        let query = request.uri().query().unwrap_or_default();
        let is_creation = path.ends_with("/containers/create");
        let is_neighbour = is_creation && query.contains(&format!("-{neighbour}-"));
        let stream = UnixStream::connect(ENGINE).await?;
        let shaken = client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(Error::other)?;
        tokio::spawn(async move { drop(connection.await) });
        let answer = sender.send_request(request).await.map_err(Error::other)?;
        if !is_neighbour {
            return Ok(answer.map(Either::Left));
        }
        #[derive(Deserialize)]
        struct Created {
            #[serde(rename = "Id")]
            id: String,
        }
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(Error::other)?.to_bytes();
        if let Ok(Created { id }) = serde_json::from_slice(&body) {
            self.held().neighbours.insert(id);
        }
        Ok(Response::from_parts(head, Either::Right(Full::from(body))))
    }

    fn starts_neighbour(&self, path: &str) -> bool {
        let id = path
            .strip_suffix("/start")
            .and_then(|path| path.rsplit('/').next());
        id.is_some_and(|id| self.held().neighbours.contains(id))
    }

    /// Until the client leaves.
    async fn hang(&self) {
        self.held().hanging += 1;
        std::future::pending().await
    }
}

fn socket(folder: &TempDir) -> PathBuf {
    Path::join(folder.path(), "docker.sock")
}
