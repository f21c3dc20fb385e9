//! The routes, and the handlers of the service itself.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{FromRequestParts, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::act::{Act, Card, IMAGE_LIMIT, NewAct, kind};
use crate::app::App;
use crate::body::Sent;
use crate::drill;
use crate::etag::is_known;
use crate::failure::Failure;
use crate::gate::gate;
use crate::page;
use crate::photos::UNKNOWN;
use crate::query::Query;
use crate::store::unknown_act;

type Created = (StatusCode, Json<Value>);

pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/_health", get(health))
        .route("/_count", get(count).delete(reset_count))
        .route("/_crash", post(drill::crash))
        .route("/_exit", post(drill::exit))
        .route("/_sleep", get(drill::sleep))
        .route("/_echo", any(drill::echo))
        .route("/categories", get(categories).post(add_category))
        .route("/categories/{name}", delete(remove_category))
        .route("/categories/{name}/acts", get(acts))
        .route("/categories/{name}/acts/size", get(size))
        .route("/acts", get(cards).post(add_act))
        .route("/acts/count", get(count_acts))
        .route("/acts/upvote", post(upvote))
        .route("/acts/{id}", delete(remove_act))
        .route("/acts/{id}/image", get(image));
    Router::new()
        .nest("/api/v1", api)
        .merge(page::routes())
        .fallback(async || Failure::Missing("there is nothing at this path".into()))
        .method_not_allowed_fallback(async || Failure::WrongMethod)
        .layer(from_fn_with_state(app.clone(), gate))
        .with_state(app)
}

/// axum's, with rejections in JSON.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Failure))]
struct Path<T>(T);

async fn health(State(app): State<Arc<App>>) -> StatusCode {
    if app.switches.fail_health {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    match app.store.beat().await {
        Ok(()) => StatusCode::OK,
        Err(why) => {
            eprintln!("acts: unhealthy: {why:?}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

async fn count(State(app): State<Arc<App>>) -> Json<[u64; 1]> {
    Json([app.served.load(Ordering::Relaxed)])
}

async fn reset_count(State(app): State<Arc<App>>) -> Json<Value> {
    app.served.store(0, Ordering::Relaxed);
    Json(json!({}))
}

async fn categories(State(app): State<Arc<App>>) -> Result<Json<BTreeMap<String, u64>>, Failure> {
    app.store.categories().await.map(Json)
}

async fn add_category(
    State(app): State<Arc<App>>,
    Sent([name]): Sent<[String; 1]>,
) -> Result<Created, Failure> {
    app.store.add_category(name).await?;
    Ok((StatusCode::CREATED, Json(json!({}))))
}

async fn remove_category(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    app.store.remove_category(name).await?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct Range {
    start: Option<u64>,
    end: Option<u64>,
}

impl Range {
    fn checked(self) -> Result<Option<RangeInclusive<u64>>, Failure> {
        match (self.start, self.end) {
            (None, None) => Ok(None),
            (Some(start), Some(end)) if 1 <= start && start <= end => Ok(Some(start..=end)),
            _ => Err(Failure::Refused(
                "start and end are given together, from 1, with start at most end".into(),
            )),
        }
    }
}

async fn acts(
    State(app): State<Arc<App>>,
    Path(category): Path<String>,
    Query(range): Query<Range>,
) -> Result<Json<Vec<Act>>, Failure> {
    app.store.acts(category, range.checked()?).await.map(Json)
}

async fn size(
    State(app): State<Arc<App>>,
    Path(category): Path<String>,
) -> Result<Json<[u64; 1]>, Failure> {
    Ok(Json([app.store.size(category).await?]))
}

async fn add_act(State(app): State<Arc<App>>, Sent(act): Sent<NewAct>) -> Result<Created, Failure> {
    if act.image.0.len() > IMAGE_LIMIT {
        return Err(Failure::TooLarge(format!(
            "the image is larger than {IMAGE_LIMIT} bytes"
        )));
    }
    if let Some(said) = &act.kind
        && kind(&act.image.0) != Some(said)
    {
        return Err(Failure::Refused(format!("the image is not {said}")));
    }
    app.store.add_act(act).await?;
    Ok((StatusCode::CREATED, Json(json!({}))))
}

async fn count_acts(State(app): State<Arc<App>>) -> Result<Json<[u64; 1]>, Failure> {
    Ok(Json([app.store.count_acts().await?]))
}

async fn upvote(
    State(app): State<Arc<App>>,
    Sent([id]): Sent<[i64; 1]>,
) -> Result<Json<Value>, Failure> {
    app.store.upvote(id).await?;
    Ok(Json(json!({})))
}

async fn remove_act(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    app.store.remove_act(act_id(&id)?).await?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct Shown {
    category: Option<String>,
    // Not flattened: what is wrong with a number would be said in riddles.
    start: Option<u64>,
    end: Option<u64>,
}

async fn cards(
    State(app): State<Arc<App>>,
    Query(shown): Query<Shown>,
) -> Result<Json<Vec<Card>>, Failure> {
    let (start, end) = (shown.start, shown.end);
    let range = Range { start, end }.checked()?;
    app.store.cards(shown.category, range).await.map(Json)
}

#[derive(Deserialize)]
struct Version {
    v: Option<String>,
}

/// A photo never changes, so whoever names it by its digest may keep it for good.
async fn image(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(Version { v }): Query<Version>,
    asked: HeaderMap,
) -> Result<Response, Failure> {
    let (photo, image) = app.store.photo(act_id(&id)?).await?;
    let etag = format!("\"{}\"", photo.digest);
    let cache = match v {
        Some(v) if v == photo.digest => "public, max-age=31536000, immutable",
        _ => "no-cache",
    };
    // An upload is shown as a photo or not at all.
    let disposition = match photo.kind.as_str() {
        UNKNOWN => "attachment",
        _ => "inline",
    };
    let head = [
        (CONTENT_TYPE, photo.kind.as_str()),
        (ETAG, &etag),
        (CACHE_CONTROL, cache),
        (CONTENT_DISPOSITION, disposition),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    if is_known(&asked, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, image.0).into_response())
}

fn act_id(text: &str) -> Result<i64, Failure> {
    text.parse()
        .map_err(|_| Failure::Missing(unknown_act(text)))
}
