//! Steps of every request, on any route.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Request, State};
use axum::http::{HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::failure::Failure;
use crate::page;

pub const REPLICA: HeaderName = HeaderName::from_static("x-acts-replica");

pub async fn gate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    hang(&app).await;
    let mut response = answer(&app, request, next).await;
    // Again: what the hang caught in flight stays unanswered too.
    hang(&app).await;
    response.headers_mut().insert(REPLICA, app.replica.clone());
    response
}

async fn hang(app: &App) {
    if app.hung() {
        std::future::pending::<()>().await;
    }
}

async fn answer(app: &App, request: Request, next: Next) -> Response {
    let route = request.uri().path().strip_prefix("/api/v1/");
    let health = route == Some("_health");
    if app.crashed() && health {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if app.crashed() && page::is_at(request.uri().path()) {
        return page::crashed();
    }
    if app.crashed() {
        return Failure::Broken("crashed on demand".into()).into_response();
    }
    if route.is_some_and(|route| !["_health", "_crash", "_count"].contains(&route)) {
        app.served.fetch_add(1, Ordering::Relaxed);
    }
    if !health && !app.switches.answer_delay.is_zero() {
        tokio::time::sleep(app.switches.answer_delay).await;
    }
    next.run(request).await
}
