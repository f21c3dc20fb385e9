//! HTTPS with the user's own certificates: handshakes, certificates, and the rules for requests.

mod certificates;
mod clients;
mod handshakes;
mod rules;
mod sessions;
mod streams;

use crate::support::edge::Edge;
use crate::support::free_port;
use crate::support::tls::{Authority, Client};
use crate::support::upstream::Upstream;
use std::net::SocketAddr;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// An edge with a listener for TLS, and certificates of one authority.
struct Site {
    authority: Authority,
    edge: Edge,
    https: SocketAddr,
    upstream: Upstream,
}

impl Site {
    /// Starts with a certificate for each of `hosts`, further keys below `tls`, and more at the top.
    async fn start(hosts: &[&str], tls: &str, top: &str) -> Site {
        let mut site = Site::prepare(hosts).await;
        site.edge.write(&site.yaml(hosts, tls, top));
        site.edge = site.edge.spawned().await;
        site.edge.ready().await;
        site
    }

    /// The same, before it is started.
    async fn prepare(hosts: &[&str]) -> Site {
        let authority = Authority::new("root");
        let edge = Edge::prepare("");
        for host in hosts {
            authority.write(edge.folder.path(), host, &[host]);
        }
        Site {
            authority,
            edge,
            https: ([127, 0, 0, 1], free_port()).into(),
            upstream: Upstream::start("A").await,
        }
    }

    fn yaml(&self, hosts: &[&str], tls: &str, top: &str) -> String {
        let pairs = hosts
            .iter()
            .map(|host| format!("{{ cert: \"{host}.pem\", key: \"{host}.key\" }}"));
        let pairs: Vec<String> = pairs.collect();
        format!(
            "{top}tls:\n  listen: [\"{}\"]\n  certificates: [{}]\n{tls}services:\n  web:\n    \
             addresses: [\"{}\"]\n    \
             healthcheck: {{ type: http, path: /api/v1/_health, interval: 100ms }}\n",
            self.https,
            pairs.join(", "),
            self.upstream.address,
        )
    }

    fn client(&self) -> Client {
        Client::new(self.https, &self.authority)
    }

    async fn reloaded(&self, yaml: &str) {
        self.edge.write(yaml);
        let reloaded = self.edge.tidegate(&["reload"]).await;
        assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    }

    /// Waits until this many handshakes are counted.
    async fn counts(&self, result: &str, version: &str, count: usize) {
        let labels = format!("{{result=\"{result}\",version=\"{version}\"}}");
        let name = format!("tidegate_tls_handshakes_total{labels}");
        self.edge.counts(&name, count as f64).await;
    }
}
