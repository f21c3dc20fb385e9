//! The plugin itself.

use super::export::{Collector, Exporter, Queue};
use super::span::Span;
use super::traceparent::{self, TRACEPARENT, TRACESTATE};
use crate::plugin::prelude::*;
use prometheus::{IntCounter, IntCounterVec, Opts};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tells an OpenTelemetry collector of every request, and the replica which trace it belongs to.
///
/// Requests never wait for it: when the collector is too slow, spans are left out and counted in
/// `tidegate_otlp_spans_dropped_total`. A span holds the path without its query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// The base of the collector's OTLP/HTTP, to which `/v1/traces` is added.
    #[serde(default = "default_endpoint")]
    endpoint: String,
    /// Headers that authenticate the sender, such as `authorization`.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Service name that the spans carry.
    #[serde(default = "default_service_name")]
    service_name: String,
    /// The share of traces that begin here which are recorded, 0 to 1.
    #[serde(default = "default_sample")]
    sample: f64,
    /// Clients whose traces go on here: `trusted`, those of `trusted_proxies`, or `all`.
    #[serde(default)]
    accept: Accept,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Accept {
    #[default]
    Trusted,
    All,
}

fn default_endpoint() -> String {
    "http://127.0.0.1:4318".to_owned()
}

fn default_service_name() -> String {
    "tidegate".to_owned()
}

fn default_sample() -> f64 {
    1.0
}

impl Plugin for Otlp {
    const NAME: &'static str = "otlp";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        let collector = Collector::at(&self.endpoint)
            .map_err(|why| PluginError::new(format!("`endpoint` is {:?}: {why}", self.endpoint)))?;
        if !(0.0..=1.0).contains(&self.sample) {
            let message = format!("`sample` is {}, and must be 0 to 1", self.sample);
            return Err(PluginError::new(message));
        }
        if self.service_name.is_empty() {
            return Err(PluginError::new("`service_name` is empty"));
        }
        let collector = Collector {
            headers: headers(&self.headers)?,
            service_name: self.service_name,
            ..collector
        };

        let sent = IntCounter::new(
            "tidegate_otlp_spans_sent_total",
            "Spans that the OpenTelemetry collector took.",
        );
        let sent = sent.expect("ours and valid");
        let dropped = Opts::new(
            "tidegate_otlp_spans_dropped_total",
            "Spans that the OpenTelemetry collector did not get.",
        );
        let dropped = IntCounterVec::new(dropped, &["reason"]).expect("ours and valid");
        for reason in ["full", "failed"] {
            dropped.with_label_values(&[reason]);
        }
        let metrics = prometheus::Registry::new();
        for registered in [
            metrics.register(Box::new(sent.clone())),
            metrics.register(Box::new(dropped.clone())),
        ] {
            registered.expect("they are the only ones");
        }
        hooks.metrics(metrics);

        let full = dropped.with_label_values(&["full"]);
        let (queue, exporter) = Queue::new(collector, sent, dropped);
        let queue = Arc::new(queue);
        hooks.background(run(Arc::downgrade(&queue), exporter));
        hooks.filter(Tracer {
            sample: self.sample,
            accept: self.accept,
        });
        hooks.observer(Recorder { queue, full });
        Ok(())
    }
}

fn headers(
    typed: &BTreeMap<String, String>,
) -> Result<Vec<(HeaderName, HeaderValue)>, PluginError> {
    let header = |(name, value): (&String, &String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            PluginError::new(format!("`headers`: {name:?} is not the name of a header"))
        })?;
        // The value may be a secret, so it is not shown.
        let value = HeaderValue::from_str(value).map_err(|_| {
            PluginError::new(format!("`headers.{name}` is not the value of a header"))
        })?;
        Ok((name, value))
    };
    typed.iter().map(header).collect()
}

/// Gives each request its trace, and tells the replica.
struct Tracer {
    sample: f64,
    accept: Accept,
}

impl Filter for Tracer {
    fn sees_all(&self) -> bool {
        true
    }

    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let is_accepted = self.accept == Accept::All || request.exchange.is_trusted;
        let continued = match is_accepted {
            true => traceparent::continued(&request.head.headers),
            false => None,
        };
        let trace = continued.unwrap_or_else(|| {
            // The state belongs to the trace that is not continued.
            request.head.remove_header(&TRACESTATE);
            traceparent::new(self.sample)
        });
        let value = traceparent::value(&trace);
        let inserted = request.head.insert_header(TRACEPARENT, value);
        debug_assert!(inserted.is_ok(), "both are valid");
        request.exchange.trace = Some(trace);
        Verdict::Continue
    }
}

struct Recorder {
    queue: Arc<Queue>,
    full: IntCounter,
}

impl Observer for Recorder {
    fn request(&self, record: &Record<'_>) {
        if let Some(trace) = record.exchange.trace.filter(|trace| trace.sampled)
            && !self.queue.push(Span::new(trace, record))
        {
            self.full.inc();
        }
    }

    fn flush(&self) {
        self.queue.flush();
    }
}

/// Starts the thread, which outlives this task: until the [`Recorder`] is gone, it sends what
/// requests in flight still have to say.
async fn run(queue: std::sync::Weak<Queue>, exporter: Exporter) {
    let thread = std::thread::Builder::new().name("otlp".into());
    if let Err(error) = thread.spawn(move || exporter.run()) {
        log::error!("otlp: no spans are sent: cannot start a thread: {error}");
        return;
    }
    if let Some(queue) = queue.upgrade() {
        queue.started();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::observe::otlp::export::QUEUE_SPANS_MAX;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    /// The treatment of a request that comes with a trace.
    fn pass(yaml: &str, is_trusted: bool, given: &str) -> (RequestHeader, Trace) {
        let filter = testing::install::<Otlp>(yaml).unwrap().filters.remove(0);
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        head.insert_header("traceparent", given).unwrap();
        head.insert_header("tracestate", "vendor=1").unwrap();
        let mut exchange = Exchange {
            is_trusted,
            ..testing::exchange()
        };
        filter.request(&mut Request {
            head: &mut head,
            exchange: &mut exchange,
        });
        (head, exchange.trace.unwrap())
    }

    #[test]
    fn a_trace_goes_on_where_it_may() {
        for (yaml, is_trusted, goes_on) in [
            ("", true, true),
            ("", false, false),
            ("accept: all", false, true),
            ("accept: trusted", false, false),
        ] {
            let (head, trace) = pass(yaml, is_trusted, GIVEN);
            assert_eq!(trace.parent.is_some(), goes_on, "{yaml} {is_trusted}");
            // The one that goes on is not recorded, because whoever began it said so.
            assert_eq!(trace.sampled, !goes_on);
            assert_eq!(head.headers.contains_key("tracestate"), goes_on);
            let told: Vec<_> = head.headers.get_all("traceparent").iter().collect();
            assert_eq!(told, [&traceparent::value(&trace)]);
            assert_ne!(told[0], GIVEN);
        }
        let (head, trace) = pass("", true, "nonsense");
        assert_eq!(trace.parent, None);
        assert!(!head.headers.contains_key("tracestate"));
    }

    #[test]
    fn a_collector_that_does_not_keep_up_costs_spans_and_nothing_else() {
        let installed = testing::install::<Otlp>("").unwrap();
        let exchange = Exchange {
            trace: Some(traceparent::new(1.0)),
            ..testing::routed()
        };
        // Nobody takes them.
        for _ in 0..QUEUE_SPANS_MAX + 3 {
            installed.observers[0].request(&testing::record(&exchange));
        }
        let unrecorded = Exchange {
            trace: Some(traceparent::new(0.0)),
            ..testing::routed()
        };
        installed.observers[0].request(&testing::record(&unrecorded));
        let text = testing::metrics(&installed);
        let full = r#"tidegate_otlp_spans_dropped_total{reason="full"} 3"#;
        assert!(text.contains(full), "{text}");
    }

    #[test]
    fn what_cannot_work_is_refused_in_words() {
        for (yaml, expected) in [
            ("endpoint: https://a:4318", "https is not spoken"),
            ("endpoint: a:4318", "`endpoint` is \"a:4318\""),
            ("endpoint: ''", "`endpoint` is \"\""),
            ("sample: 2", "`sample` is 2, and must be 0 to 1"),
            ("sample: .nan", "`sample` is NaN"),
            ("service_name: ''", "`service_name` is empty"),
            (
                "headers: { 'a b': c }",
                "`headers`: \"a b\" is not the name",
            ),
            (
                "headers: { a: \"b\\nsecret\" }",
                "`headers.a` is not the value",
            ),
            ("accept: nobody", "accept: unknown variant"),
        ] {
            let error = testing::install::<Otlp>(yaml).err().expect(yaml);
            assert!(error.contains(expected), "{yaml}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
