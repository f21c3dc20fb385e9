//! HTTP/2 by ALPN.

use super::Site;
use crate::support::h2::Client;
use h2::client::Builder;
use http::Request;

#[tokio::test]
async fn a_client_that_prefers_http2_gets_it_and_everything_else_is_the_same() {
    let site = Site::start(&["a.test"], "", "").await;
    let client = site.client().offering(&["h2", "http/1.1"]);
    let stream = client.connect("a.test").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut builder = Builder::new();
    builder
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 20);
    let client = Client::over(&builder, stream).await;
    let get = |path: &str| Request::get(format!("https://a.test{path}"));
    let told = client.send(get("/x"), "").await.unwrap().json();
    let headers = told["headers"].to_string();
    assert!(
        headers.contains(r#"["x-forwarded-proto","https"]"#),
        "{headers}"
    );
    let asked = [("/big", 1 << 20), ("/huge", 64 << 20), ("/big", 1 << 20)];
    let asked = asked.map(|(path, length)| {
        let answer = client.send(get(path), "");
        async move { assert_eq!(answer.await.unwrap().body.len(), length, "{path}") }
    });
    futures_util::future::join_all(asked).await;
    let post = Request::post("https://a.test/x");
    let told = client.send(post, vec![b'x'; 1 << 20]).await.unwrap();
    assert_eq!(told.json()["length"], 1 << 20);
}
