//! Observers: are told of every finished request and of everything that happens to replicas.

use super::Exchange;
use crate::service::event::Event;
use crate::service::spec::Slot;
use http::Method;
use std::time::Duration;

/// Is told, and changes nothing. Runs on the thread of what it is told: it must not block.
pub trait Observer: Send + Sync {
    fn request(&self, _record: &Record<'_>) {}

    fn event(&self, _event: &Event) {}

    /// Writes out what is held back; the process ends next. May block for a moment.
    fn flush(&self) {}
}

/// A finished request.
#[derive(Debug)]
pub struct Record<'a> {
    pub exchange: &'a Exchange,
    pub method: &'a Method,
    /// Path and query as the client sent them.
    pub target: &'a str,
    pub host: Option<&'a str>,
    /// Zero when nothing was answered because the client had left.
    pub status: u16,
    /// The replica that answered, or was tried last.
    pub slot: Option<Slot>,
    pub duration: Duration,
    /// Of this, waiting for a replica to be ready.
    pub held: Duration,
    /// Attempts beyond the first.
    pub retries: u32,
    pub request_body_bytes: u64,
    pub response_body_bytes: u64,
    pub error: Option<&'a str>,
}
