//! A request and its answer as a whole.

use super::Trace;
use crate::service::spec::{ServiceName, Slot};
use http::{Extensions, HeaderValue, Uri, Version};
use std::net::IpAddr;
use std::sync::Arc;

/// Facts about a request and its answer, for filters and observers.
#[derive(Debug, Default)]
pub struct Exchange {
    /// `None` until a route was found.
    pub service: Option<ServiceName>,
    /// `None` only where the platform does not tell the peer's address.
    pub client: Option<IpAddr>,
    /// Whether it came through one of `trusted_proxies`, whose word counts.
    pub is_trusted: bool,
    /// HTTP's version on the client's connection.
    pub protocol: Version,
    /// TLS's version there, as in `1.3`; `None`: it came in clear.
    pub tls: Option<&'static str>,
    /// The replica that it was sent to, the last one of several; `None` until there was one.
    pub slot: Option<Slot>,
    /// Names this request in logs and answers; set by `request-id`.
    pub id: Option<HeaderValue>,
    /// Set by `otlp`.
    pub trace: Option<Trace>,
    /// The person or program that a filter has recognised.
    pub user: Option<Arc<str>>,
    /// The target that the client asked for, once a filter has rewritten it.
    pub asked: Option<Uri>,
    /// Facts that plugins keep for one another, by type. They are dropped when the request is
    /// over.
    pub kept: Extensions,
}

impl Exchange {
    /// HTTP's version as logs show it: `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub fn protocol_name(&self) -> &'static str {
        match self.protocol {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2",
            _ => "HTTP/1.1",
        }
    }
}
