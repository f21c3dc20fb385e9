//! Clients that ask without a break.

use super::client::Connection;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Sends requests all the time, some on connections that it keeps and some on fresh ones, and
/// remembers everything that was not answered with 200.
pub struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<(u32, Vec<String>)>>,
}

impl Load {
    pub fn start(address: SocketAddr, path: &'static str) -> Load {
        let over = Arc::new(AtomicBool::new(false));
        // Keeps connections or does not, and waits this long between two requests.
        let clients = [(true, 0), (true, 3), (true, 700), (false, 0), (false, 2)];
        let clients = clients.iter().flat_map(|client| [client; 2]);
        let clients = clients.map(|&(keeps, pause)| {
            let over = Arc::clone(&over);
            tokio::spawn(client(
                address,
                path,
                keeps,
                Duration::from_millis(pause),
                over,
            ))
        });
        let clients = clients.collect();
        Load { over, clients }
    }

    /// How many were sent, and what went wrong.
    pub async fn stop(self) -> (u32, Vec<String>) {
        self.over.store(true, Ordering::Relaxed);
        let (mut sent, mut failed) = (0, Vec::new());
        for client in self.clients {
            let (its, went_wrong) = client.await.expect("no panic");
            sent += its;
            failed.extend(went_wrong);
        }
        (sent, failed)
    }
}

async fn client(
    address: SocketAddr,
    path: &str,
    keeps: bool,
    pause: Duration,
    over: Arc<AtomicBool>,
) -> (u32, Vec<String>) {
    let (mut sent, mut failed) = (0, Vec::new());
    let mut kept: Option<Connection> = None;
    while !over.load(Ordering::Relaxed) {
        let reused = kept.is_some();
        let mut once = async || {
            let mut connection = match kept.take() {
                Some(kept) => kept,
                None => Connection::open(address)
                    .await
                    .map_err(|error| error.to_string())?,
            };
            let answer = connection.get(path).await;
            let answer = answer.map_err(|error| format!("{error:?}"))?;
            if answer.status != 200 {
                return Err(answer.status.to_string());
            }
            if keeps && answer.header("connection") != "close" {
                kept = Some(connection);
            }
            Ok(())
        };
        if let Err(why) = once().await {
            failed.push(format!("{why} (reused: {reused})"));
        }
        sent += 1;
        tokio::time::sleep(pause).await;
    }
    (sent, failed)
}
