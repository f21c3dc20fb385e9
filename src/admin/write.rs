//! Writing: orders that requests give to the running process.

use super::context::Admin;
use super::order::{Order, Reply};
use super::problem::{no_service, problem};
use super::view;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;

/// Confirms the token, which the guard has checked.
pub async fn token() -> Json<view::TokenJson> {
    Json(view::TokenJson { valid: true })
}

pub async fn reload(State(admin): State<Admin>, body: Bytes) -> Response {
    let read = match body.is_empty() {
        true => Ok(view::ReloadRequest::default()),
        false => serde_json::from_slice(&body),
    };
    let view::ReloadRequest { image_from_file } = match read {
        Ok(read) => read,
        Err(why) => return problem(StatusCode::UNPROCESSABLE_ENTITY, why.to_string()),
    };
    let order = |reply| Order::Reload {
        image_from_file,
        reply,
    };
    match ask(&admin, order).await {
        Ok(changed) => Json(view::ReloadResult { changed }).into_response(),
        Err(refusal) => *refusal,
    }
}

pub async fn deploy(
    State(admin): State<Admin>,
    name: Result<Path<String>, PathRejection>,
    body: Result<Json<view::DeployRequest>, JsonRejection>,
) -> Response {
    let (service, Json(view::DeployRequest { image })) = match arguments(&admin, name, body) {
        Ok(arguments) => arguments,
        Err(refusal) => return *refusal,
    };
    let order = |reply| Order::Deploy {
        service,
        image,
        reply,
    };
    match ask(&admin, order).await {
        Ok(deployed) if deployed.begun => (StatusCode::ACCEPTED, Json(deployed)).into_response(),
        Ok(deployed) => Json(deployed).into_response(),
        Err(refusal) => *refusal,
    }
}

pub async fn scale(
    State(admin): State<Admin>,
    name: Result<Path<String>, PathRejection>,
    body: Result<Json<view::ScaleRequest>, JsonRejection>,
) -> Response {
    let (service, Json(view::ScaleRequest { replicas })) = match arguments(&admin, name, body) {
        Ok(arguments) => arguments,
        Err(refusal) => return *refusal,
    };
    let order = |reply| Order::Scale {
        service,
        replicas: replicas.into(),
        reply,
    };
    match ask(&admin, order).await {
        Ok(scaled) => Json(scaled).into_response(),
        Err(refusal) => *refusal,
    }
}

pub async fn drain(
    State(admin): State<Admin>,
    name: Result<Path<String>, PathRejection>,
    body: Result<Json<view::DrainRequest>, JsonRejection>,
) -> Response {
    let (service, Json(view::DrainRequest { slot })) = match arguments(&admin, name, body) {
        Ok(arguments) => arguments,
        Err(refusal) => return *refusal,
    };
    let order = |reply| Order::Drain {
        service,
        slot,
        reply,
    };
    match ask(&admin, order).await {
        Ok(drained) => (StatusCode::ACCEPTED, Json(drained)).into_response(),
        Err(refusal) => *refusal,
    }
}

/// An answer that refuses; boxed, because it is large and rare.
type RefusedResponse = Box<Response>;

fn arguments<T>(
    admin: &Admin,
    name: Result<Path<String>, PathRejection>,
    body: Result<Json<T>, JsonRejection>,
) -> Result<(String, Json<T>), RefusedResponse> {
    let Path(name) = name.map_err(|why| Box::new(problem(why.status(), why.body_text())))?;
    if admin.reader.load().service(&name).is_none() {
        return Err(Box::new(no_service(&admin.reader.load(), &name)));
    }
    let body = body.map_err(|why| Box::new(problem(why.status(), why.body_text())))?;
    Ok((name, body))
}

async fn ask<T>(
    admin: &Admin,
    order: impl FnOnce(Reply<T>) -> Order,
) -> Result<T, RefusedResponse> {
    let refusal = |status, why: &str| Box::new(problem(status, why));
    let leaving = || refusal(StatusCode::SERVICE_UNAVAILABLE, "the process is leaving");
    let (reply, answer) = oneshot::channel();
    let sent = admin.orders.send(order(reply)).await;
    sent.map_err(|_| leaving())?;
    match answer.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(why)) => Err(refusal(StatusCode::UNPROCESSABLE_ENTITY, &why)),
        Err(_) => Err(leaving()),
    }
}
