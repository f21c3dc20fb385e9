//! Answers as filters see them.

use super::{Answer, Exchange, Transform};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use pingora::http::{Method, RequestHeader, ResponseHeader, StatusCode};

/// An answer on its way to the client.
pub struct Response<'a> {
    pub head: &'a mut ResponseHeader,
    /// The request as filters have left it.
    pub request: &'a RequestHeader,
    pub exchange: &'a mut Exchange,
    pub origin: Origin,
    changes: &'a mut Changes,
}

/// The maker of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Replica,
    /// Tidegate itself, or a filter.
    Edge,
}

/// Changes to an answer that filters ask for, and the core carries out.
#[derive(Default)]
pub struct Changes {
    pub transforms: Vec<Box<dyn Transform>>,
    pub instead: Option<Answer>,
}

impl<'a> Response<'a> {
    pub fn new(
        head: &'a mut ResponseHeader,
        request: &'a RequestHeader,
        exchange: &'a mut Exchange,
        origin: Origin,
        changes: &'a mut Changes,
    ) -> Response<'a> {
        Response {
            head,
            request,
            exchange,
            origin,
            changes,
        }
    }

    /// Passes the body through `with`; the core changes the length that the head tells.
    ///
    /// Returns false, and changes nothing, where no whole body follows: an answer to HEAD, one
    /// that is empty (101, 204, 304, a length of 0), a part of a whole (206).
    pub fn transform(&mut self, with: impl Transform + 'static) -> bool {
        let has_whole_body = self.has_whole_body();
        if has_whole_body {
            self.changes.transforms.push(Box::new(with));
        }
        has_whole_body
    }

    fn has_whole_body(&self) -> bool {
        const WITHOUT: [StatusCode; 3] = [
            StatusCode::NO_CONTENT,
            StatusCode::PARTIAL_CONTENT,
            StatusCode::NOT_MODIFIED,
        ];
        let headers = &self.head.headers;
        self.request.method != Method::HEAD
            && !self.head.status.is_informational()
            && !WITHOUT.contains(&self.head.status)
            && !headers.contains_key(CONTENT_RANGE)
            && headers
                .get(CONTENT_LENGTH)
                .is_none_or(|length| length != "0")
    }

    /// Sends `answer` down in place of this one, head and body. The filters that are still to run
    /// see the new head.
    pub fn answer_instead(&mut self, answer: Answer) {
        self.changes.instead = Some(answer);
    }
}
