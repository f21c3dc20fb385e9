//! The real binary in front of a recorder: what must not get through to a replica, nor back.

use crate::support::client::{get, raw};
use crate::support::edge::Edge;
use crate::support::recorder::Recorder;
use std::time::Duration;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

/// An edge before a recorder, with `top` at the top of its file and `keys` in its service.
async fn edge(recorder: &Recorder, top: &str, keys: &str) -> Edge {
    let services = format!(
        "{top}services:\n  web:\n    addresses: [\"{}\"]\n    healthcheck: {{ interval: 60s }}\n{keys}",
        recorder.address
    );
    let edge = Edge::start(&services).await;
    edge.ready().await;
    recorder.take();
    edge
}

/// The status of the answer to `request`, and the whole of it; 0 when there is none.
async fn ask(edge: &Edge, request: &str) -> (u16, String) {
    let answer = timeout(SOON, raw(edge.address, request.as_bytes())).await;
    let answer = answer.unwrap_or_else(|_| panic!("it hangs: {request:?}"));
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or(0), answer)
}

/// A request that ends its connection, so that its answer has an end.
fn request(line: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n")
}

fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|found| found.eq_ignore_ascii_case(line))
}

fn has_header(text: &str, name: &str) -> bool {
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let mut names = head.lines().filter_map(|line| line.split_once(':'));
    names.any(|(found, _)| found.eq_ignore_ascii_case(name))
}

/// 1
#[tokio::test]
async fn a_client_cannot_say_who_it_is_nor_strike_out_who_we_say_it_is() {
    let web = Recorder::start().await;
    let edge = edge(&web, "", "").await;
    let claims = [
        "Host: a",
        "X-Forwarded-For: 6.6.6.6",
        "x-forwarded-for: 7.7.7.7",
        "X_Forwarded_For: 6.6.6.6",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil",
        "X-Forwarded-Port: 444",
        "X-Real-IP: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
    ];
    assert_eq!(ask(&edge, &request("GET /", &claims)).await.0, 200);
    let sent = web.take_one();
    for line in [
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: a",
    ] {
        assert!(has_line(&sent, line), "{line} in {sent}");
    }
    for word in ["6.6.6.6", "7.7.7.7", "https", "evil", "444"] {
        assert!(!sent.contains(word), "{word} in {sent}");
    }
    for named in ["X-Forwarded-For", "X-Forwarded-Host, close", "Host"] {
        let line = format!("Connection: {named}");
        let (status, _) = ask(&edge, &request("GET /", &["Host: a", &line])).await;
        assert_eq!(status, 400, "{named}");
    }
    // Headers that a filter adds cannot be struck out either.
    let (status, _) = ask(
        &edge,
        &request("GET /", &["Host: a", "Connection: X-Request-Id"]),
    )
    .await;
    assert_eq!(status, 200);
    assert!(has_header(&web.take_one(), "x-request-id"));
}

#[tokio::test]
async fn a_trusted_proxys_word_counts_and_ours_is_added_to_it() {
    let web = Recorder::start().await;
    let edge = edge(
        &web,
        "trusted_proxies: [127.0.0.0/8]\nplugins: [access-log: { path: log }]\n",
        "",
    )
    .await;
    let told = [
        "Host: a",
        "X-Forwarded-For: 6.6.6.6, 203.0.113.5",
        "X-Forwarded-For: 127.0.0.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: shop.example.com",
        "Forwarded: for=6.6.6.6",
    ];
    assert_eq!(ask(&edge, &request("GET /", &told)).await.0, 200);
    let sent = web.take_one();
    for line in [
        "x-forwarded-for: 6.6.6.6, 203.0.113.5, 127.0.0.9, 127.0.0.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: shop.example.com",
    ] {
        assert!(has_line(&sent, line), "{line} in {sent}");
    }
    assert!(!has_header(&sent, "forwarded"), "{sent}");
    // The access log has the client, not the proxy.
    let log = edge.folder.path().join("log");
    crate::support::until("the line is written", SOON, || async {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.contains("203.0.113.5").then_some(())
    })
    .await;
}

/// 2, 3, 4, 6: refused, and nothing of it reaches a replica.
#[tokio::test]
async fn what_has_no_reading_or_two_of_them_is_refused() {
    let web = Recorder::start().await;
    let edge = edge(&web, "", "").await;
    let hosts = ["", "a b", "a/b", "a,b", "[::1", "a:0", "a:99999", "a:8x"];
    let hosts = hosts.map(|host| ("GET /".to_owned(), format!("Host: {host}"), 400));
    let targets = [
        "admin",
        "@evil/",
        ":80/",
        "?x",
        "*",
        "/a/../b",
        "/a/%2e%2E/b",
        "/a/..;/b",
        "/pa th",
        "/a?b\u{1}c",
        "/a?b\tc",
        "/\u{e4}",
        "/a%2fb",
        "/a%5cb",
        "/a%00",
        "/a%zz",
        "/a#b",
        "ftp://a/",
    ];
    let targets = targets.map(|target| (format!("GET {target}"), "Host: a".to_owned(), 400));
    let framing = [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: xchunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\x0bchunked",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 5\nX-Smuggled: 1",
        "X-Folded: 1\r\n Content-Length: 5",
    ];
    let framing = framing.map(|lines| ("POST /".to_owned(), format!("Host: a\r\n{lines}"), 400));
    let methods = ["TRACE /", "TRACK /", "CONNECT a:80"];
    let methods = methods.map(|line| (line.to_owned(), "Host: a".to_owned(), 405));
    let sizes = [
        (
            format!("GET /{}", "x".repeat(9_000)),
            "Host: a".to_owned(),
            414,
        ),
        (
            "GET /".to_owned(),
            format!("Host: a\r\nX: {}", "x".repeat(70_000)),
            431,
        ),
        (
            "GET /".to_owned(),
            "Host: a\r\n".to_owned() + &"X: 1\r\n".repeat(110) + "Y: 1",
            431,
        ),
    ];
    let none = [("GET /".to_owned(), "X: 1".to_owned(), 400)];
    let all = hosts
        .into_iter()
        .chain(targets)
        .chain(framing)
        .chain(methods);
    for (line, headers, expected) in all.chain(sizes).chain(none) {
        let request = request(&line, &[&headers]) + "0\r\n\r\n";
        let (status, answer) = ask(&edge, &request).await;
        let shown: String = request.chars().take(200).collect();
        assert_eq!(status, expected, "{shown:?}");
        // 11: an id on each, and nothing of what is inside.
        assert!(
            has_header(&answer, "x-request-id"),
            "{shown:?} got {answer}"
        );
        let lower = answer.to_ascii_lowercase();
        for inner in ["pingora", "tidegate", "rust"] {
            assert!(!lower.contains(inner), "{inner} in {answer}");
        }
    }
    assert_eq!(
        web.take(),
        Vec::<Vec<u8>>::new(),
        "nothing reached a replica"
    );
    assert_eq!(ask(&edge, &request("GET /", &["Host: a"])).await.0, 200);
}

/// 3
#[tokio::test]
async fn route_and_replica_see_the_same_path() {
    let (api, rest) = (Recorder::start().await, Recorder::start().await);
    let edge = Edge::start(&format!(
        "services:\n  api:\n    addresses: [\"{}\"]\n    routes: [{{ path: /api }}]\n  rest:\n    addresses: [\"{}\"]\n",
        api.address, rest.address,
    ))
    .await;
    edge.ready().await;
    for (typed, is_api, seen) in [
        ("/api/x?y=//", true, "/api/x?y=//"),
        ("/api/<a>`?\"<b>", true, "/api/%3Ca%3E%60?%22%3Cb%3E"),
        ("http://A:80/api/x", true, "/api/x"),
        ("//api//x", true, "/api/x"),
        ("/%61pi/x", true, "/api/x"),
        ("http://a/api/x", true, "/api/x"),
        ("/apis", false, "/apis"),
        ("//evil.example/api", false, "/evil.example/api"),
    ] {
        let (status, _) = ask(&edge, &request(&format!("GET {typed}"), &["Host: a"])).await;
        assert_eq!(status, 200, "{typed}");
        let (here, there) = if is_api { (&api, &rest) } else { (&rest, &api) };
        let sent = here.take();
        let sent: Vec<_> = sent
            .iter()
            .map(|sent| String::from_utf8_lossy(sent))
            .collect();
        let line = format!("GET {seen} HTTP/1.1\r\n");
        assert!(
            sent.iter().any(|sent| sent.starts_with(&line)),
            "{typed} became {sent:?}"
        );
        let other: Vec<_> = there.take();
        assert!(other.is_empty(), "{typed}: {other:?}");
    }
}

#[tokio::test]
async fn chunks_whose_size_is_only_nearly_one_are_refused() {
    let web = Recorder::start().await;
    let edge = edge(&web, "", "").await;
    let chunked = request("POST /", &["Host: a", "Transfer-Encoding: chunked"]);
    for line in ["5;", "5 ", "5;a@b", "5;a\0", "5;a\nb", "5\0", "5;a=", "0x5"] {
        let text = format!("{chunked}{line}\r\nhello\r\n0\r\n\r\n");
        assert_eq!(ask(&edge, &text).await.0, 400, "{line:?}");
        let text = format!("{chunked}5\r\nhello\r\n{line}\r\nhello\r\n0\r\n\r\n");
        assert_eq!(ask(&edge, &text).await.0, 400, "a second {line:?}");
    }
    for line in ["5", "5;a", "5 ; a=\"b;\""] {
        let text = format!("{chunked}{line}\r\nhello\r\n0\r\n\r\n");
        assert_eq!(ask(&edge, &text).await.0, 200, "{line:?}");
    }
}

#[tokio::test]
async fn escaped_slashes_pass_where_a_route_keeps_them() {
    let (git, rest) = (Recorder::start().await, Recorder::start().await);
    let edge = Edge::start(&format!(
        "services:\n  git:\n    addresses: [\"{}\"]\n    routes: [{{ path: /git, encoded_slashes: keep }}, {{ path: /plain }}]\n  rest:\n    addresses: [\"{}\"]\n",
        git.address, rest.address,
    ))
    .await;
    edge.ready().await;
    // On the plain way and on the long one.
    for method in ["GET", "POST"] {
        let body = match method {
            "POST" => "Transfer-Encoding: chunked",
            _ => "X: 1",
        };
        for (path, expected) in [
            ("/git/api/group%2Fproject?a=%2f", 200),
            ("/git/%2e%2F%2f", 400),
            ("/git/..%2fadmin", 400),
            ("/git/a%5cb", 400),
            ("/plain/a%2Fb", 400),
            ("/a%2Fb", 400),
        ] {
            git.take();
            let text = request(&format!("{method} {path}"), &["Host: a", body]);
            let (status, _) = ask(&edge, &(text + "0\r\n\r\n")).await;
            assert_eq!(status, expected, "{method} {path}");
            let line = format!("{method} {path} HTTP/1.1\r\n");
            match expected {
                200 => assert!(git.take_one().starts_with(&line)),
                _ => assert!(git.take().is_empty(), "{method} {path}"),
            }
        }
    }
    assert!(rest.take().iter().all(|sent| !sent.starts_with(b"POST")));
}

#[tokio::test]
async fn a_later_http_1_is_answered_and_a_length_arrives_without_zeros() {
    let web = Recorder::start().await;
    let edge = edge(&web, "", "").await;
    let later = "GET /later HTTP/1.2\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (status, answer) = ask(&edge, later).await;
    assert_eq!((status, answer.starts_with("HTTP/1.1 ")), (200, true));
    assert!(web.take_one().starts_with("GET /later HTTP/1.1\r\n"));
    let zeros = request("POST /", &["Host: a", "Content-Length: 010"]) + "0123456789";
    assert_eq!(ask(&edge, &zeros).await.0, 200);
    assert!(has_line(&web.take_one(), "content-length: 10"));
}

/// 4
#[tokio::test]
async fn headers_that_pretend_to_be_others_do_not_arrive() {
    let web = Recorder::start().await;
    let edge = edge(&web, "", "").await;
    let headers = [
        "Host: a",
        "Proxy: http://evil",
        "Content_Length: 5",
        "Transfer_Encoding: chunked",
        "X_Real_IP: 6.6.6.6",
        "x_own: kept",
    ];
    assert_eq!(ask(&edge, &request("GET /", &headers)).await.0, 200);
    let sent = web.take_one();
    for name in ["proxy", "content_length", "transfer_encoding", "x_real_ip"] {
        assert!(!has_header(&sent, name), "{name} in {sent}");
    }
    assert!(has_line(&sent, "x_own: kept"), "{sent}");
}

/// 5
#[tokio::test]
async fn a_head_may_be_so_large_and_no_larger_also_while_it_is_read() {
    let web = Recorder::start().await;
    let edge = edge(
        &web,
        "max_header_size: 8KiB\nlimits: { headers: 10, target: 1KiB }\n",
        "",
    )
    .await;
    let long = |count: usize| format!("X-Long: {}", "x".repeat(count));
    for (line, header, expected) in [
        ("GET /", long(7 << 10), 200),
        ("GET /", long(8 << 10), 431),
        ("GET /", long(900 << 10), 431),
        ("GET /", "X: 1\r\n".repeat(6) + "Y: 1", 200),
        ("GET /", "X: 1\r\n".repeat(9) + "Y: 1", 431),
        ("GET /", "X: 1\r\n".repeat(300) + "Y: 1", 431),
        (
            &format!("GET /{}", "x".repeat(1_000)),
            String::new() + "X: 1",
            200,
        ),
        (
            &format!("GET /{}", "x".repeat(1_030)),
            String::new() + "X: 1",
            414,
        ),
    ] {
        let (status, _) = ask(&edge, &request(line, &["Host: a", &header])).await;
        assert_eq!(status, expected, "{} {}", line.len(), header.len());
    }
    // One without an end is not read for ever, nor until its time is over.
    for header in [long(9 << 10), "X: 1\r\n".repeat(300)] {
        let endless = format!("GET / HTTP/1.1\r\nHost: a\r\n{header}");
        let (status, _) = ask(&edge, &endless).await;
        assert_eq!(status, 431, "{}", header.len());
    }
}

/// 6
#[tokio::test]
async fn options_are_counted_down_and_answered_by_the_last_hop() {
    let web = Recorder::start().await;
    let edge = edge(&web, "", "").await;
    let with = |line: &str, forwards: &str| request(line, &["Host: a", forwards]);
    let (status, answer) = ask(&edge, &with("OPTIONS /", "Max-Forwards: 0")).await;
    assert_eq!(status, 200);
    assert!(has_header(&answer, "allow"), "{answer}");
    assert_eq!(ask(&edge, &with("OPTIONS *", "X: 1")).await.0, 200);
    assert!(web.take().is_empty());
    let (status, _) = ask(&edge, &with("OPTIONS /", "Max-Forwards: 3")).await;
    assert_eq!(status, 200);
    assert!(has_line(&web.take_one(), "max-forwards: 2"));
}

/// 7
#[tokio::test]
async fn a_client_of_http_1_0_gets_neither_chunks_nor_interim_answers() {
    let web = Recorder::start().await;
    let edge = edge(&web, "", "").await;
    web.answers(
        "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n\
         HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    for keepalive in ["", "Connection: keep-alive\r\n"] {
        let old = format!("GET / HTTP/1.0\r\nHost: a\r\n{keepalive}\r\n");
        let (status, answer) = ask(&edge, &old).await;
        assert_eq!(status, 200, "{answer}");
        assert!(!has_header(&answer, "transfer-encoding"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    }
    web.answers("HTTP/1.1 200 OK\r\n\r\nhello");
    let (_, answer) = ask(&edge, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
}

/// 8
#[tokio::test]
async fn what_is_wrong_with_an_answer_ends_here() {
    let web = Recorder::start().await;
    let edge = edge(
        &web,
        "",
        "    read_timeout: 1s\n    max_response_body: 1KiB\n",
    )
    .await;
    let large = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n{}",
        "x".repeat(2000)
    );
    for broken in [
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "nonsense\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "",
        // Its length alone is enough.
        "HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\nit begins",
        &large,
    ] {
        web.answers(broken);
        let (status, answer) =
            ask(&edge, &request("POST /", &["Host: a", "Content-Length: 0"])).await;
        assert_eq!(status, 502, "{broken:?} became {answer}");
        assert!(has_header(&answer, "x-request-id"), "{answer}");
    }
    web.take();
    web.answers(
        "HTTP/1.1 200 OK\r\nconnection: close, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n\
         upgrade: h2c\r\nx-own: kept\r\ncontent-length: 2\r\n\r\nok",
    );
    let (status, answer) = ask(&edge, &request("GET /", &["Host: a"])).await;
    assert_eq!(status, 200);
    for name in ["x-hop", "keep-alive", "upgrade"] {
        assert!(!has_header(&answer, name), "{name} in {answer}");
    }
    assert!(has_line(&answer, "x-own: kept"), "{answer}");
    // One that says no length is cut where the limit is.
    web.answers(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100_000)));
    let (_, answer) = ask(&edge, &request("GET /", &["Host: a"])).await;
    assert!(!answer.contains("\r\n0\r\n"), "it must not look whole");
    assert!(answer.len() < 80_000, "{}", answer.len());
}

/// 11
#[tokio::test]
async fn without_any_backend_the_answer_is_quick_and_says_when_to_come_again() {
    let closed = crate::support::free_port();
    let edge = Edge::start(&format!(
        "services:\n  web:\n    addresses: [\"127.0.0.1:{closed}\"]\n    hold: {{ timeout: 0s }}\n"
    ))
    .await;
    let answer = timeout(SOON, get(edge.address, "/"))
        .await
        .expect("it hangs");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), "1");
    assert_ne!(answer.header("x-request-id"), "");
}
