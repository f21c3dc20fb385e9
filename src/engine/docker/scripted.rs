//! A Docker daemon for tests. Each answer is scripted, and a call without one hangs.

use super::daemon::Daemon;
use super::engine::Docker;
use super::host::Host;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

/// Answers by path, as in `/containers/json`.
type Script = HashMap<&'static str, Value>;

pub struct Scripted {
    docker: Docker,
    _folder: TempDir,
    _server: JoinSet<()>,
}

impl Scripted {
    pub fn new<const N: usize>(answers: [(&'static str, Value); N]) -> Scripted {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let mut script = Script::from(answers);
        let version = json!({ "ApiVersion": "1.41", "MinAPIVersion": "1.12" });
        script.entry("/version").or_insert(version);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::new(script)));
        let docker = Docker::at(Host::Unix(path), "test").expect("a socket is fine");
        Scripted {
            docker,
            _folder: folder,
            _server: server,
        }
    }

    pub fn docker(&self) -> Docker {
        self.docker.clone()
    }

    pub fn daemon(&self) -> Arc<Daemon> {
        self.docker.daemon.clone()
    }
}

async fn serve(listener: UnixListener, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let script = script.clone();
        let answers = service_fn(move |request: Request<Incoming>| {
            let script = script.clone();
            async move { answer(&script, request.uri().path()).await }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answers);
        connections.spawn(async { drop(connection.await) });
    }
}

async fn answer(
    script: &Script,
    path: &str,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible> + use<>>, Infallible> {
    let text = match script.get(path.trim_start_matches("/v1.41")) {
        Some(Value::String(lines)) => lines.clone(),
        Some(answer) => answer.to_string(),
        None => std::future::pending().await,
    };
    let text = stream::iter([Ok(Frame::data(Bytes::from(text)))]);
    // Events go on.
    let body = match path.ends_with("/events") {
        true => text.chain(stream::pending()).boxed(),
        false => text.boxed(),
    };
    Ok(Response::new(StreamBody::new(body)))
}
