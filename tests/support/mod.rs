//! Tools of the stories: the real binary, real upstreams, a plain client.

pub mod client;
pub mod daemon;
pub mod docker;
pub mod edge;
pub mod h2;
pub mod h2_replica;
pub mod http;
pub mod image;
pub mod load;
pub mod pebble;
pub mod recorder;
pub mod registry;
pub mod scripted;
pub mod sse;
pub mod story;
pub mod tls;
pub mod upstream;
pub mod websocket;

use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Asks again and again until `check` has something to say; panics with `what` after `within`.
pub async fn until<T, F>(what: &str, within: Duration, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// First of the ports that tests listen on: below those that the system gives to whoever asks for
/// any, so nobody takes one between its choice and its use.
const FIRST_PORT: u16 = 10_000;
const PORTS: u16 = 10_000;

/// A port that is free, and given to nobody else in this process.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let begin = std::process::id() % u32::from(PORTS);
    for _ in 0..PORTS {
        let given = u32::from(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + ((begin + given) % u32::from(PORTS)) as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {FIRST_PORT} on is free");
}
