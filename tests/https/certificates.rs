//! Which certificate a client is shown, and when another one takes its place.

use super::{SOON, Site};
use crate::support::tls::{Client, shown};
use crate::support::until;
use std::fs;

#[tokio::test]
async fn each_host_has_its_own_certificate() {
    let hosts = ["a.test", "*.a.test", "127.0.0.1"];
    let site = Site::start(&hosts, "", "").await;
    let client = site.client();
    for (host, certificate) in [
        ("a.test", "a.test"),
        ("www.a.test", "*.a.test"),
        ("WWW.A.test", "*.a.test"),
        ("127.0.0.1", "127.0.0.1"),
    ] {
        let stream = client.connect(host).await.unwrap();
        assert_eq!(shown(&stream), certificate, "{host}");
        let answer = client.get(host, "/x").await;
        assert_eq!(answer.status, 200);
    }
    let told = client.get("a.test", "/x").await.json();
    let headers = told["headers"].to_string();
    assert!(
        headers.contains(r#"["x-forwarded-proto","https"]"#),
        "{headers}"
    );
    let expiry = "tidegate_tls_certificate_expiry_seconds{host=\"a.test\"}";
    let year_4096 = 67_090_118_400.0;
    assert_eq!(site.edge.metric(expiry).await, Some(year_4096));
}

#[tokio::test]
async fn a_client_of_an_unknown_host_is_refused_or_gets_the_first_certificate() {
    let site = Site::start(&["a.test", "b.test"], "", "").await;
    let client = site.client();
    for host in ["c.test", "127.0.0.1"] {
        let error = client.connect(host).await.unwrap_err().to_string();
        assert!(error.contains("UnrecognisedName"), "{host}: {error}");
    }
    site.counts("unknown_name", "none", 2).await;
    let yaml = site.yaml(&["a.test", "b.test"], "  unknown_name: default\n", "");
    site.reloaded(&yaml).await;
    // A client that checks the name refuses it by itself.
    let error = client.connect("c.test").await.unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn a_reload_swaps_certificates_and_keeps_connections() {
    let site = Site::start(&["a.test"], "", "").await;
    let client = site.client();
    let open = client.connect("a.test").await.unwrap();
    site.authority
        .write(site.edge.folder.path(), "b.test", &["b.test"]);
    site.reloaded(&site.yaml(&["b.test"], "", "")).await;
    assert_eq!(shown(&client.connect("b.test").await.unwrap()), "b.test");
    assert!(client.connect("a.test").await.is_err());
    let request = hyper::Request::get("/x").header("host", "a.test");
    assert_eq!(crate::support::tls::send(open, request).await.status, 200);
}

#[tokio::test]
async fn a_key_that_does_not_fit_its_certificate_changes_nothing_and_is_said() {
    let site = Site::start(&["a.test"], "", "").await;
    let (_, other) = site.authority.pair(&["a.test"]);
    let key = site.edge.folder.path().join("a.test.key");
    fs::write(&key, other).unwrap();
    let reloaded = site.edge.tidegate(&["reload"]).await;
    assert_eq!(reloaded.code, Some(64), "{reloaded:?}");
    let said = format!("{reloaded:?}");
    assert!(
        said.contains("the key does not belong to the certificate"),
        "{said}"
    );
    assert_eq!(site.client().get("a.test", "/x").await.status, 200);
    let checked = site.edge.tidegate(&["check"]).await;
    assert_eq!(checked.code, Some(64), "{checked:?}");
    let (code, said) = site.edge.successor().refused().await;
    assert_eq!(code, Some(64), "{said}");
}

#[tokio::test]
async fn files_that_change_are_served_without_a_reload() {
    let site = Site::start(&["a.test"], "", "").await;
    let folder = site.edge.folder.path();
    let client = site.client();
    let serial = async || {
        let stream = client.connect("a.test").await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let before = serial().await;
    let (certificate, key) = site.authority.pair(&["a.test"]);
    fs::write(folder.join("a.test.pem"), certificate).unwrap();
    site.edge
        .says("the certificate for a.test stays in use")
        .await;
    assert_eq!(serial().await, before);
    fs::write(folder.join("a.test.key"), key).unwrap();
    until("the new one is served", SOON, || async {
        (serial().await != before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_taken_port_is_said_with_what_to_do() {
    let mut site = Site::prepare(&["a.test"]).await;
    let taken = std::net::TcpListener::bind(site.https).unwrap();
    site.edge.write(&site.yaml(&["a.test"], "", ""));
    let (code, said) = site.edge.refused().await;
    assert_eq!(code, Some(1), "{said}");
    let words = format!("another program listens on port {}", site.https.port());
    assert!(
        said.contains(&words) && said.contains("`tls: { listen: … }`"),
        "{said}"
    );
    drop(taken);
}

#[tokio::test]
async fn both_versions_are_spoken_unless_one_is_too_old() {
    let site = Site::start(&["a.test"], "", "").await;
    let old = Client::with_tls12(site.https, &site.authority);
    assert_eq!(old.get("a.test", "/x").await.status, 200);
    site.counts("full", "1.2", 1).await;
    site.reloaded(&site.yaml(&["a.test"], "  min_version: \"1.3\"\n", ""))
        .await;
    let error = old.connect("a.test").await.unwrap_err().to_string();
    assert!(error.contains("ProtocolVersion"), "{error}");
    assert_eq!(site.client().get("a.test", "/x").await.status, 200);
    site.counts("refused", "none", 1).await;
}
