//! Filters: see each request before it is sent on, and each answer before it goes down.

use super::{Answer, Exchange, Response};
use async_trait::async_trait;
use http::{HeaderName, Uri};
use pingora::http::RequestHeader;

/// A filter sees the requests and answers of the services it is listed for.
///
/// Requests pass the filters in the order of the list, answers in reverse. Every method runs on
/// the thread of the request and must not block; [`decide`](Filter::decide) may wait.
#[async_trait]
pub trait Filter: Send + Sync {
    /// Whether this filter runs before those that do not, on every request: also on one that is
    /// refused or has no route.
    fn sees_all(&self) -> bool {
        false
    }

    /// Request headers that nobody but filters may set. They are removed from the client's
    /// request, however it spells them (`-` and `_` alike), before a filter sees it.
    fn owns(&self) -> &[HeaderName] {
        &[]
    }

    fn request(&self, _request: &mut Request<'_>) -> Verdict {
        Verdict::Continue
    }

    /// The verdict on a request, after [`Verdict::Wait`]. The future is dropped when the client
    /// leaves; after 30 seconds the client gets a 503.
    async fn decide(&self, _request: &mut Request<'_>) -> Verdict {
        Verdict::Continue
    }

    /// The verdict on a request with its whole body, after [`Verdict::Body`].
    fn body(&self, _request: &mut Request<'_>, _body: &[u8]) -> Verdict {
        Verdict::Continue
    }

    /// Sees every answer that goes down, Tidegate's own included; of the interim answers only
    /// a 101.
    fn response(&self, _response: &mut Response<'_>) {}
}

/// A request on its way to a replica.
pub struct Request<'a> {
    pub head: &'a mut RequestHeader,
    pub exchange: &'a mut Exchange,
}

impl Request<'_> {
    /// Sends the request on to another target. Its route stays, and the log shows the target that
    /// the client asked for.
    pub fn rewrite(&mut self, target: Uri) {
        let asked = &mut self.exchange.asked;
        asked.get_or_insert_with(|| self.head.uri.clone());
        self.head.set_uri(target);
    }
}

#[derive(Debug)]
pub enum Verdict {
    Continue,
    /// Goes down instead of an answer of the service.
    Answer(Answer),
    /// [`Filter::decide`] has the verdict.
    Wait,
    /// [`Filter::body`] has the verdict. A body with more bytes than this, or more than 64 KiB,
    /// is refused with a 413.
    Body(usize),
}
