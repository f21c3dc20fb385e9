use super::*;
use crate::plugin::{Filter, Response};
use crate::proxy::chain::Chain;
use crate::proxy::request::in_flight::InFlight;
use crate::proxy::settings::Settings;
use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use pingora::protocols::SocketDigest;
use pingora::{Error, ErrorType};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::{Instant, sleep};

static OWNED: [HeaderName; 1] = [HeaderName::from_static("remote-user")];

/// Comes to the verdicts that it is made with, in this order.
#[derive(Default)]
struct Script {
    request: Option<Verdict>,
    decide: Option<Verdict>,
    body: Option<Verdict>,
    /// How long a decision takes; `None`: for ever.
    takes: Option<Duration>,
    dropped: Arc<AtomicBool>,
}

fn copy(verdict: Option<&Verdict>) -> Verdict {
    match verdict {
        None | Some(Verdict::Continue) => Verdict::Continue,
        Some(Verdict::Answer(answer)) => Verdict::Answer(answer.clone()),
        Some(Verdict::Wait) => Verdict::Wait,
        Some(Verdict::Body(max)) => Verdict::Body(*max),
    }
}

struct Noted(Arc<AtomicBool>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn note(request: &mut Request<'_>, what: &str) {
    let value = HeaderValue::from_str(what).unwrap();
    request.head.append_header("x-seen", value).unwrap();
}

#[async_trait]
impl Filter for Script {
    fn owns(&self) -> &[HeaderName] {
        &OWNED
    }

    fn request(&self, request: &mut Request<'_>) -> Verdict {
        note(request, "request");
        copy(self.request.as_ref())
    }

    async fn decide(&self, request: &mut Request<'_>) -> Verdict {
        let _noted = Noted(Arc::clone(&self.dropped));
        match self.takes {
            Some(takes) => sleep(takes).await,
            None => pending().await,
        }
        note(request, "decide");
        copy(self.decide.as_ref())
    }

    fn body(&self, request: &mut Request<'_>, body: &[u8]) -> Verdict {
        note(request, std::str::from_utf8(body).unwrap());
        copy(self.body.as_ref())
    }
}

/// Leaves after a time.
struct Visitor {
    stays: Duration,
    body: &'static [u8],
}

impl Caller for Visitor {
    async fn left(&mut self) -> Box<Error> {
        sleep(self.stays).await;
        Error::new_down(ErrorType::ConnectionClosed)
    }

    fn socket(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Asking for Visitor {
    async fn peek_body(
        &mut self,
        _head: &RequestHeader,
        max: usize,
        _patience: Duration,
    ) -> Result<Option<Bytes>> {
        Ok((self.body.len() <= max).then_some(Bytes::from_static(self.body)))
    }
}

/// Says who made an answer.
struct Seen;

impl Filter for Seen {
    fn response(&self, response: &mut Response<'_>) {
        let origin = format!("{:?}", response.origin);
        response.head.insert_header("x-origin", origin).unwrap();
    }
}

fn context(filters: Vec<Script>) -> Context {
    let filters = filters.into_iter();
    context_of(
        filters
            .map(|filter| Arc::new(filter) as Arc<dyn Filter>)
            .collect(),
    )
}

fn context_of(filters: Vec<Arc<dyn Filter>>) -> Context {
    let settings = Settings::with(Chain::new(filters, Vec::new()));
    Context::new(Arc::new(settings), &InFlight::default())
}

fn head() -> RequestHeader {
    let mut head = RequestHeader::build("POST", b"/", None).unwrap();
    head.insert_header("host", "example.com").unwrap();
    head.insert_header("expect", "100-continue").unwrap();
    head
}

/// Result of a request, and the calls that filters saw.
async fn passed(filters: Vec<Script>, stays: u64) -> (Result<Option<StatusCode>>, Vec<String>) {
    let mut ctx = context(filters);
    let mut head = head();
    let mut visitor = Visitor {
        stays: Duration::from_secs(stays),
        body: b"12345678",
    };
    let answer = pass(&mut visitor, &mut head, &mut ctx, Stage::Routed).await;
    let seen = head.headers.get_all("x-seen").iter();
    let seen = seen
        .map(|value| value.to_str().unwrap().to_owned())
        .collect();
    (
        answer.map(|answer| answer.map(|answer| answer.status)),
        seen,
    )
}

fn waits(takes: u64, decide: Option<Verdict>) -> Script {
    Script {
        request: Some(Verdict::Wait),
        decide,
        takes: Some(Duration::from_secs(takes)),
        ..Script::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_a_decision_and_goes_on_with_the_next_filter() {
    let filters = || vec![waits(3, None), waits(4, None), Script::default()];
    let began = Instant::now();
    let (answer, seen) = passed(filters(), 10).await;
    assert_eq!(answer.unwrap(), None);
    assert_eq!(seen, ["request", "decide", "request", "decide", "request"]);
    assert_eq!(began.elapsed(), Duration::from_secs(7));

    let denied = Verdict::Answer(plain(StatusCode::FORBIDDEN));
    let (answer, seen) = passed(vec![waits(3, Some(denied)), Script::default()], 10).await;
    assert_eq!(answer.unwrap(), Some(StatusCode::FORBIDDEN));
    assert_eq!(seen, ["request", "decide"]);
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_dropped_when_the_client_leaves_or_its_time_is_over() {
    let endless = || Script {
        takes: None,
        ..waits(0, None)
    };
    for (stays, expected) in [(3, None), (100, Some(StatusCode::SERVICE_UNAVAILABLE))] {
        let filter = endless();
        let dropped = Arc::clone(&filter.dropped);
        let began = Instant::now();
        let (answer, _) = passed(vec![filter], stays).await;
        assert!(dropped.load(Ordering::Relaxed));
        match expected {
            Some(status) => {
                assert_eq!(answer.unwrap(), Some(status));
                assert_eq!(began.elapsed(), DECISION_WITHIN);
            }
            None => {
                let error = answer.unwrap_err();
                assert_eq!(*error.etype(), ErrorType::ConnectionClosed);
                assert_eq!(began.elapsed(), Duration::from_secs(stays));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_sees_the_whole_body_up_to_a_length() {
    let reads = |max, body| Script {
        request: Some(Verdict::Body(max)),
        body,
        takes: Some(Duration::ZERO),
        ..Script::default()
    };
    let (answer, seen) = passed(vec![reads(8, None), Script::default()], 10).await;
    assert_eq!(answer.unwrap(), None);
    assert_eq!(seen, ["request", "12345678", "request"]);
    let (answer, seen) = passed(vec![reads(7, None), Script::default()], 10).await;
    assert_eq!(answer.unwrap(), Some(StatusCode::PAYLOAD_TOO_LARGE));
    assert_eq!(seen, ["request"]);
    let (answer, seen) = passed(vec![reads(8, Some(Verdict::Wait))], 10).await;
    assert_eq!(answer.unwrap(), None);
    assert_eq!(seen, ["request", "12345678", "decide"]);
    // A filter that never comes to a verdict.
    let (answer, _) = passed(vec![reads(8, Some(Verdict::Body(8)))], 10).await;
    assert_eq!(answer.unwrap(), Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[test]
fn a_client_has_no_say_in_headers_about_itself_and_in_those_that_filters_own() {
    let mut ctx = context(vec![Script::default()]);
    let mut head = head();
    for name in ["X-Forwarded-For", "Remote-User", "remote_user", "X-Other"] {
        head.append_header(name, "forged").unwrap();
    }
    disown(&mut head, &mut ctx);
    let left: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["host", "expect", "x-other"]);
}

#[test]
fn answers_pass_the_filters_but_for_interim_ones() {
    let seen = |status: u16| {
        let mut ctx = context_of(vec![Arc::new(Seen)]);
        let mut answer = ResponseHeader::build(status, None).unwrap();
        super::answer(&mut answer, &head(), &mut ctx).unwrap();
        let origin = answer.headers.get("x-origin");
        origin.map(|origin| origin.to_str().unwrap().to_owned())
    };
    assert_eq!(seen(103), None);
    for status in [101, 200, 500] {
        assert_eq!(seen(status).as_deref(), Some("Replica"), "{status}");
    }
    let mut ctx = context_of(vec![Arc::new(Seen)]);
    let (own, body) = own_answer(plain(StatusCode::NOT_FOUND), &head(), &mut ctx).unwrap();
    assert_eq!(own.headers["x-origin"], "Edge");
    assert_eq!(own.headers["content-length"], body.len().to_string());
}
