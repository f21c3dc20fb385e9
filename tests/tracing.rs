//! The plugin `otlp`: spans at a collector that keeps what it gets, and what replicas hear of
//! the trace, both ways that requests go.

use crate::support::client::{self, Connection, raw};
use crate::support::edge::Edge;
use crate::support::until;
use crate::support::upstream::Upstream;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::post;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Keeps what it is sent.
#[derive(Clone, Default)]
struct Collector {
    got: Arc<Mutex<Got>>,
}

#[derive(Default)]
struct Got {
    spans: Vec<Value>,
    authorization: String,
    /// Answered to the next ones, one after the other.
    refusals: Vec<StatusCode>,
}

impl Collector {
    async fn start() -> (Collector, SocketAddr) {
        let collector = Collector::default();
        let app = Router::new()
            .route("/otel/v1/traces", post(take))
            .with_state(collector.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move { axum::serve(listener, app).await });
        (collector, address)
    }

    fn spans(&self) -> Vec<Value> {
        self.got.lock().expect("no panic").spans.clone()
    }

    async fn has(&self, count: usize) -> Vec<Value> {
        until("the spans are there", SOON, || async {
            let spans = self.spans();
            (spans.len() >= count).then_some(spans)
        })
        .await
    }
}

async fn take(
    State(collector): State<Collector>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let mut got = collector.got.lock().expect("no panic");
    if !got.refusals.is_empty() {
        return (got.refusals.remove(0), "");
    }
    let request: Value = serde_json::from_slice(&body).expect("JSON");
    let authorization = headers.get("authorization").map(|value| value.to_str());
    got.authorization = authorization.expect("sent").expect("text").to_owned();
    for resource in request["resourceSpans"].as_array().expect("resources") {
        let name = &resource["resource"]["attributes"][0]["value"]["stringValue"];
        assert_eq!(name, "the-edge");
        for scope in resource["scopeSpans"].as_array().expect("scopes") {
            let spans = scope["spans"].as_array().expect("spans");
            got.spans.extend(spans.iter().cloned());
        }
    }
    (StatusCode::OK, "{}")
}

fn configuration(collector: SocketAddr, upstream: &Upstream, more: &str) -> String {
    format!(
        "plugins:\n  - otlp:\n      endpoint: http://{collector}/otel/\n      \
         headers: {{ authorization: Bearer abc }}\n      service_name: the-edge\n\
         services:\n  web:\n    addresses: [\"{}\"]\n    \
         healthcheck: {{ type: http, path: /api/v1/_health, interval: 100ms }}\n{more}",
        upstream.address
    )
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().expect("attributes");
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    found.map_or(&Value::Null, |found| &found["value"])
}

/// Values of a header as the replica got them.
fn heard<'a>(echo: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = echo["headers"].as_array().expect("headers");
    let named = headers.iter().filter(|header| header[0] == name);
    named
        .map(|header| header[1].as_str().expect("text"))
        .collect()
}

#[tokio::test]
async fn a_trace_of_a_trusted_proxy_goes_on_through_the_edge_both_ways() {
    let a = Upstream::start("A").await;
    let (collector, at) = Collector::start().await;
    let trusted = "trusted_proxies: [127.0.0.1]\n";
    let mut edge = Edge::start(&configuration(at, &a, trusted)).await;
    edge.ready().await;
    let given = format!("00-{TRACE}-{CALLER}-01");
    let mut client = Connection::open(edge.address).await.expect("connected");
    let mut answers = Vec::new();
    // Short bodies go the plain way, and one too long to keep goes Pingora's.
    for length in [0, 100 << 10] {
        let request = Request::post("/path?secret=1")
            .header("traceparent", &given)
            .header("tracestate", "vendor=1");
        let answer = client.send(request, vec![b'x'; length]).await;
        answers.push(answer.expect("an answer").json());
    }
    edge.signal(Signal::SIGTERM);
    assert_eq!(edge.ended(SOON).await, Some(0));

    // Spans that were gathered are sent at the end.
    let spans = collector.spans();
    assert_eq!(spans.len(), 2, "{spans:?}");
    for (span, echo) in spans.iter().zip(&answers) {
        assert_eq!(span["traceId"], TRACE);
        assert_eq!(span["parentSpanId"], CALLER);
        assert_eq!(span["name"], "POST web");
        assert_eq!(attribute(span, "url.path")["stringValue"], "/path");
        let status = attribute(span, "http.response.status_code");
        assert_eq!(status["intValue"], "200");
        let ours = span["spanId"].as_str().expect("an id");
        assert_eq!(
            heard(echo, "traceparent"),
            [format!("00-{TRACE}-{ours}-01")]
        );
        assert_eq!(heard(echo, "tracestate"), ["vendor=1"]);
    }
    assert_ne!(spans[0]["spanId"], spans[1]["spanId"]);
    let authorization = collector
        .got
        .lock()
        .expect("no panic")
        .authorization
        .clone();
    assert_eq!(authorization, "Bearer abc");
}

#[tokio::test]
async fn from_anybody_else_a_trace_begins_here_and_failures_are_marked() {
    let a = Upstream::start("A").await;
    let (collector, at) = Collector::start().await;
    // The first delivery meets trouble that passes.
    collector.got.lock().expect("no panic").refusals = vec![StatusCode::SERVICE_UNAVAILABLE];
    let edge = Edge::start(&configuration(at, &a, "")).await;
    edge.ready().await;
    let given = format!("00-{TRACE}-{CALLER}-01");
    let request = Request::get("/x").header("traceparent", &given);
    let echo = client::send(edge.address, request, "").await.json();
    let [told] = heard(&echo, "traceparent")[..] else {
        panic!("{echo}");
    };
    assert!(!told.contains(TRACE), "{told}");
    a.set_failing(true);
    assert_eq!(edge.get("/fails").await.status, 500);
    // Requests that are refused before routing are reported, too.
    raw(edge.address, b"GET /a/%2e%2e/b HTTP/1.1\r\nhost: a\r\n\r\n").await;

    let spans = collector.has(3).await;
    let of = |path: &str| {
        let is = |span: &&Value| attribute(span, "url.path")["stringValue"] == path;
        spans
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("{path}: {spans:?}"))
    };
    let first = of("/x");
    let ours = first["spanId"].as_str().expect("an id");
    let id = first["traceId"].as_str().expect("an id");
    assert_eq!(told, format!("00-{id}-{ours}-01"));
    assert!(first.get("parentSpanId").is_none());
    assert_eq!(of("/fails")["status"]["code"], 2);
    assert_eq!(attribute(of("/fails"), "error.type")["stringValue"], "500");
    assert_eq!(
        edge.metric("tidegate_otlp_spans_sent_total").await,
        Some(3.0)
    );
    let failed = r#"tidegate_otlp_spans_dropped_total{reason="failed"}"#;
    assert_eq!(edge.metric(failed).await, Some(0.0));
}

#[tokio::test]
async fn without_a_collector_everybody_is_served_and_without_the_plugin_traces_pass_through() {
    let a = Upstream::start("A").await;
    let nobody = ([127, 0, 0, 1], crate::support::free_port()).into();
    let edge = Edge::start(&configuration(nobody, &a, "")).await;
    edge.ready().await;
    for _ in 0..100 {
        assert_eq!(edge.get("/x").await.status, 200);
    }
    until("it says so", SOON, || async {
        let failed = r#"tidegate_otlp_spans_dropped_total{reason="failed"}"#;
        (edge.metric(failed).await >= Some(100.0)).then_some(())
    })
    .await;
    edge.says("does not accept spans").await;

    let plain = format!("services:\n  web: {{ addresses: [\"{}\"] }}\n", a.address);
    edge.write(&plain);
    assert_eq!(edge.tidegate(&["reload"]).await.code, Some(0));
    let given = format!("00-{TRACE}-{CALLER}-01");
    let request = Request::get("/x").header("traceparent", &given);
    let echo = client::send(edge.address, request, "").await.json();
    assert_eq!(heard(&echo, "traceparent"), [given]);
}
