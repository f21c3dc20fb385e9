//! The page for phones.
//!
//! The page is one document with its style and its script inside: the next request may meet another
//! replica, perhaps of another version or a crashed one, and half a page helps nobody.

use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::etag::is_known;
use crate::failure::Failure;

const OUTLINE: &str = include_str!("../app/page.html");
const STYLE: &str = include_str!("../app/style.css");

/// One script of several files; each uses the names of those before it.
const SCRIPT: &str = concat!(
    include_str!("../app/script/elements.js"),
    include_str!("../app/script/edge.js"),
    include_str!("../app/script/strip.js"),
    include_str!("../app/script/photo.js"),
    include_str!("../app/script/acts.js"),
    include_str!("../app/script/viewer.js"),
    include_str!("../app/script/upload.js"),
    include_str!("../app/script/compose.js"),
    include_str!("../app/script/main.js"),
);

/// The page for a person whose first request meets a replica that has crashed.
const CRASHED: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"1\">\
    <title>Acts</title><p>This replica has crashed, and another one takes its place. \
    Trying again…</p></html>\n";

static PAGE: LazyLock<String> = LazyLock::new(|| {
    OUTLINE
        .replace("/*style*/", STYLE)
        .replace("/*script*/", SCRIPT)
});

/// Nothing from elsewhere, and no script or style but the page's own.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src 'self' blob:; \
         connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE),
    )
});

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/app", get(page))
        .route("/app/", get(page))
        .route("/app/ping", get(ping))
        .route("/app/worker.js", get(worker))
        .route(
            "/app/manifest.webmanifest",
            get(async |asked: HeaderMap| {
                let body = include_bytes!("../app/manifest.webmanifest");
                file(&asked, "application/manifest+json", body)
            }),
        )
        .route(
            "/app/icon.svg",
            get(async |asked: HeaderMap| {
                file(&asked, "image/svg+xml", include_bytes!("../app/icon.svg"))
            }),
        )
        .route(
            "/app/icon-192.png",
            get(async |asked: HeaderMap| {
                file(&asked, "image/png", include_bytes!("../app/icon-192.png"))
            }),
        )
        .route(
            "/app/icon-512.png",
            get(async |asked: HeaderMap| {
                file(&asked, "image/png", include_bytes!("../app/icon-512.png"))
            }),
        )
}

pub fn is_at(path: &str) -> bool {
    ["/app", "/app/"].contains(&path)
}

pub fn crashed() -> Response {
    let head = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    (StatusCode::INTERNAL_SERVER_ERROR, head, CRASHED).into_response()
}

async fn page(asked: HeaderMap) -> Response {
    let page = file(&asked, "text/html; charset=utf-8", PAGE.as_bytes());
    let head = [
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (head, page).into_response()
}

/// Its scope is the page's own path, which is above the folder that it comes from.
async fn worker(asked: HeaderMap) -> Response {
    let body = include_bytes!("../app/worker.js");
    let allowed = (HeaderName::from_static("service-worker-allowed"), "/app");
    ([allowed], file(&asked, "text/javascript", body)).into_response()
}

/// Names the replica, and says whether it is time to look again.
async fn ping(State(app): State<Arc<App>>) -> Result<Response, Failure> {
    let answer: Json<Value> = Json(json!({ "revision": app.store.revision().await? }));
    Ok(([(CACHE_CONTROL, "no-store")], answer).into_response())
}

/// A file of the page; kept by the client, but never used without asking.
fn file(asked: &HeaderMap, kind: &'static str, body: &'static [u8]) -> Response {
    let etag = format!("\"{}\"", STANDARD.encode(&Sha256::digest(body)[..12]));
    let head = [
        (CONTENT_TYPE, kind),
        (ETAG, &etag),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if is_known(asked, &etag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, body).into_response()
}
