//! Rows about replicas and their answers, and about clients that leave.

use super::replica::Act::{AwaitEnd, Close, Echo, Pause, Read, Reset, Write};
use super::row::Step::{
    AwaitClose, AwaitHeld, AwaitReplicas, AwaitRequests, EndSending, Heal, Leave, Receive,
    ReceiveEnd, ReceivePart, Resume, Send, Stop, Use,
};
use super::row::{GET, HINTED, OK, Row, UNREAD, answers, chunked, get, post, row};

const NO_PHRASE: &str = "HTTP/2 has no reason phrase";
const STREAM: &str = "a stream that ends is another failure than a connection that does";
const TRAILERS: &str = "Pingora's client drops the trailers of an answer";
const EARLY: &str = "Pingora takes the rest of the body for one that broke off";
const HEAD_WAITS: &str = "a head waits for the first of its body, which is found broken here";

pub fn rows() -> Vec<Row> {
    [held(), broken(), framed(), early(), left(), upgraded()]
        .into_iter()
        .flatten()
        .collect()
}

/// Requests that wait for a replica.
fn held() -> Vec<Row> {
    let one = "    container_concurrency: 1\n";
    let slow = || vec![vec![Read, Pause, Write(OK)]];
    vec![
        row("held")
            .unready()
            .steps([Send(GET.into()), AwaitHeld(1), Heal, Receive]),
        row("held-post")
            .unready()
            .steps([Send(post("hello")), AwaitHeld(1), Heal, Receive]),
        row("held-chunked").unready().steps([
            Send(chunked(&["hello"])),
            AwaitHeld(1),
            Heal,
            Receive,
        ]),
        row("hold-timeout")
            .unready()
            .with("    hold: { timeout: 300ms }\n")
            .asks(GET)
            .gets(&[503]),
        row("hold-timeout-post")
            .unready()
            .with("    hold: { timeout: 300ms }\n")
            .asks(post("hello"))
            .gets(&[503])
            .differs(("pingora", "client.0.connection", UNREAD))
            .differs(("pingora", "client.0.answer.0.head.connection", UNREAD)),
        row("waiting-page")
            .unready()
            .with("    waiting_page: true\n    hold: { timeout: 300ms }\n")
            .asks(get("accept: text/html\r\n"))
            .gets(&[503])
            .differs((
                "tunnel",
                "*",
                "a handshake waits for its answer, not for a page",
            )),
        row("held-and-client-gone")
            .unready()
            .steps([Send(GET.into()), AwaitHeld(1), Leave, AwaitHeld(0), Heal])
            .gets(&[]),
        row("replica-full")
            .with(one)
            .replica(slow())
            .steps([
                Send(GET.into()),
                AwaitRequests(1),
                Use(1),
                Send(GET.into()),
                AwaitHeld(1),
                Resume(0),
                Use(0),
                Receive,
                AwaitRequests(2),
                Resume(0),
                Use(1),
                Receive,
            ])
            .gets(&[200, 200])
            .records(2),
        row("queue-timeout")
            .with("    container_concurrency: 1\n    hold: { timeout: 300ms }\n")
            .replica(slow())
            .steps([
                Send(GET.into()),
                AwaitRequests(1),
                Use(1),
                Send(GET.into()),
                Receive,
                Resume(0),
                Use(0),
                Receive,
            ])
            .gets(&[200, 503])
            .records(2),
        row("queue-full")
            .with("    container_concurrency: 1\n    hold: { max: 1 }\n")
            .replica(slow())
            .steps([
                Send(GET.into()),
                AwaitRequests(1),
                Use(1),
                Send(GET.into()),
                AwaitHeld(1),
                Use(2),
                Send(GET.into()),
                Receive,
                Resume(0),
                AwaitRequests(2),
                Resume(0),
                Use(1),
                Receive,
                Use(0),
                Receive,
            ])
            .gets(&[200, 200, 503])
            .records(3),
    ]
}
/// Replicas that fail.
fn broken() -> Vec<Row> {
    let well = || vec![answers(OK)];
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    let cut_chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwo";
    let impatient = "    read_timeout: 2s\n";
    vec![
        row("connect-refused").replicas([well(), well()]).steps([
            Stop(0),
            Send(GET.into()),
            Receive,
            AwaitReplicas("0=sick 1=ready"),
        ]),
        row("connect-refused-post")
            .replicas([well(), well()])
            .steps([
                Stop(0),
                Send(post("hello")),
                Receive,
                AwaitReplicas("0=sick 1=ready"),
            ]),
        row("connect-refused-by-all")
            .steps([Stop(0)])
            .asks(GET)
            .gets(&[502]),
        row("connect-refused-no-retries")
            .with("    retries: { attempts: 1 }\n")
            .replicas([well(), well()])
            .steps([Stop(0)])
            .asks(GET)
            .gets(&[502]),
        row("closed-before-head")
            .replicas([vec![vec![Read, Close]], well()])
            .asks(GET),
        row("closed-before-head-post")
            .replicas([vec![vec![Read, Close]], well()])
            .asks(post("hello"))
            .gets(&[502]),
        row("closed-before-head-put")
            .replicas([vec![vec![Read, Close]], well()])
            .asks("PUT /@ HTTP/1.1\r\nhost: @\r\ncontent-length: 5\r\n\r\nhello"),
        row("closed-before-head-by-all")
            .with("    retries: { attempts: 2 }\n")
            .replicas([vec![vec![Read, Close]], vec![vec![Read, Close]]])
            .asks(GET)
            .gets(&[502]),
        row("reset-before-head")
            .replicas([vec![vec![Read, Reset]], well()])
            .asks(GET),
        row("closed-in-head")
            .replicas([
                vec![vec![Read, Write("HTTP/1.1 200 OK\r\nx-a"), Close]],
                well(),
            ])
            .asks(GET),
        row("closed-after-interim")
            .replicas([
                vec![vec![Read, Write("HTTP/1.1 103 Early Hints\r\n\r\n"), Close]],
                well(),
            ])
            .steps([Send(GET.into()), Receive, Receive])
            .gets(&[103, 200]),
        row("closed-in-body")
            .without(&[("h2", "the test's client forgets what came before a reset")])
            .replicas([vec![vec![Read, Write(cut), Close]], well()])
            .asks(GET),
        row("closed-in-chunk")
            .without(&[("h2", "the test's client forgets what came before a reset")])
            .replicas([vec![vec![Read, Write(cut_chunk), Close]], well()])
            .asks(GET),
        row("answer-bad-chunk")
            .answered_by("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n")
            .asks(GET)
            .gets(&[502])
            .differs(("pingora", "*", HEAD_WAITS))
            .differs(("tunnel", "*", HEAD_WAITS)),
        row("answer-two-lengths")
            .answered_by("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokk")
            .asks(GET)
            .gets(&[502]),
        row("answer-nonsense")
            .answered_by("nonsense\r\n\r\n")
            .asks(GET)
            .gets(&[502]),
        row("answer-101-unasked")
            .answered_by(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
            )
            .asks(GET)
            .gets(&[502]),
        row("read-timeout")
            .with(impatient)
            .replica(vec![vec![Read, AwaitEnd]])
            .asks(GET)
            .gets(&[504]),
        row("read-timeout-post")
            .with(impatient)
            .replica(vec![vec![Read, AwaitEnd]])
            .asks(post("hello"))
            .gets(&[504]),
        row("read-timeout-in-body")
            .with(impatient)
            .replica(vec![vec![Read, Write(cut), AwaitEnd]])
            .asks(GET),
        row("answer-500")
            .differs(("h2", "client.0.answer.0.line", NO_PHRASE))
            .answered_by("HTTP/1.1 500 Oh No\r\ncontent-length: 3\r\n\r\nno\n")
            .asks(GET)
            .gets(&[500]),
        row("outlier-ejected")
            .differs(("h2", "client.0.answer.0.line", NO_PHRASE))
            .differs(("h2", "client.2.answer.0.line", NO_PHRASE))
            .with("    outlier_detection: { consecutive_5xx: 1 }\n")
            .replicas([
                vec![answers("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")],
                well(),
            ])
            .steps([Send(GET.into()), Receive])
            .steps([Use(1), Send(GET.into()), Receive])
            .steps([Use(2), Send(GET.into()), Receive])
            .steps([Use(3), Send(GET.into()), Receive])
            .steps([Use(4), Send(GET.into()), Receive])
            .gets(&[503, 200, 503, 200, 200])
            .records(5),
    ]
}

/// Answers and how they are framed.
fn framed() -> Vec<Row> {
    let small = "    max_response_body: 4B\n";
    vec![
        row("answer-empty").asks(GET).answered_by("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        row("no-content").asks(GET).answered_by("HTTP/1.1 204 No Content\r\n\r\n").gets(&[204]),
        row("no-content-with-a-length")
            .asks(GET)
            .answered_by("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n")
            .gets(&[204]),
        row("not-modified")
            .asks(get("if-none-match: \"a\"\r\n"))
            .answered_by("HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncontent-length: 5\r\n\r\n")
            .gets(&[304]),
        row("head-chunked")
            .differs(("h2", "client.0.answer.0.head.transfer-encoding", "HTTP/2 has no chunks"))
            .asks("HEAD /@ HTTP/1.1\r\nhost: @\r\n\r\n")
            .answered_by("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        row("head-without-framing")
            .asks("HEAD /@ HTTP/1.1\r\nhost: @\r\n\r\n")
            .answered_by("HTTP/1.1 200 OK\r\n\r\n"),
        row("answer-chunked")
            .asks(GET)
            .answered_by("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n"),
        row("answer-trailers")
            .differs(("pingora", "client.0.answer.0.trailer.x-sum", TRAILERS))
            .differs(("tunnel", "client.0.answer.0.trailer.x-sum", TRAILERS))
            .asks(GET)
            .answered_by("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 2\r\n\r\n"),
        row("answer-trailers-with-te")
            .differs(("pingora", "client.0.answer.0.trailer.x-sum", TRAILERS))
            .asks(get("te: trailers\r\nconnection: te\r\n"))
            .answered_by("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 2\r\n\r\n"),
        row("answer-until-close")
            .asks(GET)
            .replica(vec![vec![Read, Write("HTTP/1.1 200 OK\r\n\r\nok"), Close]]),
        row("answer-until-close-http-1-0")
            .asks(GET)
            .replica(vec![vec![Read, Write("HTTP/1.0 200 OK\r\n\r\nok"), Close]]),
        row("answer-http-1-0")
            .asks(GET)
            .replica(vec![vec![Read, Write("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"), Close]]),
        row("answer-connection-close")
            .asks(GET)
            .replica(vec![vec![Read, Write("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"), Close]]),
        row("answer-with-hop-by-hop-headers")
            .differs(("h2", "client.0.answer.0.line", NO_PHRASE))
            .asks(GET)
            .answered_by("HTTP/1.1 200 Fine\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nproxy-connection: x\r\nproxy-authenticate: y\r\nupgrade: h2c\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 2\r\n\r\nok"),
        row("answer-too-large").with(small).asks(GET).answered_by("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").gets(&[502]),
        row("answer-too-large-to-head")
            .with(small)
            .asks("HEAD /@ HTTP/1.1\r\nhost: @\r\n\r\n")
            .answered_by("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        row("answer-too-large-in-chunks")
            .with(small)
            .steps([Send(GET.into()), ReceivePart("\r\nhe\r\n"), Resume(0), Receive])
            .replica(vec![vec![
                Read,
                Write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n"),
                Pause,
                Write("3\r\nllo\r\n0\r\n\r\n"),
            ]]),
    ]
}

/// Answers that come early, or with others before them.
fn early() -> Vec<Row> {
    let early = format!(
        "POST /@ HTTP/1.1\r\nhost: @\r\ncontent-length: 100000\r\n\r\n{}",
        "x".repeat(100)
    );
    vec![
        row("interim-103")
            .steps([Send(GET.into()), Receive, Receive])
            .answered_by(HINTED)
            .gets(&[103, 200]),
        row("interim-with-hop-by-hop-headers")
            .steps([Send(GET.into()), Receive, Receive])
            .answered_by(
                "HTTP/1.1 103 Early Hints\r\nconnection: x-hop\r\nx-hop: 1\r\n\
                 keep-alive: timeout=5\r\nlink: </a>\r\n\r\n\
                 HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            )
            .gets(&[103, 200]),
        row("interim-100")
            .steps([Send(GET.into()), Receive, Receive])
            .answered_by("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .gets(&[100, 200]),
        row("early-answer")
            .differs(("pingora", "record.0.error", EARLY))
            .differs(("pingora", "record.0.request_bytes", EARLY))
            .steps([Send(early.clone()), Receive])
            .replica(vec![vec![Write(OK), AwaitEnd]]),
        row("early-refusal")
            .differs(("h2", "client.0.answer.0.line", NO_PHRASE))
            .differs(("pingora", "record.0.error", EARLY))
            .differs(("pingora", "record.0.request_bytes", EARLY))
            .steps([Send(early.clone()), Receive])
            .replica(vec![vec![Write("HTTP/1.1 413 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"), Close]])
            .gets(&[413]),
        row("early-answer-to-chunks")
            .differs(("pingora", "record.0.error", EARLY))
            .differs(("pingora", "record.0.request_bytes", EARLY))
            .steps([
                Send("POST /@ HTTP/1.1\r\nhost: @\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".into()),
                Receive,
            ])
            .replica(vec![vec![Write(OK), AwaitEnd]]),
        row("answer-in-pieces")
            .steps([Send(GET.into()), ReceivePart("hello"), Resume(0), Receive])
            .replica(vec![vec![
                Read,
                Write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"),
                Pause,
                Write("world"),
            ]]),
    ]
}

/// Clients that leave.
fn left() -> Vec<Row> {
    let begun = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    let long = format!(
        "POST /@ HTTP/1.1\r\nhost: @\r\ncontent-length: 100000\r\n\r\n{}",
        "x".repeat(100)
    );
    vec![
        row("client-gone-before-answer")
            .differs(("h2", "record.0.error", STREAM))
            .replica(vec![vec![Read, AwaitEnd]])
            .steps([Send(GET.into()), AwaitRequests(1), Leave, AwaitClose])
            .gets(&[]),
        row("client-gone-before-answer-post")
            .differs(("h2", "record.0.error", STREAM))
            .replica(vec![vec![Read, AwaitEnd]])
            .steps([Send(post("hello")), AwaitRequests(1), Leave, AwaitClose])
            .gets(&[]),
        row("client-gone-in-answer")
            .differs(("h2", "record.0.error", STREAM))
            .replica(vec![vec![Read, Write(begun), AwaitEnd]])
            .steps([Send(GET.into()), ReceivePart("hello"), Leave, AwaitClose])
            .gets(&[]),
        row("client-gone-in-upload")
            .differs(("h2", "record.0.error", STREAM))
            .replica(vec![vec![AwaitEnd]])
            .steps([Send(long), AwaitRequests(1), Leave, AwaitClose])
            .gets(&[]),
        row("client-half-closed")
            .steps([Send(GET.into()), EndSending, Receive])
            .without(&[(
                "tunnel",
                "drift: while it connects, a client that ends its sending half has left",
            )]),
        row("client-half-closed-while-waiting")
            .replica(vec![vec![Read, Pause, Write(OK)]])
            .steps([
                Send(GET.into()),
                AwaitRequests(1),
                EndSending,
                Resume(0),
                Receive,
            ]),
    ]
}

/// Handshakes of WebSockets, which have one way only, whatever other requests do.
fn upgraded() -> Vec<Row> {
    let asked = |lines: &str| {
        get(&format!(
            "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}"
        ))
    };
    let switches = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
        connection: Upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let tunnel = || vec![vec![Read, Write(switches), Echo]];
    vec![
        row("upgrade")
            .replica(tunnel())
            .steps([
                Send(asked("")),
                Receive,
                Send("hello".into()),
                EndSending,
                ReceiveEnd,
            ])
            .gets(&[101]),
        row("upgrade-with-early-bytes")
            .replica(tunnel())
            .steps([Send(asked("") + "hello"), Receive, EndSending, ReceiveEnd])
            .gets(&[101]),
        row("upgrade-retried")
            .replicas([tunnel(), tunnel()])
            .steps([Stop(0), Send(asked("")), Receive, EndSending, ReceiveEnd])
            .steps([AwaitReplicas("0=sick 1=ready")])
            .gets(&[101]),
        row("upgrade-marked")
            .with("    plugins: [{ marks: {} }]\n")
            .replica(tunnel())
            .steps([Send(asked("")), Receive, EndSending, ReceiveEnd])
            .gets(&[101]),
        row("upgrade-declined")
            .answered_by("HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno\n")
            .asks(asked(""))
            .gets(&[403]),
        row("upgrade-to-something-else")
            .answered_by(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
            )
            .asks(asked(""))
            .gets(&[502]),
        row("upgrade-names-host")
            .asks(get("connection: upgrade, host\r\nupgrade: websocket\r\n"))
            .gets(&[400]),
        row("upgrade-with-a-body").asks(asked("content-length: 5\r\n") + "hello"),
    ]
}
