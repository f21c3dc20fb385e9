//! The admin listener: metrics, health and the state of every service, all from one snapshot.
//!
//! Reading never changes anything. Writing needs the token, or the unix socket, whose file mode
//! is the permission.

mod bounded;
mod dashboard;
mod door;
mod events;
mod history;
mod live;
pub mod metrics;
mod numbers;
mod openapi;
mod past;
mod serve;
mod told;
pub mod view;
mod write;

pub use door::{Door, Failures};
pub use events::Streams;
pub use history::History;
pub use live::Live;
pub use serve::serve;
pub use write::{Order, Reply};

use crate::service::snapshot::ServiceView;
use crate::service::store::Reader;
use crate::service::time::Moment;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use prometheus::{Encoder, TextEncoder};
use serde::Serialize;
use std::sync::{Arc, LazyLock};
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
    /// Names by which a browser may ask, beside addresses and names of one label.
    pub hosts: Arc<[String]>,
    /// Who showed wrong ones.
    pub failures: Failures,
    pub history: History,
    pub live: Live,
    /// Places for streams.
    pub streams: Streams,
}

/// Gathers the text of every installed plugin's metrics.
pub type Metrics = Arc<dyn Fn() -> Vec<prometheus::proto::MetricFamily> + Send + Sync>;

/// Pages load nothing from elsewhere and are shown inside of nothing else.
static CONTENT_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let script = dashboard::script_of_page();
    let policy = format!(
        "default-src 'none'; script-src 'self' {script}; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_maybe_shared(policy).expect("characters of a header")
});

const CROSS_ORIGIN_RESOURCE_POLICY: header::HeaderName =
    header::HeaderName::from_static("cross-origin-resource-policy");

pub fn router(admin: Admin, door: Door) -> Router {
    // Around the method and not the path: a wrong method is told so whoever asks.
    let guard = middleware::from_fn_with_state(admin.clone(), door::may_write);
    Router::new()
        .route("/", get(dashboard::page))
        .route("/dashboard/{file}", get(dashboard::file))
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/api/v1/services", get(services))
        .route("/api/v1/services/{name}", get(service))
        .route("/api/v1/services/{name}/decisions", get(decisions))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/numbers", get(numbers_lately))
        .route("/api/v1/openapi.json", get(openapi::document))
        .route("/api/v1/version", get(version))
        .route(
            "/api/v1/services/{name}/scale",
            post(write::scale).route_layer(guard.clone()),
        )
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
        .route(
            "/api/v1/token",
            post(write::token).route_layer(guard.clone()),
        )
        .method_not_allowed_fallback(async || {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not answer to that method",
            )
        })
        .fallback(async || problem(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .layer(middleware::from_fn(bounded::body))
        .layer(middleware::from_fn_with_state(
            admin.clone(),
            door::same_origin,
        ))
        .layer(middleware::map_response(harden))
        .layer(Extension(door))
        .with_state(admin)
}

async fn harden(mut response: Response) -> Response {
    // The dashboard's files have said it already; everything else is of the moment.
    let fresh = response.headers_mut().entry(header::CACHE_CONTROL);
    fresh.or_insert(HeaderValue::from_static("no-store"));
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY.clone());
    response
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
    let (numbers, snapshot) = (admin.live.numbers(), admin.reader.load());
    Json(view::overview(&snapshot, &numbers, &admin.history))
}

async fn service(
    State(admin): State<Admin>,
    name: Result<Path<String>, PathRejection>,
) -> Response {
    about(&admin, name, |service, taken| {
        let (numbers, falls) = (admin.live.numbers(), admin.history.falls(&service.name));
        let numbers = numbers.get(&service.name).map(AsRef::as_ref);
        view::service(service, taken, numbers, &falls)
    })
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
        None => no_service(admin, &name),
    }
}

fn no_service(admin: &Admin, name: &str) -> Response {
    let snapshot = admin.reader.load();
    let there: Vec<String> = snapshot
        .services
        .keys()
        .map(|name| format!("`{name}`"))
        .collect();
    let there = there.join(", ");
    problem(
        StatusCode::NOT_FOUND,
        format!("there is no service `{name}`; there is {there}"),
    )
}

async fn numbers_lately(State(admin): State<Admin>) -> Json<view::Lately> {
    Json(admin.live.lately())
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
