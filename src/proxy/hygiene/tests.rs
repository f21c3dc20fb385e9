//! Tables of requests and answers, and what becomes of each.

use super::*;
use http::{HeaderValue, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    header_bytes: 4 << 10,
    headers: 20,
    target_bytes: 1 << 10,
};

const TO_A_SERVICE: Way = Way::ToAService(Slashes::Plain);

/// A head as the parser would hand it over, and the text that it read.
fn head(line: &str, headers: &[&str]) -> (RequestHeader, Vec<u8>) {
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let mut head = RequestHeader::build(method, target.as_bytes(), None).unwrap();
    head.set_version(match words.next() {
        Some("HTTP/1.0") => Version::HTTP_10,
        _ => Version::HTTP_11,
    });
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        head.append_header(name, value).unwrap();
    }
    let raw = format!("{line}\r\n{}\r\n\r\n", headers.join("\r\n"));
    (head, raw.into_bytes())
}

fn pass(line: &str, headers: &[&str]) -> Result<RequestHeader, Refusal> {
    let (mut head, raw) = head(line, headers);
    request(&mut head, &raw, &LIMITS).map(|_| head)
}

fn status(line: &str, headers: &[&str]) -> u16 {
    pass(line, headers).map_or_else(|refusal| refusal.status().as_u16(), |_| 200)
}

#[test]
fn a_target_is_a_path_or_is_refused() {
    for (line, expected) in [
        ("GET /", 200),
        ("GET /a/b.c/.well-known/x..y/...?q=/../&r=//", 200),
        ("GET /a/b;c=1/d", 200),
        ("OPTIONS *", 200),
        ("GET *", 400),
        ("GET admin", 400),
        ("GET @evil/", 400),
        ("GET :80/", 400),
        ("GET ?x", 400),
        ("GET ftp://a/", 400),
        ("GET javascript:alert(1)", 400),
        ("GET /a/../b", 400),
        ("GET /a/..", 400),
        ("GET /./a", 400),
        ("GET /a/%2e%2E/b", 400),
        ("GET /a/.%2e/b", 400),
        ("GET /a/..;x=1/b", 400),
        ("GET /a/%2e%2e;/b", 400),
        ("GET /a//../b", 400),
        ("GET /\u{e4}", 400),
        ("GET /a%5cb", 400),
        ("GET /a%5Cb", 400),
        ("GET /a\\b", 400),
        ("GET /a%00b", 400),
        ("GET /a%0d%0ab", 400),
        ("GET /a%zz", 400),
        ("GET /a%2", 400),
        ("GET /a%", 400),
        ("GET /a#b", 400),
        ("GET /a?b#c", 400),
        ("GET /a%252e%252e/b", 200),
        ("GET /a%252fb", 200),
    ] {
        assert_eq!(status(line, &["host: a"]), expected, "{line}");
    }
    let long = format!("GET /{}", "x".repeat(LIMITS.target_bytes));
    assert_eq!(status(&long, &["host: a"]), 414);
}

#[test]
fn one_path_has_one_spelling() {
    for (typed, becomes) in [
        ("/a/b?x=%61", "/a/b?x=%61"),
        ("/%61%7E/%41", "/a~/A"),
        ("//a///b/", "/a/b/"),
        ("//evil.example/x", "/evil.example/x"),
        ("/a%20b%2B", "/a%20b%2B"),
        ("/?ö", "/?%C3%B6"),
        ("/a?b=%2f", "/a?b=%2f"),
        ("http://a/x?y", "/x?y"),
        ("HTTP://a", "/"),
        ("http://a?x", "/?x"),
        ("http://a//%62", "/b"),
    ] {
        let head = pass(&format!("GET {typed}"), &["host: a"]).unwrap();
        assert_eq!(head.raw_path(), becomes.as_bytes(), "{typed}");
        assert_eq!(head.uri.path_and_query().unwrap().as_str(), becomes);
        assert_eq!(head.uri.authority(), None);
        let again = target::read(&head.method, head.raw_path(), LIMITS.target_bytes);
        assert_eq!(again, Ok(target::Read::AsItIs(Slashes::Plain)), "{typed}");
    }
    let old = pass("GET http://a:81/x HTTP/1.0", &[]).unwrap();
    assert_eq!(old.headers.get("host").unwrap(), "a:81");
}

#[test]
fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
    for (host, expected) in [
        ("example.com", 200),
        ("Example.COM.:8080", 200),
        ("my_host-1.local", 200),
        ("10.0.0.7:80", 200),
        ("[::1]", 200),
        ("[::1]:65535", 200),
        ("", 400),
        ("a b", 400),
        ("a/b", 400),
        ("a,b", 400),
        ("a, a", 400),
        ("a?b", 400),
        ("[::1", 400),
        ("::1", 400),
        ("[::1]x", 400),
        ("[a]", 400),
        ("[::1%25eth0]", 400),
        ("a:", 400),
        ("a:0", 400),
        ("a:65536", 400),
        ("a:080000", 400),
        ("a:8x", 400),
        ("a:-1", 400),
        ("a:80:80", 400),
        ("user@a", 400),
        (".a", 400),
        ("a..b", 400),
        ("a%2eb", 400),
        ("\u{e4}", 400),
    ] {
        let line = format!("host: {host}");
        assert_eq!(status("GET /", &[&line]), expected, "{host:?}");
    }
    assert_eq!(status("GET /", &[]), 400);
    assert_eq!(status("GET / HTTP/1.0", &[]), 200);
}

#[test]
fn the_length_of_a_body_is_said_once_and_in_one_way() {
    for (headers, expected) in [
        (&["content-length: 5"][..], 200),
        (&["content-length: 010"], 200),
        (&["transfer-encoding: chunked"], 200),
        (&["transfer-encoding: Chunked"], 200),
        (&["transfer-encoding: gzip, chunked"], 400),
        (&["transfer-encoding: chunked, chunked"], 400),
        (&["transfer-encoding: xchunked, chunked"], 400),
        (
            &["transfer-encoding: chunked", "transfer-encoding: chunked"],
            400,
        ),
        (
            &["transfer-encoding: gzip", "transfer-encoding: chunked"],
            400,
        ),
        (&["transfer-encoding: identity"], 400),
        (&["transfer-encoding: \"chunked\""], 400),
        (&["transfer-encoding: chunked;q=1"], 400),
        (&["content-length: 5", "content-length: 5"], 400),
        (&["content-length: 5, 5"], 400),
        (&["content-length: 5", "content-length: 6"], 400),
        (&["content-length: +5"], 400),
        (&["content-length: 0x5"], 400),
        (&["content-length: "], 400),
        (&["content-length: 99999999999999999999"], 400),
        (&["content-length: 5", "transfer-encoding: chunked"], 400),
    ] {
        let with_host = [&["host: a"], headers].concat();
        assert_eq!(status("POST /", &with_host), expected, "{headers:?}");
    }
}

#[test]
fn a_length_has_no_leading_zeros_behind_here() {
    for (typed, becomes) in [("5", "5"), ("0", "0"), ("010", "10"), ("000", "0")] {
        let length = format!("content-length: {typed}");
        let head = pass("POST /", &["host: a", &length]).unwrap();
        assert_eq!(head.headers.get("content-length").unwrap(), becomes);
        let mut answer = ResponseHeader::build(200, None).unwrap();
        answer.append_header("content-length", typed).unwrap();
        response(&mut answer).unwrap();
        assert_eq!(answer.headers.get("content-length").unwrap(), becomes);
    }
}

#[test]
fn an_escaped_slash_is_told_apart_and_hides_no_dots() {
    let way = |path: &str| {
        let (mut head, raw) = head(&format!("GET {path}"), &["host: a"]);
        let way = request(&mut head, &raw, &LIMITS)?;
        let path = String::from_utf8(head.raw_path().to_vec()).unwrap();
        Ok::<_, Refusal>((way, path))
    };
    let encoded = Way::ToAService(Slashes::Encoded);
    for (path, becomes) in [
        ("/group%2Fproject", "/group%2Fproject"),
        ("/@scope%2fname?x", "/@scope%2fname?x"),
        ("/%61%2F%2f//b", "/a%2F%2f/b"),
        ("http://a/%2F", "/%2F"),
    ] {
        assert_eq!(way(path), Ok((encoded, becomes.to_owned())), "{path}");
    }
    for path in [
        "/a%2F..%2Fb",
        "/a%2f.",
        "/..%2fb",
        "/a%2F%2e%2e/b",
        "/a%2F..;x/b",
        "/a%2F%5cb",
    ] {
        assert!(way(path).is_err(), "{path}");
    }
}

#[test]
fn what_the_parser_has_resolved_is_seen_in_the_text() {
    let chunked = ["host: a", "transfer-encoding: chunked"];
    let (mut parsed, _) = head("POST /", &chunked);
    for (raw, expected) in [
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
        ("\r\nPOST / HTTP/1.1\r\nhost: a\r\n\r\n", 200),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nCONTENT-LENGTH:5\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.1\nhost: a\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: a\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: a\r\n\n", 400),
        ("\nPOST / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    ] {
        let passed = request(&mut parsed, raw.as_bytes(), &LIMITS);
        let passed = passed.map_or_else(|refusal| refusal.status().as_u16(), |_| 200);
        assert_eq!(passed, expected, "{raw:?}");
    }
}

#[test]
fn heads_have_a_size_and_a_number_of_lines() {
    let long = format!("x-long: {}", "x".repeat(LIMITS.header_bytes as usize));
    assert_eq!(status("GET /", &["host: a", &long]), 431);
    assert_eq!(status("GET /", &["host: a"; 1]), 200);
    let many = vec!["x-many: 1"; LIMITS.headers];
    assert_eq!(status("GET /", &[&["host: a"], &many[1..]].concat()), 200);
    assert_eq!(status("GET /", &[&["host: a"], &many[..]].concat()), 431);
}

#[test]
fn methods_about_the_way_itself_end_here() {
    let way = |line: &str, headers: &[&str]| {
        let (mut head, raw) = head(line, headers);
        let way = request(&mut head, &raw, &LIMITS)?;
        let left = head.headers.get("max-forwards");
        Ok((way, left.map(|left| left.to_str().unwrap().to_owned())))
    };
    for method in ["TRACE", "TRACK", "CONNECT"] {
        assert_eq!(status(&format!("{method} /"), &["host: a"]), 405);
    }
    assert_eq!(status("TRACER /", &["host: a"]), 200);
    let with = |forwards| ["host: a", forwards];
    for (forwards, expected) in [
        ("max-forwards: 0", Ok((Way::AnsweredHere, "0"))),
        ("max-forwards: 1", Ok((TO_A_SERVICE, "0"))),
        ("max-forwards: 70", Ok((TO_A_SERVICE, "69"))),
        (
            "max-forwards: 99999999999",
            Ok((TO_A_SERVICE, "4294967294")),
        ),
        ("max-forwards: x", Err(())),
        ("max-forwards: -1", Err(())),
        ("max-forwards: ", Err(())),
    ] {
        let found = way("OPTIONS /", &with(forwards));
        let found = found
            .map(|(way, left)| (way, left.unwrap()))
            .map_err(|_: Refusal| ());
        let expected = expected.map(|(way, left)| (way, left.to_owned()));
        assert_eq!(found, expected, "{forwards}");
    }
    let get = way("GET /", &with("max-forwards: 0")).unwrap();
    assert_eq!(get, (TO_A_SERVICE, Some("0".to_owned())));
    let server = way("OPTIONS *", &["host: a"]).unwrap();
    assert_eq!(server, (Way::AnsweredHere, None));
}

fn names(head: &RequestHeader) -> Vec<&str> {
    let mut names: Vec<&str> = head.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn headers_that_pretend_to_be_others_are_left_out() {
    let head = pass(
        "POST /",
        &[
            "host: a",
            "Proxy: http://evil",
            "Content_Length: 5",
            "Transfer_Encoding: chunked",
            "X_Forwarded_For: 6.6.6.6",
            "x-forwarded_proto: https",
            "x_real_ip: 6.6.6.6",
            "x_own: kept",
            "x-twin: 1",
            "x_twin: 2",
        ],
    )
    .unwrap();
    assert_eq!(names(&head), ["host", "x-twin", "x_own"]);
}

#[test]
fn a_client_says_which_of_its_own_headers_end_here_and_no_others() {
    let with = |value: &str| {
        let line = format!("connection: {value}");
        let headers = ["host: a", "x-hop: 1", "x-own: 1", "upgrade: h2c", &line];
        pass("GET /", &headers)
    };
    let head = with("keep-alive, X-Hop,, Upgrade").unwrap();
    assert_eq!(names(&head), ["connection", "host", "upgrade", "x-own"]);
    assert_eq!(
        head.headers.get("connection").unwrap(),
        "keep-alive, Upgrade"
    );
    // A filter adds this one later, and it stays.
    let head = with("x-request-id").unwrap();
    assert!(!head.headers.contains_key("connection"));
    for forbidden in [
        "x-forwarded-for",
        "close, Host",
        "Content-Length",
        "transfer-encoding",
        "a b",
    ] {
        assert!(with(forbidden).is_err(), "{forbidden}");
    }
    assert!(with(&["x-hop"; 10].join(",")).is_err());
}

#[test]
fn an_answer_says_nothing_of_the_replicas_connection() {
    let mut head = ResponseHeader::build(200, None).unwrap();
    for (name, value) in [
        ("connection", "close, X-Hop"),
        ("connection", "content-length"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("upgrade", "h2c"),
        ("proxy-connection", "close"),
        ("content-length", "5"),
        ("x-own", "kept"),
    ] {
        head.append_header(name, value).unwrap();
    }
    response(&mut head).unwrap();
    let mut names: Vec<&str> = head.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "x-own"]);
}

#[test]
fn an_answer_whose_end_is_unclear_is_broken() {
    for (status, headers, is_whole) in [
        (200, &[("transfer-encoding", "chunked")][..], true),
        (200, &[("transfer-encoding", "gzip, chunked")], false),
        (
            200,
            &[
                ("transfer-encoding", "chunked"),
                ("transfer-encoding", "chunked"),
            ],
            false,
        ),
        (
            200,
            &[("content-length", "5"), ("content-length", "6")],
            false,
        ),
        (200, &[("content-length", "five")], false),
        (200, &[("content-length", "-5")], false),
        (204, &[("content-length", "five")], true),
    ] {
        let mut head = ResponseHeader::build(status, None).unwrap();
        for (name, value) in headers {
            head.append_header(*name, *value).unwrap();
        }
        assert_eq!(response(&mut head).is_ok(), is_whole, "{headers:?}");
    }
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    /// A target that passed is in its common form: a second pass changes nothing.
    #[test]
    fn what_passed_once_passes_again_unchanged(
        target in "(/|http://a)?[a.%2eEfF/;?\\\\#5cC~ä-]{0,24}",
        host in "[a.:\\[\\]0-9 ,/]{0,12}",
    ) {
        let Ok(mut head) = RequestHeader::build("GET", target.as_bytes(), None) else {
            return Ok(());
        };
        head.append_header("host", HeaderValue::from_bytes(host.as_bytes()).unwrap()).unwrap();
        let first = request(&mut head, b"", &LIMITS);
        if first.is_err() {
            return Ok(());
        }
        let path = head.raw_path().to_vec();
        prop_assert!(path.starts_with(b"/"));
        prop_assert!(!path.split(|byte| *byte == b'?').next().unwrap().windows(2).any(|two| two == b"//"));
        prop_assert!(path.iter().all(|byte| (0x21..0x7f).contains(byte)));
        prop_assert_eq!(request(&mut head, b"", &LIMITS), first);
        prop_assert_eq!(head.raw_path(), &path[..]);
    }
}
