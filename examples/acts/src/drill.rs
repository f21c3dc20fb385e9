//! Misbehaving on request, and answering with what arrived: the routes that let a test see a load
//! balancer at work.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{OriginalUri, Request, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::body;
use crate::failure::Failure;
use crate::query::Query;
use crate::switches::EXIT_ON_DEMAND;

pub const LONGEST_SLEEP: Duration = Duration::from_secs(60);

pub async fn crash(State(app): State<Arc<App>>) -> Json<Value> {
    app.crash();
    Json(json!({}))
}

pub async fn exit() -> Infallible {
    std::process::exit(EXIT_ON_DEMAND)
}

#[derive(Deserialize)]
pub struct Sleep {
    ms: u64,
}

pub async fn sleep(Query(Sleep { ms }): Query<Sleep>) -> Result<Json<Value>, Failure> {
    let time = Duration::from_millis(ms);
    if time > LONGEST_SLEEP {
        return Err(Failure::Refused(format!(
            "ms is at most {}",
            LONGEST_SLEEP.as_millis()
        )));
    }
    tokio::time::sleep(time).await;
    Ok(Json(json!({})))
}

pub async fn echo(OriginalUri(uri): OriginalUri, request: Request) -> Result<Json<Value>, Failure> {
    let (head, body) = request.into_parts();
    let body = body::read(body).await?;
    let mut headers = BTreeMap::<&str, Vec<_>>::new();
    for (name, value) in &head.headers {
        headers
            .entry(name.as_str())
            .or_default()
            .push(String::from_utf8_lossy(value.as_bytes()));
    }
    Ok(Json(json!({
        "method": head.method.as_str(),
        "uri": uri.to_string(),
        "headers": headers,
        "bodyLength": body.len(),
        "body": STANDARD.encode(&body),
    })))
}
