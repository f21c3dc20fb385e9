//! Handshakes that come to nothing: each is bounded, counted, and said at level debug.

use super::{SOON, Site};
use crate::support::client::raw;
use crate::support::tls::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// First bytes of a hello: a record of 512 bytes, of which none are there.
const BEGUN: [u8; 5] = [0x16, 3, 1, 2, 0];

#[tokio::test]
async fn plain_http_is_answered_in_clear_with_a_hint() {
    let site = Site::start(&["a.test"], "", "").await;
    let answer = raw(site.https, b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{answer}"
    );
    assert!(answer.contains("This port speaks HTTPS"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    site.counts("plain_http", "none", 1).await;
}

#[tokio::test]
async fn bytes_that_are_no_tls_are_refused_at_once() {
    let site = Site::start(&["a.test"], "", "").await;
    let ssl2: &[u8] = &[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10];
    for bytes in [ssl2, b"\0\0\0\0\0\0", b"\xff\xfe\xfd"] {
        let answer = timeout(SOON, raw(site.https, bytes)).await.unwrap();
        // A fatal alert, which old clients understand.
        assert_eq!(answer.as_bytes().first(), Some(&0x15), "{bytes:?}");
    }
    // A record that begins like a hello and is none.
    let garbage = [&BEGUN[..], &[7; 600]].concat();
    let _ = timeout(SOON, raw(site.https, &garbage)).await.unwrap();
    site.counts("not_tls", "none", 4).await;
    assert_eq!(site.client().get("a.test", "/x").await.status, 200);
}

#[tokio::test]
async fn a_client_that_stops_in_the_midst_is_cut_off_in_time() {
    let site = Site::start(&["a.test"], "", "timeouts: { header: 1s }\n").await;
    let mut silent = TcpStream::connect(site.https).await.unwrap();
    let mut begun = TcpStream::connect(site.https).await.unwrap();
    begun.write_all(&BEGUN).await.unwrap();
    let began = Instant::now();
    for stream in [&mut silent, &mut begun] {
        let mut rest = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap();
    }
    assert!(began.elapsed().as_millis() > 500, "{:?}", began.elapsed());
    site.counts("timeout", "none", 2).await;
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_and_said_at_level_debug() {
    let site = Site::start(&["a.test"], "", "").await;
    drop(TcpStream::connect(site.https).await.unwrap());
    let mut begun = TcpStream::connect(site.https).await.unwrap();
    begun.write_all(&BEGUN).await.unwrap();
    drop(begun);
    site.counts("closed", "none", 2).await;
    // More often than not, a browser or a balancer only looks whether somebody is there.
    let log = site.edge.log();
    let mut loud = log.lines().filter(|line| !line.contains("DEBUG"));
    assert!(!loud.any(|line| line.contains("handshake")), "{log}");
}

#[tokio::test]
async fn a_client_that_offers_only_other_protocols_is_refused() {
    let site = Site::start(&["a.test"], "", "").await;
    let odd = site.client().offering(&["spdy/3"]);
    let error = odd.connect("a.test").await.unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    // An authority that checks a challenge gets no other certificate.
    let authority = site.client().offering(&["acme-tls/1"]);
    assert!(authority.connect("a.test").await.is_err());
    let usual = site.client().offering(&["http/1.1"]);
    let stream = usual.connect("a.test").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let both = site.client().offering(&["h2", "http/1.1"]);
    let stream = both.connect("a.test").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn a_proxy_header_comes_before_tls() {
    let mut site = Site::prepare(&["a.test"]).await;
    let top = format!(
        "trusted_proxies: [127.0.0.1]\nproxy_protocol: [\"{}\"]\n",
        site.https
    );
    site.edge.write(&site.yaml(&["a.test"], "", &top));
    site.edge = site.edge.spawned().await;
    site.edge.ready().await;
    let client = Client::new(site.https, &site.authority);
    let mut stream = TcpStream::connect(site.https).await.unwrap();
    let header = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 443\r\n";
    stream.write_all(header).await.unwrap();
    let stream = client.connect_on(stream, "a.test").await.unwrap();
    let request = hyper::Request::get("/x").header("host", "a.test");
    let told = crate::support::tls::send(stream, request).await.json();
    let headers = told["headers"].to_string();
    assert!(
        headers.contains(r#"["x-forwarded-for","203.0.113.9"]"#),
        "{headers}"
    );
    assert!(
        headers.contains(r#"["x-forwarded-proto","https"]"#),
        "{headers}"
    );
}
