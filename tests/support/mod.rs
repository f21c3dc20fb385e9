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

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}
