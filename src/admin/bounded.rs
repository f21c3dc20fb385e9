//! Limits of request bodies: short, and complete soon.

use super::problem::problem;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::{BodyExt, Limited};
use std::time::Duration;
use tokio::time::timeout;

/// Limit of a body; orders are short.
const BYTES_MAX: usize = 64 << 10;
const WITHIN: Duration = Duration::from_secs(10);

/// Reads the whole body before the request is handled.
pub async fn body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    if body.size_hint().lower() > BYTES_MAX as u64 {
        return too_large();
    }
    let read = timeout(WITHIN, Limited::new(body, BYTES_MAX).collect()).await;
    match read {
        Ok(Ok(body)) => {
            let body = Body::from(body.to_bytes());
            next.run(Request::from_parts(head, body)).await
        }
        Ok(Err(_)) => too_large(),
        Err(_) => problem(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not arrive within {} s", WITHIN.as_secs()),
        ),
    }
}

fn too_large() -> Response {
    problem(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a body may have {} KiB", BYTES_MAX >> 10),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::middleware;
    use axum::routing::post;
    use futures_util::stream;
    use hyper_util::service::TowerToHyperService;

    async fn status_of(body: Body) -> StatusCode {
        let router = Router::new()
            .route("/", post(async |text: String| text))
            .layer(middleware::from_fn(super::body));
        let request = axum::http::Request::post("/").body(body).unwrap();
        let service = TowerToHyperService::new(router);
        let answer = hyper::service::Service::call(&service, request).await;
        answer.unwrap().status()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_short_and_soon_there() {
        assert_eq!(status_of(Body::from("order")).await, 200);
        assert_eq!(status_of(Body::from("x".repeat(BYTES_MAX))).await, 200);
        assert_eq!(status_of(Body::from("x".repeat(BYTES_MAX + 1))).await, 413);
        let drip = stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>("x"), ()))
        });
        assert_eq!(status_of(Body::from_stream(drip)).await, 408);
    }
}
