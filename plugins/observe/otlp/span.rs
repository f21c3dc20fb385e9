//! The span of a request, and its OTLP JSON.

use super::traceparent::hex;
use crate::plugin::prelude::*;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// `SPAN_KIND_SERVER`
const KIND_SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`
const STATUS_ERROR: u8 = 2;
/// The methods that OpenTelemetry knows; clients may invent others.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
];

pub struct Span {
    trace: Trace,
    ended: SystemTime,
    duration: Duration,
    held: Duration,
    service: Option<ServiceName>,
    client: Option<IpAddr>,
    id: Option<HeaderValue>,
    method: Method,
    host: Option<Box<str>>,
    path: Box<str>,
    protocol: &'static str,
    tls: Option<&'static str>,
    status: u16,
    slot: Option<Slot>,
    retries: u32,
    error: Option<Box<str>>,
}

impl Span {
    pub fn new(trace: Trace, record: &Record<'_>) -> Span {
        // A query may hold secrets.
        let path = record.target.split('?').next().unwrap_or_default();
        Span {
            trace,
            ended: SystemTime::now(),
            duration: record.duration,
            held: record.held,
            service: record.exchange.service.clone(),
            client: record.exchange.client,
            id: record.exchange.id.clone(),
            method: record.method.clone(),
            host: record.host.map(Box::from),
            path: path.into(),
            protocol: record.exchange.protocol_name(),
            tls: record.exchange.tls,
            status: record.status,
            slot: record.slot,
            retries: record.retries,
            error: record.error.map(Box::from),
        }
    }

    fn json(&self) -> Value {
        let known = METHODS.contains(&self.method.as_str());
        let method = if known {
            self.method.as_str()
        } else {
            "_OTHER"
        };
        let verb = if known { method } else { "HTTP" };
        let service = self.service.as_ref().map(ServiceName::as_str);
        let mut attributes = vec![
            text("http.request.method", method),
            text("url.path", &self.path),
            text(
                "url.scheme",
                if self.tls.is_some() { "https" } else { "http" },
            ),
            text(
                "network.protocol.version",
                self.protocol.trim_start_matches("HTTP/"),
            ),
        ];
        if let Some(version) = self.tls {
            attributes.push(text("tls.protocol.version", version));
        }
        if !known {
            attributes.push(text("http.request.method_original", self.method.as_str()));
        }
        if let Some(host) = &self.host {
            attributes.push(text("server.address", host));
        }
        if let Some(client) = self.client {
            attributes.push(text("client.address", &client.to_string()));
        }
        if self.status > 0 {
            attributes.push(number("http.response.status_code", self.status.into()));
        }
        if let Some(service) = service {
            attributes.push(text("tidegate.service", service));
        }
        if let Some(slot) = self.slot {
            attributes.push(number("tidegate.slot", slot.into()));
        }
        if let Some(id) = self.id.as_ref().and_then(|id| id.to_str().ok()) {
            attributes.push(text("tidegate.request_id", id));
        }
        if self.retries > 0 {
            attributes.push(number("http.request.resend_count", self.retries.into()));
        }
        if !self.held.is_zero() {
            attributes.push(seconds("tidegate.held", self.held));
        }
        // A client's mistake is no error of the server; a client that left got no answer.
        let failed = self.status >= 500 || self.status == 0;
        let mut status = json!({});
        if failed {
            let kind = match self.status {
                0 => "client_left".to_owned(),
                status => status.to_string(),
            };
            attributes.push(text("error.type", &kind));
            status = json!({ "code": STATUS_ERROR });
            if let Some(error) = &self.error {
                status["message"] = json!(error);
            }
        }
        let began = self.ended.checked_sub(self.duration);
        let mut span = json!({
            "traceId": hex(&self.trace.id),
            "spanId": hex(&self.trace.span),
            "name": service.map_or(verb.to_owned(), |service| format!("{verb} {service}")),
            "kind": KIND_SERVER,
            "startTimeUnixNano": nanos(began.unwrap_or(self.ended)),
            "endTimeUnixNano": nanos(self.ended),
            "attributes": attributes,
            "status": status,
        });
        if let Some(parent) = self.trace.parent {
            span["parentSpanId"] = json!(hex(&parent));
        }
        span
    }
}

/// A request to the collector: an `ExportTraceServiceRequest`.
pub fn request(service_name: &str, spans: &[Span]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let spans: Vec<Value> = spans.iter().map(Span::json).collect();
    let request = json!({ "resourceSpans": [{
        "resource": { "attributes": [
            text("service.name", service_name),
            text("service.version", version),
        ] },
        "scopeSpans": [{
            "scope": { "name": "tidegate", "version": version },
            "spans": spans,
        }],
    }] });
    request.to_string().into_bytes()
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// 64-bit numbers are text in protobuf's JSON.
fn number(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

fn seconds(key: &str, value: Duration) -> Value {
    json!({ "key": key, "value": { "doubleValue": value.as_secs_f64() } })
}

fn nanos(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        Trace {
            id: [0xab; 16],
            span: [0xcd; 8],
            parent: Some([0xef; 8]),
            sampled: true,
        }
    }

    #[test]
    fn a_span_says_what_the_request_was_and_what_became_of_it() {
        let exchange = Exchange {
            client: Some([203, 0, 113, 7].into()),
            tls: Some("1.2"),
            ..testing::routed()
        };
        let record = Record {
            target: "/a?token=secret",
            status: 502,
            retries: 2,
            held: Duration::from_millis(1500),
            error: Some("no luck"),
            ..testing::record(&exchange)
        };
        let mut span = Span::new(trace(), &record);
        span.ended = UNIX_EPOCH + Duration::from_secs(1);
        assert_eq!(
            span.json(),
            json!({
                "traceId": "ab".repeat(16),
                "spanId": "cd".repeat(8),
                "parentSpanId": "ef".repeat(8),
                "name": "GET shop",
                "kind": 2,
                "startTimeUnixNano": "995000000",
                "endTimeUnixNano": "1000000000",
                "attributes": [
                    { "key": "http.request.method", "value": { "stringValue": "GET" } },
                    { "key": "url.path", "value": { "stringValue": "/a" } },
                    { "key": "url.scheme", "value": { "stringValue": "https" } },
                    { "key": "network.protocol.version", "value": { "stringValue": "1.1" } },
                    { "key": "tls.protocol.version", "value": { "stringValue": "1.2" } },
                    { "key": "server.address", "value": { "stringValue": "shop.example" } },
                    { "key": "client.address", "value": { "stringValue": "203.0.113.7" } },
                    { "key": "http.response.status_code", "value": { "intValue": "502" } },
                    { "key": "tidegate.service", "value": { "stringValue": "shop" } },
                    { "key": "tidegate.slot", "value": { "intValue": "8000" } },
                    { "key": "http.request.resend_count", "value": { "intValue": "2" } },
                    { "key": "tidegate.held", "value": { "doubleValue": 1.5 } },
                    { "key": "error.type", "value": { "stringValue": "502" } },
                ],
                "status": { "code": 2, "message": "no luck" },
            })
        );
    }

    #[test]
    fn names_have_few_values_whatever_clients_invent() {
        let exchange = testing::exchange();
        let method = Method::from_bytes(b"BREW").unwrap();
        let record = Record {
            method: &method,
            status: 404,
            ..testing::record(&exchange)
        };
        let span = Span::new(trace(), &record).json();
        assert_eq!(span["name"], "HTTP");
        assert_eq!(span["status"], json!({}));
        let request = request("edge", &[Span::new(trace(), &record)]);
        let request: Value = serde_json::from_slice(&request).unwrap();
        let resource = &request["resourceSpans"][0];
        let name = &resource["resource"]["attributes"][0]["value"]["stringValue"];
        assert_eq!(name, "edge");
        let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
        assert_eq!(spans.len(), 1);
    }
}
