//! Everything that can go wrong, and the only map from that to a status.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

#[derive(Debug)]
pub enum Failure {
    /// The request makes no sense, or contradicts what is stored.
    Refused(String),
    Missing(String),
    WrongMethod,
    TooLarge(String),
    /// Not the client's fault; the reason goes to the log, not to the client.
    Broken(String),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::Refused(why) => (StatusCode::BAD_REQUEST, why),
            Self::Missing(what) => (StatusCode::NOT_FOUND, what),
            Self::WrongMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not take this method".into(),
            ),
            Self::TooLarge(why) => (StatusCode::PAYLOAD_TOO_LARGE, why),
            Self::Broken(why) => {
                eprintln!("acts: {why}");
                (StatusCode::INTERNAL_SERVER_ERROR, "internal error".into())
            }
        };
        (status, Json(json!({ "error": error }))).into_response()
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(format!("database: {error}"))
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        Self::Refused(rejection.body_text())
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        Self::Refused(rejection.body_text())
    }
}
