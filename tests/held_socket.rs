//! Tidegate goes down and comes back while somebody else, as systemd would, holds the socket on
//! which it listens.

use crate::support::client::Connection;
use crate::support::edge::Edge;
use crate::support::load::Load;
use crate::support::upstream::Upstream;
use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

fn before(upstream: &Upstream) -> Edge {
    Edge::prepare(&format!(
        "services:\n  legacy:\n    addresses: [\"{}\"]\n    \
         healthcheck: {{ type: http, path: /api/v1/_health, interval: 100ms }}\n",
        upstream.address
    ))
}

#[tokio::test]
async fn no_request_is_lost_over_term_and_the_next_start() {
    let edge = Edge::prepare(
        "services:\n  acts:\n    image: acts:latest\n    first_port: 26100\n    \
         scale: { min: 2 }\n",
    );
    let address = edge.address;
    let mut edge = edge.holding(address);
    edge.spawn(&[]);
    let both = "26100=ready 26101=ready";
    edge.listening().await;
    edge.shows("acts", both, SOON).await;
    let load = Load::start(edge.address, "/api/v1/_sleep?ms=5");
    for _ in 0..3 {
        edge.signal(Signal::SIGTERM);
        assert_eq!(edge.ended(SOON).await, Some(0), "{}", edge.log());
        edge.spawn(&[]);
        edge.listening().await;
        edge.shows("acts", both, SOON).await;
        // Every client has met this process before it leaves.
        assert_eq!(edge.get("/api/v1/_sleep?ms=1000").await.status, 200);
    }
    let (sent, failed) = load.stop().await;
    assert!(sent > 600, "{sent}");
    assert_eq!(failed, Vec::<String>::new(), "of {sent}");
}

#[tokio::test]
async fn whoever_connects_while_nobody_serves_is_served_by_the_next_one() {
    let a = Upstream::start("A").await;
    let edge = before(&a);
    let address = edge.address;
    let mut edge = edge.holding(address);
    // Tidegate's own answer to this takes no replica.
    let dots = "/x/%2e%2e/y";
    let mut early = Connection::open(edge.address).await.unwrap();
    let early = tokio::spawn(async move { early.get(dots).await.unwrap().status });
    edge.spawn(&[]);
    assert_eq!(early.await.unwrap(), 400);

    // A crash makes no difference to them.
    edge.crash();
    let mut late = Connection::open(edge.address).await.unwrap();
    let late = tokio::spawn(async move { late.get(dots).await.unwrap().status });
    edge.spawn(&[]);
    assert_eq!(late.await.unwrap(), 400);
}

#[tokio::test]
async fn a_client_that_is_connected_at_term_is_answered_and_told_to_connect_anew() {
    let a = Upstream::start("A").await;
    let mut edge = before(&a).spawned().await;
    edge.ready().await;
    let mut idle = Connection::open(edge.address).await.unwrap();
    assert_eq!(idle.get("/x").await.unwrap().status, 200);
    let mut silent = Connection::open(edge.address).await.unwrap();
    let forgotten = Connection::open(edge.address).await.unwrap();
    edge.signal(Signal::SIGTERM);
    edge.says("TERM: finishing requests in flight").await;
    for client in [&mut idle, &mut silent] {
        // Our line and Pingora hear of the signal in any order.
        let told = async {
            loop {
                let answer = client.get("/x").await.unwrap();
                assert_eq!(answer.status, 200);
                if answer.header("connection") == "close" {
                    break;
                }
            }
        };
        let told = tokio::time::timeout(SOON, told).await;
        told.expect("it is not told to connect anew");
    }
    // A silent client does not keep the process.
    assert_eq!(edge.ended(SOON).await, Some(0));
    drop(forgotten);
}

#[tokio::test]
async fn a_socket_that_the_configuration_does_not_ask_for_is_refused_with_what_to_do() {
    let a = Upstream::start("A").await;
    let edge = before(&a);
    let asked = edge.address;
    let mut edge = edge.holding(([127, 0, 0, 1], 0).into());
    let (code, said) = edge.refused().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("a socket was passed that listens on 127.0.0.1:"),
        "{said}"
    );
    assert!(said.contains("hint: set `listen: [\"127.0.0.1:"), "{said}");
    assert!(std::net::TcpListener::bind(asked).is_ok());

    // A socket that was passed to another process is not ours, as after a fork.
    let mut edge = before(&a).with("LISTEN_FDS", "1").with("LISTEN_PID", "1");
    edge.spawn(&[]);
    edge.listening().await;
    edge.ready().await;

    // And what is no socket at all is said to be none.
    let mut edge = before(&a)
        .with("LISTEN_FDS", "1")
        .with("LISTEN_FDS_FIRST_FD", "0");
    let (code, said) = edge.refused().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("socket 1 of those in LISTEN_FDS cannot be used"),
        "{said}"
    );
}

#[tokio::test]
async fn the_admin_address_may_be_the_one_that_is_held() {
    let a = Upstream::start("A").await;
    let edge = before(&a);
    let admin = edge.admin;
    let mut edge = edge.holding(admin).spawned().await;
    edge.ready().await;
    assert_eq!(edge.get("/x").await.status, 200);
    edge.signal(Signal::SIGTERM);
    assert_eq!(edge.ended(SOON).await, Some(0));
    assert!(Connection::open(edge.address).await.is_err());
    assert!(Connection::open(edge.admin).await.is_ok());
    let lock = fs::read_to_string(edge.folder.path().join("lock"));
    assert!(lock.is_ok());
}
