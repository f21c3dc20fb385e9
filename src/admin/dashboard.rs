//! The dashboard: one page and the files that it loads, all of them in the binary.

use super::problem::problem;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use std::hash::{DefaultHasher, Hash, Hasher};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, type, text.
type File = (&'static str, &'static str, &'static str);

const PAGE: File = ("", HTML, include_str!("dashboard/index.html"));

#[rustfmt::skip]
const FILES: &[File] = &[
    ("style.css", CSS, include_str!("dashboard/style.css")),
    ("parts.css", CSS, include_str!("dashboard/parts.css")),
    ("main.js", SCRIPT, include_str!("dashboard/main.js")),
    ("dom.js", SCRIPT, include_str!("dashboard/dom.js")),
    ("headline.js", SCRIPT, include_str!("dashboard/headline.js")),
    ("keys.js", SCRIPT, include_str!("dashboard/keys.js")),
    ("model.js", SCRIPT, include_str!("dashboard/model.js")),
    ("stream.js", SCRIPT, include_str!("dashboard/stream.js")),
    ("words.js", SCRIPT, include_str!("dashboard/words.js")),
    ("chart.js", SCRIPT, include_str!("dashboard/chart.js")),
    ("service.js", SCRIPT, include_str!("dashboard/service.js")),
    ("replicas.js", SCRIPT, include_str!("dashboard/replicas.js")),
    ("timeline.js", SCRIPT, include_str!("dashboard/timeline.js")),
    ("actions.js", SCRIPT, include_str!("dashboard/actions.js")),
    ("certificates.js", SCRIPT, include_str!("dashboard/certificates.js")),
];

/// The one script that stands in the page itself, as a content policy names it.
pub fn script_of_page() -> String {
    let (_, _, html) = PAGE;
    let script = html.split_once("<script>");
    let script = script.and_then(|(_, rest)| rest.split_once("</script>"));
    let (script, _) = script.expect("the page has one");
    format!("'sha256-{}'", BASE64.encode(Sha256::digest(script)))
}

/// `GET /`
pub async fn page(headers: HeaderMap) -> Response {
    answer(&headers, PAGE)
}

/// `GET /dashboard/{file}`
pub async fn file(headers: HeaderMap, name: Result<Path<String>, PathRejection>) -> Response {
    let name = match name {
        Ok(Path(name)) => name,
        Err(rejection) => return problem(rejection.status(), rejection.body_text()),
    };
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some(file) => answer(&headers, *file),
        None => problem(StatusCode::NOT_FOUND, "nothing is at this path"),
    }
}

/// Browsers keep it and ask each time whether it is still so: after an upgrade, page and scripts
/// must be of one version.
fn answer(headers: &HeaderMap, (_, kind, text): File) -> Response {
    let tag = tag(text);
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = known.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let is_known = known.any(|known| known.trim_ascii() == tag.as_bytes());
    let fresh = [(header::CACHE_CONTROL, "no-cache")];
    let tag = [(header::ETAG, tag)];
    if is_known {
        return (StatusCode::NOT_MODIFIED, fresh, tag).into_response();
    }
    (fresh, tag, [(header::CONTENT_TYPE, kind)], text).into_response()
}

fn tag(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}
