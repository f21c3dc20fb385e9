//! Hosts that ask clients for certificates.

use super::Site;
use crate::support::client::Connection;
use crate::support::tls::{Authority, Client, is_resumed, send};
use hyper::Request;

const HOSTS: [&str; 2] = ["a.test", "admin.test"];

/// A site whose host `admin.test` asks for certificates of another authority.
async fn site(mode: &str) -> (Site, Authority) {
    let clients = Authority::new("clients");
    let mut site = Site::prepare(&HOSTS).await;
    std::fs::write(site.edge.folder.path().join("clients.pem"), &clients.pem).unwrap();
    site.edge.write(&site.yaml(&HOSTS, &policy(mode), ""));
    site.edge = site.edge.spawned().await;
    site.edge.ready().await;
    (site, clients)
}

fn policy(mode: &str) -> String {
    format!(
        "  redirect: false\n  \
         client_auth: {{ ca: clients.pem, mode: {mode}, hosts: [admin.test] }}\n"
    )
}

async fn headers(client: &Client, host: &str) -> String {
    client.get(host, "/x").await.json()["headers"].to_string()
}

#[tokio::test]
async fn a_client_with_a_certificate_is_named_to_the_replica() {
    let (site, clients) = site("require").await;
    let robot = Client::named(site.https, &site.authority, clients.identity("robot"));
    for resumed in [false, true] {
        let told = headers(&robot, "admin.test").await;
        let subject = r#"["x-client-cert-subject","CN=robot"]"#;
        assert!(told.contains(subject), "resumed: {resumed}: {told}");
        assert!(told.contains("x-client-cert-fingerprint"), "{told}");
    }
    let told = headers(&robot, "a.test").await;
    assert!(
        !told.contains("x-client-cert"),
        "another host does not ask: {told}"
    );
}

#[tokio::test]
async fn a_client_without_a_certificate_of_that_authority_is_refused() {
    let (site, _clients) = site("require").await;
    let stranger = Authority::new("stranger").identity("robot");
    let stranger = Client::named(site.https, &site.authority, stranger);
    for client in [site.client(), stranger] {
        // With TLS 1.3 the client hears of it when it reads.
        let refused = match client.connect("admin.test").await {
            Err(error) => error.to_string(),
            Ok(mut stream) => {
                let mut byte = [0];
                let read = tokio::io::AsyncReadExt::read(&mut stream, &mut byte).await;
                read.unwrap_err().to_string()
            }
        };
        assert!(refused.contains("alert"), "{refused}");
        assert_eq!(client.get("a.test", "/x").await.status, 200);
    }
    site.counts("client_certificate", "none", 2).await;
}

#[tokio::test]
async fn with_request_a_client_may_go_without() {
    let (site, clients) = site("request").await;
    let told = headers(&site.client(), "admin.test").await;
    assert!(!told.contains("x-client-cert"), "{told}");
    let robot = Client::named(site.https, &site.authority, clients.identity("robot"));
    assert!(headers(&robot, "admin.test").await.contains("CN=robot"));
}

#[tokio::test]
async fn a_request_that_came_around_the_policy_is_misdirected() {
    let (site, clients) = site("require").await;
    let over = async |client: &Client, name: &str, host: &str| {
        let stream = client.connect(name).await.unwrap();
        let request = Request::get("/x").header("host", host);
        send(stream, request).await.status.as_u16()
    };
    let anybody = site.client();
    assert_eq!(over(&anybody, "a.test", "admin.test").await, 421);
    assert_eq!(over(&anybody, "a.test", "ADMIN.test:443").await, 421);
    // Hosts without a policy of their own share connections, as browsers do.
    assert_eq!(over(&anybody, "a.test", "other.test").await, 200);
    let robot = Client::named(site.https, &site.authority, clients.identity("robot"));
    assert_eq!(over(&robot, "admin.test", "a.test").await, 200);
    assert_eq!(over(&robot, "admin.test", "admin.test").await, 200);
    let mut clear = Connection::open(site.edge.address).await.unwrap();
    let request = Request::get("/x").header("host", "admin.test");
    assert_eq!(clear.send(request, "").await.unwrap().status, 421);
}

#[tokio::test]
async fn a_reload_that_asks_for_certificates_ends_older_sessions() {
    let site = Site::start(&HOSTS, "", "").await;
    let clients = Authority::new("clients");
    std::fs::write(site.edge.folder.path().join("clients.pem"), &clients.pem).unwrap();
    let client = site.client();
    assert!(!is_resumed(&client, "admin.test").await);
    assert!(is_resumed(&client, "admin.test").await);
    // A connection that was open knows nothing of the new policy.
    let open = client.connect("admin.test").await.unwrap();
    site.reloaded(&site.yaml(&HOSTS, &policy("require"), ""))
        .await;
    let request = Request::get("/x").header("host", "admin.test");
    assert_eq!(send(open, request).await.status, 421);
    let refused = match client.connect("admin.test").await {
        Err(_) => true,
        Ok(mut stream) => {
            let mut byte = [0];
            tokio::io::AsyncReadExt::read(&mut stream, &mut byte)
                .await
                .is_err()
        }
    };
    assert!(refused, "a ticket of before is no way in");
}
