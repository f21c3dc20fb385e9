//! Rows about requests: clean ones, those that are refused, and those that filters see to.

use super::replica::Act::{Close, Read, Write};
use super::row::Step::{AwaitRequests, Receive, Send};
use super::row::{GET, HINTED, OK, Row, UNREAD, chunked, get, post, row};

const KEPT_BACK: &[(&str, &str)] = &[("replica.0.body", "a piece may still wait to be sent")];
const DROPPED: &str = "Pingora drops the trailers of a request";
const EXPECTED: &str = "Pingora ends a connection whose client waited for 100";
const STREAM: &str = "a stream that ends is another failure than a connection that does";
const BAD_CHUNK: &str = "Pingora does not tell bad framing from a connection that broke";
const TAKEN_FIRST: &str = "a short body is read as a whole before a replica is asked";

pub fn rows() -> Vec<Row> {
    [clean(), spelled(), refused(), bounded(), filtered()]
        .into_iter()
        .flatten()
        .collect()
}

/// Requests as they should be.
fn clean() -> Vec<Row> {
    let long = "x".repeat(100 << 10);
    vec![
        row("get").asks(GET),
        row("get-with-headers").asks(get(
            "X-A: b\r\nx-a: c\r\nCookie: d=e\r\nx-forwarded-for: 1.2.3.4\r\nx-empty:\r\n",
        )),
        row("head")
            .asks("HEAD /@ HTTP/1.1\r\nhost: @\r\n\r\n")
            .answered_by("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        row("post").asks(post("hello")),
        row("post-empty").asks(post("")),
        row("post-long").asks(post(&long)),
        row("post-chunked").asks(chunked(&["hello", " world"])),
        row("post-chunked-empty").asks(chunked(&[])),
        row("post-chunked-long")
            .without(&[("h2", "not yet: now and then its stream ends early")])
            .asks(chunked(&[&long, &long])),
        row("post-with-trailers")
            .differs(("pingora", "replica.0.trailer.x-sum", DROPPED))
            .asks(
            "POST /@ HTTP/1.1\r\nhost: @\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
             5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n",
        ),
        row("put").asks("PUT /@?a=b HTTP/1.1\r\nhost: @\r\ncontent-length: 2\r\n\r\nhi"),
        row("delete").asks("DELETE /@ HTTP/1.1\r\nhost: @\r\n\r\n"),
        row("unknown-method").asks("BREW /@ HTTP/1.1\r\nhost: @\r\n\r\n"),
        row("options").asks("OPTIONS /@ HTTP/1.1\r\nhost: @\r\nmax-forwards: 3\r\n\r\n"),
        row("options-here").asks("OPTIONS /@ HTTP/1.1\r\nhost: @\r\nmax-forwards: 0\r\n\r\n"),
        row("options-of-the-server").asks("OPTIONS * HTTP/1.1\r\nhost: @\r\n\r\n"),
        row("expect")
            .differs(("pingora", "client.0.answer.1.head.connection", EXPECTED))
            .differs(("pingora", "client.0.connection", EXPECTED))
            .replica(vec![vec![
                Write("HTTP/1.1 100 Continue\r\n\r\n"),
                Read,
                Write(OK),
            ]])
            .steps([
                Send(
                    "POST /@ HTTP/1.1\r\nhost: @\r\nexpect: 100-continue\r\n\
                     content-length: 5\r\n\r\n"
                        .into(),
                ),
                Receive,
                Send("hello".into()),
                Receive,
            ])
            .gets(&[100, 200]),
        row("expect-nonsense").asks(get("expect: nothing\r\n")),
        row("two-requests")
            .asks(GET)
            .asks(post("hello"))
            .gets(&[200, 200])
            .records(2),
        row("pipelined")
            .steps([Send([GET, GET].concat()), Receive, Receive])
            .gets(&[200, 200])
            .records(2),
        row("pipelined-bodies")
            .steps([
                Send([post("hello"), chunked(&["hi"]), GET.to_owned()].concat()),
                Receive,
                Receive,
                Receive,
            ])
            .gets(&[200, 200, 200])
            .records(3),
        row("in-pieces").steps([
            Send("POST /@ HTTP/1.1\r\nho".into()),
            Send("st: @\r\ncontent-length: 5\r\n\r".into()),
            Send("\nhel".into()),
            Send("lo".into()),
            Receive,
        ]),
    ]
}

/// Requests in other words than most.
fn spelled() -> Vec<Row> {
    vec![
        row("connection-close").asks(get("connection: close\r\n")),
        row("connection-keep-alive").asks(get("Connection: Keep-Alive\r\n")),
        row("connection-names-a-header").asks(get("connection: x-hop\r\nx-hop: 1\r\n")),
        row("te-trailers").asks(get("te: trailers\r\nconnection: te\r\n")),
        row("hop-by-hop-headers").asks(get(
            "keep-alive: timeout=5\r\nproxy-connection: keep-alive\r\nproxy-authorization: x\r\n",
        )),
        row("other-upgrade").asks(get("connection: upgrade\r\nupgrade: h2c\r\n")),
        row("absolute").asks("GET http://@/@ HTTP/1.1\r\nhost: @\r\n\r\n"),
        row("escapes").asks("GET /@/%41%7e%2e?%41 HTTP/1.1\r\nhost: @\r\n\r\n"),
        row("later-version").asks("GET /@ HTTP/1.2\r\nhost: @\r\n\r\n"),
        row("length-with-zeros")
            .asks("POST /@ HTTP/1.1\r\nhost: @\r\ncontent-length: 005\r\n\r\nhello"),
        row("http-1-0").asks("GET /@ HTTP/1.0\r\nhost: @\r\n\r\n"),
        row("http-1-0-post").asks("POST /@ HTTP/1.0\r\nhost: @\r\ncontent-length: 5\r\n\r\nhello"),
        row("http-1-0-keep-alive")
            .asks("GET /@ HTTP/1.0\r\nhost: @\r\nconnection: keep-alive\r\n\r\n"),
        row("http-1-0-chunked")
            .asks("GET /@ HTTP/1.0\r\nhost: @\r\nconnection: keep-alive\r\n\r\n")
            .answered_by(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            ),
        row("http-1-0-interim")
            .asks("GET /@ HTTP/1.0\r\nhost: @\r\n\r\n")
            .answered_by(HINTED),
    ]
}

/// Requests without a reading, and those that lead nowhere.
fn refused() -> Vec<Row> {
    let at = |head: &str| format!("{head}\r\nhost: @\r\n\r\n");
    vec![
        row("no-host").asks("GET /@ HTTP/1.1\r\n\r\n").gets(&[400]),
        row("two-hosts")
            .asks(get("host: @\r\n"))
            .gets(&[400])
            .records(0),
        row("two-lengths")
            .asks("POST /@ HTTP/1.1\r\nhost: @\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nhi")
            .gets(&[400]),
        row("length-and-chunks")
            .asks(
                "POST /@ HTTP/1.1\r\nhost: @\r\ncontent-length: 5\r\n\
                 transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            )
            .gets(&[400]),
        row("other-coding")
            .asks("POST /@ HTTP/1.1\r\nhost: @\r\ntransfer-encoding: gzip\r\n\r\n")
            .gets(&[400])
            .records(0),
        row("bad-chunk")
            .without(&[("h2", "HTTP/2 has no chunks")])
            .differs(("pingora", "record.0.error", BAD_CHUNK))
            .steps([
                Send(
                    "POST /@ HTTP/1.1\r\nhost: @\r\ntransfer-encoding: chunked\r\n\r\n\
                     5\r\nhello\r\n"
                        .into(),
                ),
                AwaitRequests(1),
                Send("x\r\n".into()),
                Receive,
            ])
            .gets(&[400])
            .unsteady(KEPT_BACK),
        row("encoded-slash")
            .asks(at("GET /@/a%2Fb HTTP/1.1"))
            .gets(&[400]),
        row("dots").asks(at("GET /x/../@ HTTP/1.1")).gets(&[400]),
        row("above-the-root")
            .asks(at("GET /@/../../x HTTP/1.1"))
            .gets(&[400]),
        row("line-feed")
            .asks("GET /@ HTTP/1.1\nhost: @\r\n\r\n")
            .gets(&[400]),
        row("space-in-a-name")
            .asks(get("x a: b\r\n"))
            .gets(&[400])
            .records(0),
        row("space-before-a-colon")
            .asks(get("x-a : b\r\n"))
            .gets(&[400])
            .records(0),
        row("folded")
            .asks(get("x-a: b\r\n c\r\n"))
            .gets(&[400])
            .records(0),
        row("control-character-in-a-value")
            .asks(get("x-a: b\u{1}c\r\n"))
            .gets(&[400])
            .records(0),
        row("unknown-version")
            .asks(at("GET /@ HTTP/3.0"))
            .gets(&[400])
            .records(0),
        row("nonsense")
            .without(&[("h2", "nothing that has no head is a stream")])
            .asks("@ nonsense\r\n\r\n")
            .gets(&[400])
            .records(0),
        row("connection-names-host")
            .asks(get("connection: host\r\n"))
            .gets(&[400]),
        row("trace").asks(at("TRACE /@ HTTP/1.1")).gets(&[405]),
        row("connect")
            .asks("CONNECT @:80 HTTP/1.1\r\nhost: @:80\r\n\r\n")
            .gets(&[405])
            .records(0),
        row("no-route")
            .asks("GET /@ HTTP/1.1\r\nhost: no-such-host\r\n\r\n")
            .gets(&[404]),
        row("front-page").asks("GET / HTTP/1.1\r\nhost: x.@\r\n\r\n"),
        row("no-route-post")
            .asks("POST /@ HTTP/1.1\r\nhost: no-such-host\r\ncontent-length: 5\r\n\r\nhello")
            .gets(&[404]),
    ]
}

/// Requests that are too slow or too large.
fn bounded() -> Vec<Row> {
    let slow_body = "POST /@ HTTP/1.1\r\nhost: @\r\ncontent-length: 10\r\n\r\nhello";
    let slow_chunk = "POST /@ HTTP/1.1\r\nhost: @\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel";
    let small = "    max_request_body: 4B\n";
    vec![
        row("slow-head")
            .steps([Send("GET /@ HTTP/1.1\r\nho".into()), Receive])
            .gets(&[408])
            .records(0),
        row("slow-body")
            .steps([Send(slow_body.into()), Receive])
            .unsteady(&[("record.0.error", "two timers end at the same time")])
            .gets(&[408])
            .differs(("pingora", "replica.0.*", TAKEN_FIRST))
            .differs(("pingora", "record.0.slot", TAKEN_FIRST))
            .differs((
                "pingora",
                "counted.tidegate_replica_requests_total.*",
                TAKEN_FIRST,
            )),
        row("slow-chunk")
            .differs(("h2", "record.0.error", STREAM))
            .steps([Send(slow_chunk.into()), Receive])
            .gets(&[408])
            .unsteady(KEPT_BACK),
        row("body-too-large")
            .with(small)
            .asks(post("hello"))
            .gets(&[413]),
        row("body-too-large-and-unsent")
            .with(small)
            .steps([
                Send("POST /@ HTTP/1.1\r\nhost: @\r\ncontent-length: 500\r\n\r\n".into()),
                Receive,
            ])
            .gets(&[413]),
        row("chunks-too-large")
            .with(small)
            .asks(chunked(&["hello"]))
            .gets(&[413])
            .unsteady(&[(
                "replica.*",
                "the head may be on its way when the chunk comes",
            )]),
        row("expect-and-too-large")
            .with(small)
            .asks(
                "POST /@ HTTP/1.1\r\nhost: @\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
            )
            .gets(&[413]),
        row("target-too-long")
            .asks(format!(
                "GET /@?{} HTTP/1.1\r\nhost: @\r\n\r\n",
                "x".repeat(9000)
            ))
            .gets(&[414]),
        row("too-many-headers")
            .asks(get(&"x-a: b\r\n".repeat(101)))
            .gets(&[431]),
        row("headers-too-large")
            .asks(get(&format!("x-a: {}\r\n", "x".repeat(66 << 10))))
            .gets(&[431]),
    ]
}

/// Requests and answers that a filter sees to.
fn filtered() -> Vec<Row> {
    let marks = "    plugins: [{ marks: {} }]\n";
    let answer_me = "x-answer-me: 1\r\n";
    let post_to_filter = |rest: &str| format!("POST /@ HTTP/1.1\r\nhost: @\r\n{answer_me}{rest}");
    vec![
        row("filter-marks")
            .with(marks)
            .asks(get("x-remove-me: 1\r\nx-marked: by the client\r\n"))
            .answered_by(
                "HTTP/1.1 200 OK\r\nx-remove-me: 1\r\nx-marked: by the replica\r\n\
                 content-length: 2\r\n\r\nok",
            ),
        row("filter-marks-post").with(marks).asks(post("hello")),
        row("filter-marks-interim")
            .with(marks)
            .steps([Send(GET.into()), Receive, Receive])
            .answered_by(HINTED)
            .gets(&[103, 200]),
        row("filter-marks-refusal")
            .with("    plugins: [{ marks: {} }]\n    max_request_body: 4B\n")
            .asks(post("hello"))
            .gets(&[413]),
        row("filter-marks-failure")
            .with("    plugins: [{ marks: {} }]\n    retries: { attempts: 1 }\n")
            .asks(GET)
            .replica(vec![vec![Read, Close]])
            .gets(&[502]),
        row("filter-answers")
            .with(marks)
            .asks(get(answer_me))
            .gets(&[418]),
        row("filter-answers-head")
            .with(marks)
            .asks(format!("HEAD /@ HTTP/1.1\r\nhost: @\r\n{answer_me}\r\n"))
            .gets(&[418]),
        row("filter-answers-post")
            .with(marks)
            .asks(post_to_filter("content-length: 5\r\n\r\nhello"))
            .gets(&[418])
            .differs(("pingora", "client.0.connection", UNREAD))
            .differs(("pingora", "client.0.answer.0.head.connection", UNREAD)),
        row("filter-answers-partial-post")
            .with(marks)
            .steps([Send(post_to_filter("content-length: 5\r\n\r\nhe")), Receive])
            .gets(&[418]),
        row("filter-answers-chunked")
            .with(marks)
            .asks(post_to_filter(
                "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            ))
            .gets(&[418]),
    ]
}
