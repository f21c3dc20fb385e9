//! Observers: receive every finished request and every event.

use super::Exchange;
use crate::service::event::Event;
use crate::service::spec::Slot;
use http::Method;
use std::time::Duration;

/// An observer changes nothing. Its methods run on the thread of the request or event and must
/// not block.
pub trait Observer: Send + Sync {
    fn request(&self, _record: &Record<'_>) {}

    fn event(&self, _event: &Event) {}

    /// Writes out everything that is buffered, because the process ends next; may block for a moment.
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
