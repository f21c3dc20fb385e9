//! Request bodies: bounded, and JSON whatever the content type says, so that plain `curl -d` works.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::act::IMAGE_LIMIT;
use crate::failure::Failure;

/// Room for the largest image in base64 and for the fields around it, in bytes.
pub const BODY_LIMIT: usize = IMAGE_LIMIT.div_ceil(3) * 4 + 64 * 1024;

/// How much is read, and thrown away past the limit, in bytes. A server that answers amid an upload
/// and hangs up resets the connection, and the client never sees the 413.
const DISCARD_LIMIT: usize = 4 * BODY_LIMIT;

/// A request body read as JSON.
pub struct Sent<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let body = read(request.into_body()).await?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| Failure::Refused(format!("reading the body: {error}")))
    }
}

pub async fn read(mut body: Body) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Failure::Refused(format!("reading the body: {error}")))?;
        let Ok(data) = frame.into_data() else {
            continue; // trailers
        };
        seen += data.len();
        if seen <= BODY_LIMIT {
            bytes.extend_from_slice(&data);
        } else {
            bytes = Vec::new();
        }
        if seen > DISCARD_LIMIT {
            break;
        }
    }
    if seen > BODY_LIMIT {
        return Err(Failure::TooLarge(format!(
            "the body is larger than {BODY_LIMIT} bytes"
        )));
    }
    Ok(bytes)
}
