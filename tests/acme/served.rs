//! The real binary: certificates ordered for its routes, served, shown, and taken along by an upgrade.

use super::keeper::{SOON, files};
use crate::openapi::Document;
use crate::support::client::get;
use crate::support::edge::Edge;
use crate::support::pebble::{Behaviour, Pebble};
use crate::support::tls::Client;
use crate::support::until;
use crate::support::upstream::Upstream;
use serde_json::Value;
use std::net::SocketAddr;

/// An edge whose listeners are where `pebble` asks.
pub struct Served {
    pub edge: Edge,
    pub pebble: Pebble,
    pub https: SocketAddr,
    upstream: Upstream,
}

impl Served {
    pub async fn prepare(behaviour: Behaviour) -> Served {
        let edge = Edge::prepare("");
        let mut pebble = Pebble::prepare(behaviour);
        pebble.http_port = edge.address.port();
        pebble.up().await;
        Served {
            https: ([127, 0, 0, 1], pebble.tls_port).into(),
            edge,
            pebble,
            upstream: Upstream::start("A").await,
        }
    }

    pub fn write(&self, host: &str, tls: &str) {
        let yaml = format!(
            "tls:\n  listen: [\"{}\"]\n  email: ops@example.com\n  ca: {}\n  ca_root: {}\n  \
             resolvers: [\"{}\"]\n  challenge_ports: {{ http: {}, tls: {} }}\n{tls}services:\n  \
             web:\n    addresses: [\"{}\"]\n    routes: [{{ host: {host} }}]\n    \
             healthcheck: {{ type: http, path: /api/v1/_health, interval: 100ms }}\n",
            self.https,
            self.pebble.directory(),
            self.pebble.root().display(),
            self.pebble.dns,
            self.pebble.http_port,
            self.pebble.tls_port,
            self.upstream.address,
        );
        self.edge.write(&yaml);
    }

    pub async fn start(mut self) -> Served {
        self.edge = self.edge.spawned().await;
        self.edge.ready().await;
        self
    }
}

/// The certificate of `host` at the API.
async fn shown(edge: &Edge, host: &str) -> Option<Value> {
    let all = get(edge.admin, "/api/v1/certificates").await.json();
    let all = all["certificates"].as_array().cloned()?;
    all.into_iter().find(|one| one["names"][0] == host)
}

pub async fn held(edge: &Edge, host: &str) -> Value {
    until(&format!("{host} has a certificate"), SOON, || async {
        shown(edge, host).await.filter(|one| one["state"] == "held")
    })
    .await
}

#[tokio::test]
async fn hosts_of_routes_are_ordered_while_the_first_visitor_waits_and_shown_everywhere() {
    for kind in ["tls-alpn-01", "http-01"] {
        let served = Served::prepare(Behaviour::default()).await;
        served.write("a.example.com", &format!("  challenges: [{kind}]\n"));
        let served = served.start().await;
        let root = served.pebble.issuing_root().await;
        let client = Client::trusting(served.https, &root);
        // The hello of the first visitor waits for the certificate.
        let answer = client.get("a.example.com", "/x").await;
        assert_eq!(answer.status, 200);
        let certificate = held(&served.edge, "a.example.com").await;
        assert_eq!(certificate["source"], "acme");
        assert_eq!(certificate["last_error"], Value::Null);

        let table = served.edge.tidegate(&["certs"]).await;
        assert_eq!(table.code, Some(0), "{table:?}");
        assert!(table.out.contains("a.example.com  held"), "{}", table.out);
        let status = served.edge.tidegate(&["status"]).await;
        assert!(
            status.out.contains("certificates  1 held"),
            "{}",
            status.out
        );
        let orders = r#"tidegate_acme_orders_total{result="success"}"#;
        served.edge.counts(orders, 1.0).await;
        let answer = get(served.edge.admin, "/api/v1/certificates").await;
        let document = Document::of(&served.edge).await;
        document.allows("get", "/api/v1/certificates", &answer);
    }
}

#[tokio::test]
async fn an_order_goes_on_in_the_process_that_takes_over() {
    let behaviour = Behaviour {
        pause: 4,
        ..Behaviour::default()
    };
    let served = Served::prepare(behaviour).await;
    served.write("a.example.com", "");
    let served = served.start().await;
    let folder = served.edge.folder.path().join("tls/held/a.example.com");
    let order = folder.join("order.json");
    until("the order is placed", SOON, || async {
        let text = std::fs::read_to_string(&order).ok()?;
        text.contains("my-order").then_some(())
    })
    .await;
    let new = served.edge.upgraded().await;
    held(&new, "a.example.com").await;
    assert_eq!(served.pebble.orders(), 1, "{}", served.pebble.log());
    assert_eq!(files(&folder, ".pem").len(), 1);
    let root = served.pebble.issuing_root().await;
    let client = Client::trusting(served.https, &root);
    assert_eq!(client.get("a.example.com", "/x").await.status, 200);
}

#[tokio::test]
async fn a_restart_serves_what_is_held_without_the_authority() {
    let mut served = Served::prepare(Behaviour::default()).await;
    served.write("a.example.com", "");
    let mut served_up = served.start().await;
    let before = held(&served_up.edge, "a.example.com").await;
    let root = served_up.pebble.issuing_root().await;
    served_up.pebble.down();
    served_up.edge.crash();
    served = served_up;
    let served = served.start().await;
    let client = Client::trusting(served.https, &root);
    assert_eq!(client.get("a.example.com", "/x").await.status, 200);
    let after = held(&served.edge, "a.example.com").await;
    assert_eq!(after["serial"], before["serial"]);
}

#[tokio::test]
async fn a_local_name_is_served_and_trusted_with_the_root_that_trust_prints() {
    let served = Served::prepare(Behaviour::default()).await;
    let yaml = format!(
        "tls: {{ listen: [\"{}\"] }}\nservices:\n  web:\n    addresses: [\"{}\"]\n    routes: [{{ host: \
         app.localhost }}]\n    healthcheck: {{ type: http, path: /api/v1/_health, interval: 100ms }}\n",
        served.https, served.upstream.address,
    );
    served.edge.write(&yaml);
    let none = served.edge.tidegate(&["trust"]).await;
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.err.contains("there is no local CA"), "{}", none.err);
    let served = served.start().await;
    held(&served.edge, "app.localhost").await;
    let trust = served.edge.tidegate(&["trust"]).await;
    assert_eq!(trust.code, Some(0), "{trust:?}");
    assert!(!trust.out.contains("PRIVATE"));
    let client = Client::trusting(served.https, &trust.out);
    assert_eq!(client.get("app.localhost", "/x").await.status, 200);
    assert_eq!(served.pebble.orders(), 0);
}
