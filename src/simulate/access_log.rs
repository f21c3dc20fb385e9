//! Traffic from an access log of Tidegate: a line of JSON for each request.

use super::trace::{ROWS_MAX, Trace, TraceError};
use jiff::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Requests are counted in steps of this.
const STEP: Duration = Duration::from_secs(1);

/// Fields of a line that are used.
#[derive(Deserialize)]
struct AccessLogLine<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    service: Option<Cow<'a, str>>,
    duration_ms: f64,
}

#[derive(Debug)]
pub struct Counted {
    pub trace: Trace,
    /// Mean time of a request.
    pub took: Duration,
}

/// Whether a file is an access log, by its first line.
pub fn is_one(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Counts the requests of a service, or of the only one that there is. Lines may stand in any
/// order; one at the end that is still being written is left out.
pub fn count(text: &str, service: Option<&str>) -> Result<Counted, TraceError> {
    let mut counts: BTreeMap<i64, f64> = BTreeMap::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut took = 0.0;
    let mut requests = 0.0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let wrong = |problem| TraceError {
            line: index + 1,
            problem,
        };
        let is_whole = line.ends_with('\n');
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let read = match serde_json::from_str::<AccessLogLine<'_>>(line) {
            Ok(read) => read,
            Err(_) if !is_whole => break,
            Err(error) => {
                return Err(wrong(format!("is no line of an access log: {error}")));
            }
        };
        // No route matched it.
        let Some(name) = read.service else {
            continue;
        };
        if !names.contains(name.as_ref()) {
            names.insert(name.clone().into_owned());
        }
        if service.is_some_and(|service| service != name) {
            continue;
        }
        let time: Timestamp = read
            .time
            .parse()
            .map_err(|error| wrong(format!("`time`: {error}")))?;
        *counts.entry(time.as_second()).or_default() += 1.0;
        took += read.duration_ms.max(0.0);
        requests += 1.0;
    }
    let whole = |problem| TraceError { line: 0, problem };
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let names = names.join(", ");
    if service.is_none() && names.contains(',') {
        return Err(whole(format!(
            "has requests of {names}: choose one with --service"
        )));
    }
    let (Some((first, _)), Some((last, _))) = (counts.first_key_value(), counts.last_key_value())
    else {
        let of = service.map_or("any service".to_owned(), |name| format!("`{name}`"));
        let there = match names.is_empty() {
            true => String::new(),
            false => format!("; there are requests of {names}"),
        };
        return Err(whole(format!("has no request of {of}{there}")));
    };
    let (first, steps) = (*first, (last - first) as usize + 1);
    if steps > ROWS_MAX {
        return Err(whole("lasts for more than a year".to_owned()));
    }
    let mut trace = Trace {
        start: Duration::from_secs(u64::try_from(first).unwrap_or_default()),
        step: STEP,
        requests: vec![0.0; steps],
    };
    for (second, count) in counts {
        trace.requests[(second - first) as usize] = count;
    }
    let took = Duration::from_secs_f64(took / requests / 1e3);
    Ok(Counted { trace, took })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time: &str, service: &str, ms: f64) -> String {
        format!(
            "{{\"time\":\"{time}\",\"service\":{service},\"target\":\"/\",\"duration_ms\":{ms}}}\n"
        )
    }

    #[test]
    fn the_requests_of_a_service_are_counted_by_the_second() {
        let log = [
            line("2026-11-29T10:00:02.900Z", "\"web\"", 30.0),
            line("2026-11-29T10:00:00.100Z", "\"web\"", 10.0),
            line("2026-11-29T10:00:01.000Z", "\"other\"", 500.0),
            line("2026-11-29T10:00:01.500Z", "null", 500.0),
            line("2026-11-29T10:00:02.000Z", "\"web\"", 20.0),
            "{\"time\":\"2026-11-2".to_owned(),
        ]
        .concat();
        assert!(is_one(&log));
        let counted = count(&log, Some("web")).unwrap();
        assert_eq!(counted.trace.requests, [1.0, 0.0, 2.0]);
        assert_eq!(counted.trace.start, Duration::from_secs(1_795_946_400));
        assert_eq!(counted.took, Duration::from_millis(20));
        for (service, says) in [
            (None, "requests of `other`, `web`: choose one"),
            (Some("db"), "no request of `db`; there are requests of"),
        ] {
            let error = count(&log, service).unwrap_err();
            assert!(error.problem.contains(says), "{error}");
        }
    }

    #[test]
    fn what_is_no_access_log_is_told_by_its_line() {
        let good = line("2026-11-29T10:00:00Z", "\"web\"", 1.0);
        for (text, at, says) in [
            (format!("{good}nonsense\n"), 2, "no line of an access log"),
            (
                format!("{good}{}", line("soon", "\"web\"", 1.0)),
                2,
                "`time`",
            ),
            ("{}\n".to_owned(), 1, "missing field"),
            (line("2026-11-29T10:00:00Z", "null", 1.0), 0, "any service"),
        ] {
            let error = count(&text, None).unwrap_err();
            assert_eq!(error.line, at, "{error}");
            assert!(error.problem.contains(says), "{error}");
        }
    }
}
