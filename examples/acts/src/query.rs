//! The query of a request.

use axum::extract::FromRequestParts;

use crate::failure::Failure;

/// axum's, with rejections in JSON.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Failure))]
pub struct Query<T>(pub T);
