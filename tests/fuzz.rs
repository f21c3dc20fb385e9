//! Any bytes at a real listener: what goes out to the recorder behind it is read in the same way
//! by two parsers that have nothing in common.
//!
//! `FUZZ_CASES` says how many are tried; `make fuzz` tries for minutes.

use crate::support::edge::Edge;
use crate::support::recorder::Recorder;
use http_muncher::{Parser, ParserHandler};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const CASES: u32 = 400;
/// Nothing takes longer, whatever was sent.
const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\n:-)";

fn cases(default: u32) -> ProptestConfig {
    let wanted = std::env::var("FUZZ_CASES").ok();
    let cases = wanted.and_then(|wanted| wanted.parse().ok());
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::with_cases(cases.unwrap_or(default))
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let lines = include_str!("corpus.txt").lines();
    let requests = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
    requests.map(unescaped).collect()
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().expect("an escape") {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'0' => 0,
                b'\\' => b'\\',
                b'x' => {
                    let digits = [rest.next(), rest.next()].map(|digit| digit.expect("a digit"));
                    let digits = String::from_utf8(digits.to_vec()).expect("ASCII");
                    u8::from_str_radix(&digits, 16).expect("hexadecimal")
                }
                other => panic!("\\{} in {line}", char::from(other)),
            },
            byte => byte,
        });
    }
    bytes
}

/// Something that parsers disagree on, put anywhere.
fn spice() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&[u8]> = vec![
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b",",
        b"\0",
        b"\x0b",
        b"\xff",
        b"0\r\n\r\n",
        b"\r\n\r\n",
        b"Content-Length: 1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Host: b\r\n",
        b"Connection: close, host\r\n",
        b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        b"X_Y: 1\r\n",
        b"..",
        b"//",
        b"%2e",
        b"%2f",
        b"#",
        b"\\",
        b"5",
    ];
    prop_oneof![
        6 => select(words).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

/// A request of the corpus, or two of them in a row, cut and spiced.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let one = || select(corpus());
    let start = prop_oneof![4 => one(), 1 => (one(), one()).prop_map(|(a, b)| [a, b].concat())];
    let changes = prop::collection::vec((any::<Index>(), 0usize..3, spice()), 0..4);
    (start, changes).prop_map(|(mut bytes, changes)| {
        for (at, cut, put) in changes {
            let start = at.index(bytes.len() + 1);
            let end = (start + cut).min(bytes.len());
            bytes.splice(start..end, put);
        }
        bytes
    })
}

/// Sends it and waits until there is an answer or an end.
async fn send(edge: SocketAddr, bytes: &[u8]) {
    let exchange = async {
        let mut stream = TcpStream::connect(edge).await.expect("it listens");
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
            if is_answered(&answer) {
                break;
            }
        }
    };
    let within = timeout(PATIENCE, exchange).await;
    within.unwrap_or_else(|_| panic!("it hangs: {}", bytes.escape_ascii()));
}

/// Whether the head of a final answer is there: the recorder gives it to whole requests only.
fn is_answered(mut answer: &[u8]) -> bool {
    // Bytes that are the preface of HTTP/2 get its settings, whose length begins with a zero.
    if answer.first() == Some(&0) {
        return true;
    }
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(answer) {
            Ok(httparse::Status::Complete(length)) if response.code < Some(200) => {
                answer = &answer[length..];
            }
            Ok(httparse::Status::Partial) => return false,
            Ok(httparse::Status::Complete(_)) => return true,
            Err(error) => panic!("{error} in the answer {}", answer.escape_ascii()),
        }
    }
}

#[derive(Debug, Default, PartialEq)]
struct Message {
    method: String,
    target: String,
    /// Names in lower case.
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// Every message in `bytes`, which must hold nothing else.
fn by_httparse(mut bytes: &[u8]) -> Result<Vec<Message>, String> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(bytes).map_err(|error| error.to_string())?;
        let httparse::Status::Complete(length) = parsed else {
            return Err("half a head".to_owned());
        };
        bytes = &bytes[length..];
        let lines = request.headers.iter();
        let mut message = Message {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            headers: lines
                .map(|line| (line.name.to_ascii_lowercase(), line.value.to_vec()))
                .collect(),
            body: Vec::new(),
        };
        match (
            message.one("transfer-encoding")?,
            message.one("content-length")?,
        ) {
            (None, None) => {}
            (Some(b"chunked"), None) => loop {
                let size = httparse::parse_chunk_size(bytes).map_err(|_| "no chunk size")?;
                let httparse::Status::Complete((line, size)) = size else {
                    return Err("half a chunk".to_owned());
                };
                let size = size as usize;
                bytes = &bytes[line..];
                if size == 0 {
                    bytes = message.trailers(bytes)?;
                    break;
                }
                let chunk = bytes.get(..size + 2).ok_or("half a chunk")?;
                bytes = &bytes[size + 2..];
                if &chunk[size..] != b"\r\n" {
                    return Err("a chunk without an end".to_owned());
                }
                message.body.extend_from_slice(&chunk[..size]);
            },
            (None, Some(length)) => {
                let length = std::str::from_utf8(length).map_err(|error| error.to_string())?;
                let length: usize = length.parse().map_err(|_| "no length")?;
                message.body = bytes.get(..length).ok_or("half a body")?.to_vec();
                bytes = &bytes[length..];
            }
            both => return Err(format!("two lengths: {both:?}")),
        }
        messages.push(message);
    }
    Ok(messages)
}

impl Message {
    /// Adds the fields behind the last chunk to those of the head, as the other parser does.
    /// Returns the bytes behind them.
    fn trailers<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], String> {
        let mut lines = [httparse::EMPTY_HEADER; 128];
        let parsed = httparse::parse_headers(bytes, &mut lines).map_err(|e| e.to_string())?;
        let httparse::Status::Complete((length, lines)) = parsed else {
            return Err("half a trailer".to_owned());
        };
        for line in lines {
            let name = line.name.to_ascii_lowercase();
            if DECIDES_BEFORE_A_BODY.contains(&name.as_str()) {
                return Err(format!("`{name}` behind a body"));
            }
            self.headers.push((name, line.value.to_vec()));
        }
        Ok(&bytes[length..])
    }

    /// The value of the only header of this name.
    fn one(&self, name: &str) -> Result<Option<&[u8]>, String> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(format!("`{name}` twice")),
            (found, None) => Ok(found.map(|(_, value)| &value[..])),
        }
    }
}

#[derive(Default)]
struct Muncher {
    messages: Vec<Message>,
    is_in_value: bool,
    complete: usize,
}

impl Muncher {
    fn last(&mut self) -> &mut Message {
        self.messages.last_mut().expect("one has begun")
    }
}

impl ParserHandler for Muncher {
    fn on_message_begin(&mut self, _: &mut Parser) -> bool {
        self.messages.push(Message::default());
        self.is_in_value = true;
        true
    }

    fn on_url(&mut self, _: &mut Parser, url: &[u8]) -> bool {
        self.last().target += &String::from_utf8_lossy(url);
        true
    }

    fn on_header_field(&mut self, _: &mut Parser, name: &[u8]) -> bool {
        if std::mem::take(&mut self.is_in_value) {
            self.last().headers.push(Default::default());
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        self.last().headers.last_mut().expect("pushed").0 += &name;
        true
    }

    fn on_header_value(&mut self, _: &mut Parser, value: &[u8]) -> bool {
        self.is_in_value = true;
        let line = self.last().headers.last_mut().expect("has a name");
        line.1.extend_from_slice(value);
        true
    }

    fn on_body(&mut self, _: &mut Parser, body: &[u8]) -> bool {
        self.last().body.extend_from_slice(body);
        true
    }

    fn on_message_complete(&mut self, _: &mut Parser) -> bool {
        self.complete += 1;
        true
    }
}

fn by_muncher(bytes: &[u8]) -> Result<Vec<Message>, String> {
    let mut muncher = Muncher::default();
    let mut parser = Parser::request();
    let read = parser.parse(&mut muncher, bytes);
    if parser.has_error() {
        return Err(parser.error_description().to_owned());
    }
    if read != bytes.len() || muncher.complete != muncher.messages.len() {
        return Err("half a message".to_owned());
    }
    // The parser knows the method of the last message only, and only now.
    if let Some(last) = muncher.messages.last_mut() {
        last.method = parser.http_method().to_owned();
    }
    Ok(muncher.messages)
}

/// Fields whose place is before a body, because they frame, route or admit a request (RFC 9110
/// §6.5.1).
const DECIDES_BEFORE_A_BODY: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-proto",
];

/// Only these are known to the second parser.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "LINK",
];

/// Judges the bytes of one connection to a replica. A connection whose client left or stalled is
/// cut short, and then nothing whole may be in it but its beginning.
fn judge(bytes: &[u8]) -> Result<(), String> {
    let first = match by_httparse(bytes) {
        Ok(messages) => messages,
        Err(why) if why.starts_with("half") => return Ok(()),
        Err(why) => return Err(why),
    };
    let is_known = |message: &Message| METHODS.contains(&message.method.as_str());
    if !first.iter().all(is_known) {
        return Ok(());
    }
    // The recorder closes after an answer, so a second one was in the body of the first.
    let [message] = &first[..] else {
        return Err(format!("{} requests where one was answered", first.len()));
    };
    let second = by_muncher(bytes)?;
    if first != second {
        return Err(format!("{first:?}\nis also\n{second:?}"));
    }
    if !message.target.starts_with('/') || message.target.starts_with("//") {
        return Err("a target that is no path".to_owned());
    }
    let path = message.target.split('?').next().unwrap_or_default();
    if path
        .split('/')
        .any(|segment| [".", ".."].contains(&segment))
    {
        return Err("dots in the path".to_owned());
    }
    message.one("host")?;
    if message.one("x-forwarded-for")? != Some(b"127.0.0.1") {
        return Err("somebody else's X-Forwarded-For".to_owned());
    }
    let names: BTreeSet<&str> = message
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let ends_here = [
        "forwarded",
        "x-real-ip",
        "keep-alive",
        "te",
        "trailer",
        "proxy",
    ];
    match ends_here.iter().find(|name| names.contains(*name)) {
        Some(name) => Err(format!("`{name}` went out")),
        None => Ok(()),
    }
}

#[test]
fn what_goes_out_has_one_reading_whatever_came_in() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (web, edge) = runtime.block_on(async {
        let web = Recorder::start().await;
        let services = format!(
            "timeouts: {{ header: 200ms, client_read: 200ms }}\n\
             services: {{ web: {{ addresses: [\"{}\"], healthcheck: {{ interval: 60s }}, \
             read_timeout: 1s }} }}\n",
            web.address
        );
        let edge = Edge::start(&services).await;
        edge.ready().await;
        (web, edge)
    });
    web.answers(ANSWER);
    let got = std::cell::Cell::new(0);
    let run = |bytes: &[u8]| {
        web.take();
        runtime.block_on(send(edge.address, bytes));
        for sent in web.take() {
            got.set(got.get() + 1);
            judge(&sent).map_err(|why| {
                let (came, sent) = (bytes.escape_ascii(), sent.escape_ascii());
                TestCaseError::fail(format!("{why}\ncame: {came}\nwent: {sent}"))
            })?;
        }
        Ok(())
    };
    for bytes in corpus() {
        run(&bytes).unwrap();
    }
    let config = cases(CASES);
    let count = config.cases;
    let mut runner = TestRunner::new(config);
    runner
        .run(&request(), |bytes| run(&bytes))
        .unwrap_or_else(|error| panic!("{error}"));
    // A listener that refuses everything would pass as well.
    let got = got.get();
    assert!(got > count / 10, "only {got} of {count} got through");
    let alive = runtime.block_on(edge.get("/"));
    assert_eq!(alive.status, 200);
}

#[test]
fn both_parsers_see_what_is_smuggled() {
    let two = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n\
                GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(by_httparse(two).unwrap().len(), 2);
    assert_eq!(by_muncher(two).unwrap().len(), 2);
    assert!(judge(two).is_err());
    for doubtful in [
        &b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 127.0.0.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"[..],
        b"GET /../ HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 6.6.6.6\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nx-forwarded-for: 127.0.0.1\r\n\r\n",
    ] {
        assert!(judge(doubtful).is_err(), "{}", doubtful.escape_ascii());
    }
    let fine = b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 127.0.0.1\r\n\r\n";
    judge(fine).unwrap();
}
