//! A Docker daemon that has every image and nothing else, and refuses to make one kind of thing.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use std::convert::Infallible;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

pub struct Daemon {
    folder: TempDir,
    server: JoinHandle<()>,
}

#[derive(Clone, Copy)]
struct Refusal {
    kind: &'static str,
    message: &'static str,
}

impl Daemon {
    /// `kind` as in `networks`.
    pub fn refusing(kind: &'static str, message: &'static str) -> Daemon {
        let folder = TempDir::new().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("docker.sock")).expect("a socket");
        let app = Router::new()
            .fallback(answer)
            .with_state(Refusal { kind, message });
        let server = tokio::spawn(async {
            axum::serve(listener, app).await.expect("serves for ever");
        });
        Daemon { folder, server }
    }

    /// As in `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.path().display())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(refusal): State<Refusal>, request: Request) -> Response {
    let path = request.uri().path().split('/');
    let path: Vec<&str> = path.filter(|part| !part.starts_with("v1.")).collect();
    let said = |status: StatusCode, message| (status, json!({ "message": message }).to_string());
    match (request.method(), &path[1..]) {
        (_, ["_ping"]) => "OK".into_response(),
        (&Method::GET, ["version"]) => {
            { json!({ "ApiVersion": "1.41", "MinAPIVersion": "1.12" }).to_string() }.into_response()
        }
        (&Method::GET, ["events"]) => {
            Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()).into_response()
        }
        (&Method::GET, ["containers", "json"]) => "[]".into_response(),
        (&Method::GET, ["images", .., "json"]) => {
            json!({ "Id": "sha256:0" }).to_string().into_response()
        }
        (&Method::POST, [kind, "create"]) if *kind == refusal.kind => {
            said(StatusCode::INTERNAL_SERVER_ERROR, refusal.message).into_response()
        }
        _ => said(StatusCode::NOT_FOUND, "no such thing").into_response(),
    }
}
