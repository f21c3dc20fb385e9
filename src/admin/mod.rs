//! The admin listener: metrics, health and the state of every service, all from one snapshot.
//!
//! Reading never changes anything. Writing needs the token, or the unix socket, whose file mode
//! is the permission.

mod bounded;
pub mod metrics;
mod serve;
pub mod view;
mod write;

pub use serve::serve;
pub use write::{Order, Reply};

use crate::service::snapshot::ServiceView;
use crate::service::store::Reader;
use crate::service::time::Moment;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use prometheus::{Encoder, TextEncoder};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Everything the admin API reads and may ask for.
#[derive(Clone)]
pub struct Admin {
    pub reader: Reader,
    pub metrics: Metrics,
    pub orders: mpsc::Sender<Order>,
    /// True once the process is leaving.
    pub leaving: watch::Receiver<bool>,
    pub token: Arc<str>,
}

/// Gathers the text of every installed plugin's metrics.
pub type Metrics = Arc<dyn Fn() -> Vec<prometheus::proto::MetricFamily> + Send + Sync>;

/// Pages load nothing from elsewhere and are shown inside of nothing else.
const CONTENT_POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

/// How a request came in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Tcp,
    /// The unix socket: whoever may open it may write.
    Socket,
}

pub fn router(admin: Admin, door: Door) -> Router {
    // Around the method and not the path: a wrong method is told so whoever asks.
    let guard = middleware::from_fn_with_state(admin.clone(), may_write);
    Router::new()
        .route("/", get(front))
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/api/v1/services", get(services))
        .route("/api/v1/services/{name}", get(service))
        .route("/api/v1/services/{name}/decisions", get(decisions))
        .route("/api/v1/version", get(version))
        .route(
            "/api/v1/services/{name}/deploy",
            post(write::deploy).route_layer(guard.clone()),
        )
        .route(
            "/api/v1/services/{name}/drain",
            post(write::drain).route_layer(guard.clone()),
        )
        .route(
            "/api/v1/reload",
            post(write::reload).route_layer(guard.clone()),
        )
        .method_not_allowed_fallback(async || {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not answer to that method",
            )
        })
        .fallback(async || problem(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .layer(middleware::from_fn(bounded::body))
        .layer(middleware::map_response(harden))
        .layer(Extension(door))
        .with_state(admin)
}

async fn harden(mut response: Response) -> Response {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    ] {
        let value = header::HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

async fn may_write(
    State(admin): State<Admin>,
    Extension(door): Extension<Door>,
    request: Request,
    next: Next,
) -> Response {
    if door == Door::Socket || has_token(request.headers(), &admin.token) {
        return next.run(request).await;
    }
    let problem = problem(
        StatusCode::UNAUTHORIZED,
        "writing needs `Authorization: Bearer TOKEN`; the token is in TIDEGATE_ADMIN_TOKEN or in \
         the file `admin-token` in the state folder",
    );
    ([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response()
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    // The time depends on the token's length alone.
    let differs = given
        .bytes()
        .zip(token.bytes())
        .fold(0, |acc, (a, b)| acc | (a ^ b));
    !token.is_empty() && given.len() == token.len() && differs == 0
}

async fn front() -> Html<&'static str> {
    Html(include_str!("front.html"))
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&(admin.metrics)(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Ready while the process stays and each service that wants replicas has one in rotation.
async fn ready(State(admin): State<Admin>) -> Response {
    if *admin.leaving.borrow() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "draining");
    }
    let snapshot = admin.reader.load();
    let empty: Vec<&str> = snapshot
        .services
        .values()
        .filter(|service| service.desired > 0 && service.ready.is_empty())
        .map(|service| service.name.as_str())
        .collect();
    if snapshot.services.is_empty() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "starting");
    }
    if !empty.is_empty() {
        let engine = match snapshot.engine_up {
            true => "",
            false => "the container engine does not answer; ",
        };
        let message = format!("{engine}nothing is ready in: {}", empty.join(", "));
        return problem(StatusCode::SERVICE_UNAVAILABLE, message);
    }
    "ready\n".into_response()
}

async fn services(State(admin): State<Admin>) -> Json<view::Overview> {
    Json(view::overview(&admin.reader.load()))
}

async fn service(
    State(admin): State<Admin>,
    name: Result<Path<String>, PathRejection>,
) -> Response {
    about(&admin, name, view::service)
}

async fn decisions(
    State(admin): State<Admin>,
    name: Result<Path<String>, PathRejection>,
) -> Response {
    about(&admin, name, view::decisions)
}

/// Something of one service, as JSON.
fn about<T: Serialize>(
    admin: &Admin,
    name: Result<Path<String>, PathRejection>,
    show: impl FnOnce(&ServiceView, Moment) -> T,
) -> Response {
    let name = match name {
        Ok(Path(name)) => name,
        Err(rejection) => return problem(rejection.status(), rejection.body_text()),
    };
    let snapshot = admin.reader.load();
    match snapshot.service(&name) {
        Some(service) => Json(show(service, snapshot.taken)).into_response(),
        None => no_service(&name),
    }
}

fn no_service(name: &str) -> Response {
    problem(
        StatusCode::NOT_FOUND,
        format!("there is no service `{name}`"),
    )
}

async fn version() -> Json<view::Version> {
    Json(view::Version::default())
}

fn problem(status: StatusCode, error: impl Into<String>) -> Response {
    (
        status,
        Json(view::Problem {
            error: error.into(),
        }),
    )
        .into_response()
}
