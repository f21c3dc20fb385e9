//! Replicas in Tidegate's admin API.

use super::fetch::fetch;
use super::replica::Replica;
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::sleep;

/// Name of the service under test.
pub const SERVICE: &str = "acts";

/// The state that the admin API shows.
pub async fn look(admin: SocketAddr) -> Option<Vec<Replica>> {
    #[derive(Deserialize)]
    struct Service {
        replicas: Vec<Shown>,
    }
    #[derive(Deserialize)]
    struct Shown {
        id: String,
        slot: u16,
        state: String,
    }
    let path = format!("/api/v1/services/{SERVICE}");
    let Ok((200, body)) = fetch(admin, "GET", &path).await else {
        // The process may be about to listen.
        sleep(Duration::from_millis(5)).await;
        return None;
    };
    let service: Service = serde_json::from_slice(&body).ok()?;
    let replica = |shown: Shown| Replica {
        id: shown.id,
        port: shown.slot,
        ready: shown.state == "ready",
    };
    Some(service.replicas.into_iter().map(replica).collect())
}
