//! The plugins that a request passes: filters from the top of the list to its end, and back again
//! with the answer.

use super::answers::own::answer_head;
use crate::plugin::{
    Answer, Changes, Exchange, Filter, Observer, Origin, Request, Response, Verdict,
};
use bytes::Bytes;
use http::HeaderName;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use std::ops::Range;
use std::sync::Arc;

/// Headers that a head has room for beyond its own, at least.
const ROOM: usize = 4;

/// Filters and observers of a route.
#[derive(Clone, Default)]
pub struct Chain {
    /// Filters that see all come first.
    filters: Vec<Arc<dyn Filter>>,
    seeing_all: usize,
    /// Request headers that nobody but these filters may set.
    owned: Vec<HeaderName>,
    pub observers: Vec<Arc<dyn Observer>>,
}

/// A verdict that cannot be had at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// [`Filter::decide`] has it.
    Decision,
    /// [`Filter::body`] has it, if the body is no longer than this.
    Body(usize),
}

/// How far a request came.
#[derive(Debug)]
pub enum Passed {
    Through,
    Answered(Answer),
    /// The filter at this place has to be asked again.
    Stopped(usize, Due),
}

impl Chain {
    /// Takes filters in the order of the list.
    pub fn new(filters: Vec<Arc<dyn Filter>>, observers: Vec<Arc<dyn Observer>>) -> Chain {
        let owned = filters.iter().flat_map(|filter| filter.owns()).cloned();
        let owned = owned.collect();
        let (mut all, rest): (Vec<_>, Vec<_>) =
            filters.into_iter().partition(|filter| filter.sees_all());
        let seeing_all = all.len();
        all.extend(rest);
        Chain {
            filters: all,
            seeing_all,
            owned,
            observers,
        }
    }

    /// Headers that filters may add before a map of headers has to grow; most add one.
    pub fn room(&self) -> usize {
        self.filters.len().max(ROOM)
    }

    /// Places of the filters that see every request.
    pub fn seeing_all(&self) -> Range<usize> {
        0..self.seeing_all
    }

    /// Places of the filters that see clean requests with a route.
    pub fn seeing_routed(&self) -> Range<usize> {
        self.seeing_all..self.filters.len()
    }

    /// Request headers that nobody but these filters may set.
    pub fn owned(&self) -> &[HeaderName] {
        &self.owned
    }

    pub fn filter(&self, place: usize) -> &dyn Filter {
        &*self.filters[place]
    }

    /// Asks the filters at these places, one after another.
    pub fn ask(&self, places: Range<usize>, request: &mut Request<'_>) -> Passed {
        for place in places {
            match self.filters[place].request(request) {
                Verdict::Continue => {}
                Verdict::Answer(answer) => return Passed::Answered(answer),
                Verdict::Wait => return Passed::Stopped(place, Due::Decision),
                Verdict::Body(max) => return Passed::Stopped(place, Due::Body(max)),
            }
        }
        Passed::Through
    }

    /// Removes headers that filters of this chain own; `_` counts as `-`, because many programs
    /// behind gateways do not tell them apart.
    pub fn disown(&self, head: &mut RequestHeader) {
        if self.owned.is_empty() {
            return;
        }
        let is_owned = |name: &&HeaderName| self.owned.iter().any(|owned| is_alike(owned, name));
        while let Some(name) = head.headers.keys().find(is_owned).cloned() {
            head.remove_header(&name);
        }
    }

    /// Shows an answer to all filters, the last one first. Returns the transforms that its body
    /// has to pass, and a body if a filter gave another answer.
    pub fn answer(
        &self,
        head: &mut ResponseHeader,
        request: &RequestHeader,
        exchange: &mut Exchange,
        mut origin: Origin,
    ) -> Result<(Changes, Option<Bytes>)> {
        let mut changes = Changes::default();
        let mut body = None;
        for filter in self.filters.iter().rev() {
            let mut response = Response::new(head, request, exchange, origin, &mut changes);
            filter.response(&mut response);
            if let Some(answer) = changes.instead.take() {
                // The old body is gone, and with it what was to become of it.
                changes.transforms.clear();
                origin = Origin::Edge;
                body = Some(answer.body.clone());
                *head = answer_head(answer)?;
            }
        }
        Ok((changes, body))
    }
}

fn is_alike(owned: &HeaderName, name: &HeaderName) -> bool {
    let (owned, name) = (owned.as_str(), name.as_str());
    let dash = |byte: u8| if byte == b'_' { b'-' } else { byte };
    owned.len() == name.len() && owned.bytes().map(dash).eq(name.bytes().map(dash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing;
    use http::{HeaderValue, StatusCode};

    static OWNED: [HeaderName; 1] = [HeaderName::from_static("remote-user")];

    /// Writes its name into a header of requests and answers.
    struct Mark {
        name: &'static str,
        sees_all: bool,
    }

    fn mark(headers: Option<&HeaderValue>, name: &str) -> String {
        let before = headers.map_or("", |value| value.to_str().unwrap());
        format!("{before}{name}")
    }

    impl Filter for Mark {
        fn sees_all(&self) -> bool {
            self.sees_all
        }

        fn owns(&self) -> &[HeaderName] {
            &OWNED
        }

        fn request(&self, request: &mut Request<'_>) -> Verdict {
            let text = mark(request.head.headers.get("x-mark"), self.name);
            request.head.insert_header("x-mark", text).unwrap();
            match self.name {
                "w" => Verdict::Wait,
                "b" => Verdict::Body(7),
                _ => Verdict::Continue,
            }
        }

        fn response(&self, response: &mut Response<'_>) {
            let text = mark(response.head.headers.get("x-mark"), self.name);
            response.head.insert_header("x-mark", text).unwrap();
            if self.name == "i" {
                assert_eq!(response.origin, Origin::Replica);
                response.answer_instead(Answer {
                    status: StatusCode::BAD_GATEWAY,
                    headers: vec![("x-mark", HeaderValue::from_static("!"))],
                    body: Bytes::from_static(b"page"),
                });
            }
        }
    }

    /// A chain of filters by name; those in upper case see all.
    fn chain(names: &'static str) -> Chain {
        let names = (0..names.len()).map(|at| &names[at..=at]);
        let filters = names.map(|name| {
            let sees_all = name.bytes().all(|byte| byte.is_ascii_uppercase());
            Arc::new(Mark { name, sees_all }) as Arc<dyn Filter>
        });
        Chain::new(filters.collect(), Vec::new())
    }

    fn head() -> RequestHeader {
        RequestHeader::build("GET", b"/", None).unwrap()
    }

    fn asked(chain: &Chain, places: Range<usize>) -> (Passed, String) {
        let (mut head, mut exchange) = (head(), testing::exchange());
        let mut request = Request {
            head: &mut head,
            exchange: &mut exchange,
        };
        let passed = chain.ask(places, &mut request);
        (passed, mark(head.headers.get("x-mark"), ""))
    }

    fn answered(chain: &Chain) -> (ResponseHeader, Option<Bytes>) {
        let mut head = ResponseHeader::build(200, None).unwrap();
        let mut exchange = testing::exchange();
        let (_, body) = chain
            .answer(&mut head, &self::head(), &mut exchange, Origin::Replica)
            .unwrap();
        (head, body)
    }

    #[test]
    fn requests_pass_in_order_and_answers_in_reverse() {
        let chain = chain("aBcD");
        assert_eq!(asked(&chain, chain.seeing_all()).1, "BD");
        assert_eq!(asked(&chain, chain.seeing_routed()).1, "ac");
        assert_eq!(answered(&chain).0.headers["x-mark"], "caDB");
    }

    #[test]
    fn a_filter_may_stop_a_request_where_it_stands() {
        let chain = chain("awcb");
        let (passed, seen) = asked(&chain, 0..4);
        assert!(matches!(passed, Passed::Stopped(1, Due::Decision)));
        assert_eq!(seen, "aw");
        let (passed, seen) = asked(&chain, 2..4);
        assert!(matches!(passed, Passed::Stopped(3, Due::Body(7))));
        assert_eq!(seen, "cb");
    }

    #[test]
    fn filters_outside_of_one_that_answers_instead_see_the_new_answer() {
        let (head, body) = answered(&chain("aic"));
        assert_eq!(head.status, StatusCode::BAD_GATEWAY);
        assert_eq!(head.headers["x-mark"], "!a");
        assert_eq!(head.headers["content-length"], "4");
        assert_eq!(body.as_deref(), Some(&b"page"[..]));
    }

    #[test]
    fn an_owned_header_is_removed_however_it_is_spelled() {
        let mut head = head();
        for name in ["Remote-User", "remote_user", "REMOTE_User", "remote-users"] {
            head.append_header(name, "root").unwrap();
        }
        chain("a").disown(&mut head);
        let left: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["remote-users"]);
    }
}
