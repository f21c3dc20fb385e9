//! One line of the log.

use crate::plugin::prelude::*;
use serde::Serialize;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::SystemTime;

/// Data of a finished request, copied so that the request need not wait for the formatting.
pub struct Entry {
    time: SystemTime,
    service: Option<ServiceName>,
    client: Option<IpAddr>,
    id: Option<HeaderValue>,
    method: Method,
    host: Option<Box<str>>,
    target: Box<str>,
    protocol: &'static str,
    tls: Option<&'static str>,
    status: u16,
    slot: Option<Slot>,
    duration: Duration,
    retries: u32,
    request_bytes: u64,
    response_bytes: u64,
    error: Option<Box<str>>,
    format: Format,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Json,
    Text,
}

impl Entry {
    pub fn new(record: &Record<'_>, format: Format) -> Self {
        Entry {
            time: SystemTime::now(),
            service: record.exchange.service.clone(),
            client: record.exchange.client,
            id: record.exchange.id.clone(),
            method: record.method.clone(),
            host: record.host.map(Box::from),
            target: Box::from(record.target),
            protocol: record.exchange.protocol_name(),
            tls: record.exchange.tls,
            status: record.status,
            slot: record.slot,
            duration: record.duration,
            retries: record.retries,
            request_bytes: record.request_body_bytes,
            response_bytes: record.response_body_bytes,
            error: record.error.map(Box::from),
            format,
        }
    }
}

impl log_writer::Line for Entry {
    fn bytes(&self) -> usize {
        let texts = [&self.host, &self.error].into_iter().flatten();
        size_of::<Entry>() + self.target.len() + texts.map(|text| text.len()).sum::<usize>()
    }

    fn write(&self, out: &mut Vec<u8>) {
        let line = Line::from(self);
        let written = match self.format {
            Format::Json => serde_json::to_writer(&mut *out, &line).map_err(io::Error::from),
            Format::Text => write_text(&line, out),
        };
        written.expect("a vector takes everything");
        out.push(b'\n');
    }

    fn report_dropped(count: u64, _: &mut Vec<u8>) {
        log::warn!("access-log: writing again; {count} lines were left out");
    }

    fn report_failure(output: &str, error: &io::Error) {
        log::warn!("access-log: leaving lines out, cannot write to {output}: {error}");
    }
}

/// The fields of a line, in their order.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    service: Option<&'a str>,
    client: Option<IpAddr>,
    method: &'a str,
    host: Option<&'a str>,
    target: &'a str,
    protocol: &'static str,
    tls: Option<&'static str>,
    status: u16,
    duration_ms: f64,
    slot: Option<Slot>,
    retries: u32,
    request_bytes: u64,
    response_bytes: u64,
    id: Option<&'a str>,
    error: Option<&'a str>,
}

impl<'a> From<&'a Entry> for Line<'a> {
    fn from(entry: &'a Entry) -> Self {
        Line {
            time: humantime::format_rfc3339_millis(entry.time).to_string(),
            service: entry.service.as_ref().map(ServiceName::as_str),
            client: entry.client,
            method: entry.method.as_str(),
            host: entry.host.as_deref(),
            target: &entry.target,
            protocol: entry.protocol,
            tls: entry.tls,
            status: entry.status,
            duration_ms: entry.duration.as_micros() as f64 / 1e3,
            slot: entry.slot,
            retries: entry.retries,
            request_bytes: entry.request_bytes,
            response_bytes: entry.response_bytes,
            id: entry.id.as_ref().and_then(|id| id.to_str().ok()),
            error: entry.error.as_deref(),
        }
    }
}

fn write_text(line: &Line<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let client = line.client.map_or("-".into(), |client| client.to_string());
    let slot = line.slot.map_or("-".into(), |slot| slot.to_string());
    write!(
        out,
        r#"{client} - - [{}] "{} {}" {} {} "{}" {} {slot} {:.3}ms {}"#,
        line.time,
        line.method,
        quoted(line.target),
        line.status,
        line.response_bytes,
        quoted(line.host.unwrap_or("-")),
        line.service.unwrap_or("-"),
        line.duration_ms,
        line.id.unwrap_or("-"),
    )?;
    match line.error {
        Some(error) => write!(out, r#" "{}""#, quoted(error)),
        None => Ok(()),
    }
}

/// Escapes a client's text, so that it cannot end the quotes or the line.
fn quoted(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' | '\\' => safe.extend(char.escape_default()),
            char if char.is_control() => safe.extend(char.escape_default()),
            char => safe.push(char),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format, record: &Record<'_>) -> String {
        let mut entry = Entry::new(record, format);
        entry.time = SystemTime::UNIX_EPOCH;
        let mut out = vec![];
        log_writer::Line::write(&entry, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn exchange() -> Exchange {
        Exchange {
            client: Some([203, 0, 113, 7].into()),
            tls: Some("1.3"),
            id: Some(HeaderValue::from_static("f81d4fae")),
            ..testing::routed()
        }
    }

    #[test]
    fn json_holds_one_object_a_line() {
        let exchange = exchange();
        let record = testing::record(&exchange);
        assert_eq!(
            line(Format::Json, &record),
            concat!(
                r#"{"time":"1970-01-01T00:00:00.000Z","service":"shop","client":"203.0.113.7","#,
                r#""method":"GET","host":"shop.example","target":"/","protocol":"HTTP/1.1","tls":"1.3","#,
                r#""status":200,"#,
                r#""duration_ms":5.0,"slot":8000,"retries":0,"request_bytes":0,"#,
                r#""response_bytes":2,"id":"f81d4fae","error":null}"#,
                "\n",
            )
        );
    }

    #[test]
    fn text_resembles_the_combined_format() {
        let exchange = exchange();
        let record = testing::record(&exchange);
        assert_eq!(
            line(Format::Text, &record),
            concat!(
                r#"203.0.113.7 - - [1970-01-01T00:00:00.000Z] "GET /" 200 2 "shop.example" "#,
                "shop 8000 5.000ms f81d4fae\n",
            )
        );
    }

    #[test]
    fn what_is_unknown_is_null_or_a_dash() {
        let exchange = testing::exchange();
        let record = Record {
            host: None,
            slot: None,
            status: 0,
            ..testing::record(&exchange)
        };
        let json = line(Format::Json, &record);
        assert!(json.contains(r#""service":null,"client":null,"#), "{json}");
        let text = line(Format::Text, &record);
        assert!(
            text.ends_with("\"GET /\" 0 2 \"-\" - - 5.000ms -\n"),
            "{text}"
        );
    }

    #[test]
    fn no_client_can_forge_a_line() {
        let exchange = exchange();
        let target = "/\" 200 1\r\n127.0.0.1 - - \\";
        let record = Record {
            target,
            error: Some("a \"b\"\n"),
            ..testing::record(&exchange)
        };
        for format in [Format::Json, Format::Text] {
            let line = line(format, &record);
            assert_eq!(line.lines().count(), 1, "{line}");
        }
        let parsed: serde_json::Value = serde_json::from_str(&line(Format::Json, &record)).unwrap();
        assert_eq!(parsed["target"], target);
        let text = line(Format::Text, &record);
        assert!(
            text.contains(r#""GET /\" 200 1\r\n127.0.0.1 - - \\" 200"#),
            "{text}"
        );
    }
}
