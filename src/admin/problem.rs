//! Problems as answers.

use super::view;
use crate::service::snapshot::Snapshot;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// An answer that says what is wrong.
pub fn problem(status: StatusCode, error: impl Into<String>) -> Response {
    (
        status,
        Json(view::ProblemJson {
            error: error.into(),
        }),
    )
        .into_response()
}

/// The answer for a service that does not exist, with those that do.
pub fn no_service(snapshot: &Snapshot, name: &str) -> Response {
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
