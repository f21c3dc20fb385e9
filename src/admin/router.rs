//! Paths of the admin API, and what every answer carries.

use super::context::Admin;
use super::door::Door;
use super::problem::problem;
use super::{bounded, dashboard, events, guard, openapi, reading, write};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use std::sync::LazyLock;

/// Content policy: pages load nothing from other origins, and no other page may embed them.
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

/// The API behind one door.
pub fn router(admin: Admin, door: Door) -> Router {
    // Around the method and not the path: a wrong method is answered without a token.
    let guard = middleware::from_fn_with_state(admin.clone(), guard::may_write);
    Router::new()
        .route("/", get(dashboard::page))
        .route("/dashboard/{file}", get(dashboard::file))
        .route("/metrics", get(reading::metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(reading::ready))
        .route("/api/v1/services", get(reading::services))
        .route("/api/v1/services/{name}", get(reading::service))
        .route("/api/v1/services/{name}/decisions", get(reading::decisions))
        .route("/api/v1/certificates", get(reading::certificates))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/numbers", get(reading::numbers_lately))
        .route("/api/v1/openapi.json", get(openapi::document))
        .route("/api/v1/version", get(reading::version))
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
        .fallback(async || problem(StatusCode::NOT_FOUND, "nothing is at this path"))
        .layer(middleware::from_fn(bounded::body))
        .layer(middleware::from_fn_with_state(
            admin.clone(),
            guard::same_origin,
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
