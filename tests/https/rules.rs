//! Redirects, HSTS and WebSockets: what TLS means for requests.

use super::Site;
use crate::support::client::{Connection, raw};
use crate::support::recorder::Recorder;
use crate::support::tls::send;
use crate::support::websocket::{self, Chat};
use hyper::Request;

#[tokio::test]
async fn a_request_in_clear_is_redirected_where_a_certificate_is_there() {
    let site = Site::start(&["a.test", "*.b.test"], "", "").await;
    let mut client = Connection::open(site.edge.address).await.unwrap();
    let port = site.https.port();
    for (method, host, path, location) in [
        ("GET", "a.test", "/x?y=1", Some("https://a.test:PORT/x?y=1")),
        ("POST", "A.test:80", "/x", Some("https://a.test:PORT/x")),
        ("GET", "www.b.test", "/", Some("https://www.b.test:PORT/")),
        ("GET", "b.test", "/x", None),
        ("GET", "c.test", "/x", None),
    ] {
        let request = Request::builder().method(method).uri(path);
        let answer = client.send(request.header("host", host), "").await.unwrap();
        let expected = location.map(|it| it.replace("PORT", &port.to_string()));
        let status = if expected.is_some() { 308 } else { 200 };
        assert_eq!(answer.status, status, "{host}");
        assert_eq!(answer.header("location"), expected.unwrap_or_default());
    }
    // HTTP/1.0 takes the long way.
    let old = raw(
        site.edge.address,
        b"GET /x HTTP/1.0\r\nhost: a.test\r\n\r\n",
    )
    .await;
    assert!(old.contains(" 308 "), "{old}");
    site.reloaded(&site.yaml(&["a.test"], "  redirect: false\n", ""))
        .await;
    let request = Request::get("/x").header("host", "a.test");
    assert_eq!(client.send(request, "").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_proxy_that_ends_tls_is_not_redirected() {
    let site = Site::start(&["a.test"], "", "trusted_proxies: [127.0.0.1]\n").await;
    let mut client = Connection::open(site.edge.address).await.unwrap();
    for (proto, status) in [("https", 200), ("HTTPS", 200), ("http", 308)] {
        let request = Request::get("/x").header("host", "a.test");
        let request = request.header("x-forwarded-proto", proto);
        assert_eq!(client.send(request, "").await.unwrap().status, status);
    }
}

#[tokio::test]
async fn hsts_is_said_over_tls_alone_and_once_asked_for() {
    let site = Site::start(&["a.test"], "", "").await;
    let header = "strict-transport-security";
    let client = site.client();
    assert_eq!(client.get("a.test", "/x").await.header(header), "");
    let hsts = "  hsts: { max_age: 365days, include_subdomains: true }\n  redirect: false\n";
    site.reloaded(&site.yaml(&["a.test"], hsts, "")).await;
    let expected = "max-age=31536000; includeSubDomains";
    assert_eq!(client.get("a.test", "/x").await.header(header), expected);
    // The edge's own answers say it as well, on either way.
    let dots = client.get("a.test", "/x/%2e%2e/%2e%2e/%2e%2e").await;
    assert_eq!((dots.status.as_u16(), dots.header(header)), (400, expected));
    let mut clear = Connection::open(site.edge.address).await.unwrap();
    let request = Request::get("/x").header("host", "a.test");
    assert_eq!(clear.send(request, "").await.unwrap().header(header), "");
}

#[tokio::test]
async fn requests_on_every_way_know_that_they_came_over_tls() {
    let site = Site::start(&["a.test"], "", "").await;
    for more in [("te", "trailers"), ("x-plain", "1")] {
        let stream = site.client().connect("a.test").await.unwrap();
        let request = Request::get("/x").header("host", "a.test");
        let request = request.header(more.0, more.1);
        let told = send(stream, request).await.json();
        let headers = told["headers"].to_string();
        let proto = r#"["x-forwarded-proto","https"]"#;
        assert!(headers.contains(proto), "{more:?}: {headers}");
    }
}

#[tokio::test]
async fn large_answers_arrive_whole_and_connections_are_kept() {
    let site = Site::start(&["a.test"], "", "").await;
    let stream = site.client().connect("a.test").await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    for (path, length) in [("/big", 1 << 20), ("/huge", 64 << 20), ("/big", 1 << 20)] {
        let body = http_body_util::Full::<hyper::body::Bytes>::default();
        let request = Request::get(path).header("host", "a.test").body(body);
        let answer = sender.send_request(request.unwrap()).await.unwrap();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await;
        assert_eq!(body.unwrap().to_bytes().len(), length, "{path}");
    }
}

#[tokio::test]
async fn a_websocket_is_carried_over_tls_and_never_redirected() {
    let mut site = Site::prepare(&["a.test"]).await;
    let chat = Chat::start().await;
    let yaml = site.yaml(&["a.test"], "", "");
    let address = site.upstream.address.to_string();
    let yaml = yaml.replace(&address, &chat.address.to_string());
    let yaml = yaml.replace("type: http, path: /api/v1/_health,", "type: tcp,");
    site.edge.write(&yaml);
    site.edge = site.edge.spawned().await;
    site.edge.ready().await;
    let stream = site.client().connect("a.test").await.unwrap();
    let request = websocket::request(site.https, "/chat");
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    let message = websocket::pattern(200_000);
    use futures_util::{SinkExt, StreamExt};
    socket.send(message.clone().into()).await.unwrap();
    let back = socket.next().await.unwrap().unwrap().into_data();
    assert_eq!(back, message);
    // In clear it goes on as it was: a client would not follow.
    let mut clear = websocket::request(site.edge.address, "/chat");
    clear
        .headers_mut()
        .insert("host", "a.test".parse().unwrap());
    let stream = tokio::net::TcpStream::connect(site.edge.address)
        .await
        .unwrap();
    assert!(tokio_tungstenite::client_async(clear, stream).await.is_ok());
}

#[tokio::test]
async fn the_access_log_has_protocol_and_version() {
    let mut site = Site::prepare(&["a.test"]).await;
    let path = site.edge.folder.path().join("access.log");
    let top = format!(
        "plugins: [{{ access-log: {{ path: {} }} }}]\n",
        path.display()
    );
    site.edge.write(&site.yaml(&["a.test"], "", &top));
    site.edge = site.edge.spawned().await;
    site.edge.ready().await;
    site.client().get("a.test", "/over-tls").await;
    site.edge.get("/in-clear").await;
    let line = async |part: &str| {
        crate::support::until("the line", super::SOON, || async {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            log.lines()
                .find(|line| line.contains(part))
                .map(str::to_owned)
        })
        .await
    };
    let secure = line("/over-tls").await;
    assert!(
        secure.contains(r#""protocol":"HTTP/1.1","tls":"1.3""#),
        "{secure}"
    );
    let clear = line("/in-clear").await;
    assert!(
        clear.contains(r#""protocol":"HTTP/1.1","tls":null"#),
        "{clear}"
    );
}

#[tokio::test]
async fn nobody_can_pretend_to_have_shown_a_certificate() {
    let site = Site::start(&["a.test"], "", "").await;
    let recorder = Recorder::start().await;
    let yaml = site.yaml(&["a.test"], "", "");
    let yaml = yaml.replace(
        &site.upstream.address.to_string(),
        &recorder.address.to_string(),
    );
    let yaml = yaml.replace("type: http, path: /api/v1/_health,", "type: tcp,");
    site.reloaded(&yaml).await;
    site.edge.ready().await;
    for name in [
        "x-client-cert-subject",
        "X-Client-Cert-Fingerprint",
        "x_client_cert_subject",
        "x-client_cert-fingerprint",
    ] {
        let stream = site.client().connect("a.test").await.unwrap();
        let request = Request::get("/x").header("host", "a.test");
        send(stream, request.header(name, "CN=root")).await;
        let got = recorder.take_one();
        assert!(!got.contains("CN=root"), "{got}");
    }
}
