//! Reading: metrics, health, services and numbers.

use super::context::Admin;
use super::problem::{no_service, problem};
use super::view;
use crate::service::snapshot::ServiceView;
use crate::service::time::Moment;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder, TextEncoder};
use serde::Serialize;
use std::time::SystemTime;

pub async fn metrics(State(admin): State<Admin>) -> Response {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&(admin.metrics)(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Readiness: the process is not leaving, and each service that wants replicas has a ready one.
pub async fn ready(State(admin): State<Admin>) -> Response {
    if *admin.leaving.borrow() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "draining");
    }
    let snapshot = admin.reader.load();
    let empty: Vec<&str> = snapshot
        .services
        .values()
        .filter(|service| service.desired > 0 && service.ready.is_empty())
        .map(|service| service.name.as_str())
        .collect();
    if snapshot.services.is_empty() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "starting");
    }
    if !empty.is_empty() {
        let engine = match snapshot.engine_up {
            true => "",
            false => "the container engine does not answer; ",
        };
        let message = format!("{engine}nothing is ready in: {}", empty.join(", "));
        return problem(StatusCode::SERVICE_UNAVAILABLE, message);
    }
    "ready\n".into_response()
}

pub async fn services(State(admin): State<Admin>) -> Json<view::Overview> {
    let (numbers, snapshot) = (admin.live.numbers(), admin.reader.load());
    Json(view::overview(&snapshot, &numbers, &admin.history))
}

pub async fn service(
    State(admin): State<Admin>,
    name: Result<Path<String>, PathRejection>,
) -> Response {
    about(&admin, name, |service, taken| {
        let (numbers, falls) = (admin.live.numbers(), admin.history.falls(&service.name));
        let numbers = numbers.get(&service.name).map(AsRef::as_ref);
        view::service(service, taken, numbers, &falls)
    })
}

pub async fn decisions(
    State(admin): State<Admin>,
    name: Result<Path<String>, PathRejection>,
) -> Response {
    about(&admin, name, view::decisions)
}

/// A part of one service, as JSON.
fn about<T: Serialize>(
    admin: &Admin,
    name: Result<Path<String>, PathRejection>,
    show: impl FnOnce(&ServiceView, Moment) -> T,
) -> Response {
    let name = match name {
        Ok(Path(name)) => name,
        Err(rejection) => return problem(rejection.status(), rejection.body_text()),
    };
    let snapshot = admin.reader.load();
    match snapshot.service(&name) {
        Some(service) => Json(show(service, snapshot.taken)).into_response(),
        None => no_service(&snapshot, &name),
    }
}

pub async fn certificates(State(admin): State<Admin>) -> Json<view::CertificatesJson> {
    let now = SystemTime::now();
    Json(view::certificates(&admin.certificates, &admin.reports, now))
}

pub async fn numbers_lately(State(admin): State<Admin>) -> Json<view::RecentSeries> {
    Json(admin.live.lately())
}

pub async fn version() -> Json<view::VersionJson> {
    Json(view::VersionJson::default())
}
