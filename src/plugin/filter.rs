//! Filters: see each request before it is sent on, and each answer before it goes down.

use super::Trace;
use crate::service::spec::{ServiceName, Slot};
use bytes::Bytes;
use http::HeaderValue;
use pingora::http::{RequestHeader, ResponseHeader, StatusCode};
use std::net::IpAddr;

/// Sees the requests and answers of the services it is listed for, in the user's order.
///
/// Runs on the request thread: it must not block.
pub trait Filter: Send + Sync {
    fn request(&self, _request: &mut Request<'_>) -> Verdict {
        Verdict::Continue
    }

    /// Sees every answer that goes down, Tidegate's own included.
    fn response(&self, _response: &mut Response<'_>) {}
}

pub struct Request<'a> {
    pub head: &'a mut RequestHeader,
    pub exchange: &'a mut Exchange,
}

pub struct Response<'a> {
    pub head: &'a mut ResponseHeader,
    pub exchange: &'a Exchange,
}

/// What is known of a request and its answer as a whole.
#[derive(Debug)]
pub struct Exchange {
    /// `None` until a route was found.
    pub service: Option<ServiceName>,
    /// `None` only where the platform does not tell the peer's address.
    pub client: Option<IpAddr>,
    /// Whether it came through one of `trusted_proxies`, whose word counts.
    pub is_trusted: bool,
    /// The replica that it was sent to, the last one of several; `None` until there was one.
    pub slot: Option<Slot>,
    /// Names this request in logs and answers; set by `request-id`.
    pub id: Option<HeaderValue>,
    /// Set by `otlp`.
    pub trace: Option<Trace>,
}

#[derive(Debug)]
pub enum Verdict {
    Continue,
    /// Goes down instead of an answer of the service.
    Answer(Answer),
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, HeaderValue)>,
    pub body: Bytes,
}
