//! A program behind the edge, inside the test: tells its name and what it was asked.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub struct Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    name: &'static str,
    healthy: AtomicBool,
    fails: AtomicBool,
    checks: AtomicU64,
    requests: AtomicU64,
    /// Requests to `/held` wait for this.
    release: Notify,
}

impl Upstream {
    pub async fn start(name: &'static str) -> Upstream {
        Upstream::start_on(name, ([127, 0, 0, 1], 0).into()).await
    }

    pub async fn start_on(name: &'static str, address: SocketAddr) -> Upstream {
        let shared = Arc::new(Shared {
            name,
            healthy: AtomicBool::new(true),
            fails: AtomicBool::new(false),
            checks: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            release: Notify::new(),
        });
        let app = Router::new()
            .route("/api/v1/_health", get(health))
            .fallback(echo)
            .with_state(Arc::clone(&shared))
            .layer(axum::extract::DefaultBodyLimit::disable());
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("serves for ever");
        });
        Upstream {
            address,
            shared,
            server,
        }
    }

    pub fn set_healthy(&self, healthy: bool) {
        self.shared.healthy.store(healthy, Ordering::Relaxed);
    }

    /// Has it answer every request with 500; the health check is a thing of its own.
    pub fn set_failing(&self, fails: bool) {
        self.shared.fails.store(fails, Ordering::Relaxed);
    }

    pub fn checks(&self) -> u64 {
        self.shared.checks.load(Ordering::Relaxed)
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Lets one request to `/held` go on.
    pub fn release(&self) {
        self.shared.release.notify_one();
    }

    /// Refuses every connection from now on.
    pub async fn stop(self) {
        self.server.abort();
        let _ = self.server.await;
    }
}

async fn health(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.checks.fetch_add(1, Ordering::Relaxed);
    if shared.healthy.load(Ordering::Relaxed) {
        StatusCode::OK
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

/// The head and a first piece at once, the rest when it is released.
fn begun(shared: Arc<Shared>) -> Response {
    let name = shared.name;
    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"begun ")) });
    let rest = stream::once(async move {
        shared.release.notified().await;
        Ok(Bytes::from_static(b"done"))
    });
    let body = Body::from_stream(first.chain(rest));
    ([("x-upstream", name)], body).into_response()
}

async fn echo(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if shared.fails.load(Ordering::Relaxed) {
        let told = [("x-upstream", shared.name)];
        return (StatusCode::INTERNAL_SERVER_ERROR, told).into_response();
    }
    match head.uri.path() {
        "/held" => shared.release.notified().await,
        "/begun" => return begun(shared),
        "/slow" => tokio::time::sleep(Duration::from_secs(5)).await,
        "/big" => return Bytes::from(vec![b'x'; 1 << 20]).into_response(),
        _ => {}
    }
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let told = serde_json::json!({
        "name": shared.name,
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
        "length": body.len(),
    });
    (
        [("x-upstream", shared.name), ("connection-secret", "no")],
        told.to_string(),
    )
        .into_response()
}
