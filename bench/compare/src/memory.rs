//! Memory of an edge: after its start, and for each connection that idles.

use crate::client::connection::{Ask, Connection};
use crate::edge::Edge;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Until what is freed late is freed.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);
/// Opened at once.
const TOGETHER: usize = 50;
const OPEN_WITHIN: Duration = Duration::from_secs(60);

pub struct Memory {
    /// Resident, in bytes, before the first request.
    pub resident: u64,
    pub proportional: u64,
    /// Resident, in bytes, for each connection that has had an answer and waits.
    pub for_each: f64,
}

pub async fn of(edge: &Edge, connections: usize) -> Result<Memory, String> {
    sleep(SETTLES_WITHIN).await;
    let resident = edge.process.look()?.memory;
    let proportional = edge.process.proportional_memory()?;
    let open = timeout(OPEN_WITHIN, open(edge, connections)).await;
    let open = open.map_err(|_| format!("{connections} connections took too long"))??;
    sleep(SETTLES_WITHIN).await;
    let (now, files) = (edge.process.look()?.memory, edge.process.look()?.files);
    if files < connections as u64 {
        let name = edge.which.name();
        return Err(format!(
            "{name} has only {files} of {connections} connections"
        ));
    }
    drop(open);
    Ok(Memory {
        resident,
        proportional,
        for_each: now.saturating_sub(resident) as f64 / connections as f64,
    })
}

async fn open(edge: &Edge, count: usize) -> Result<Vec<Connection>, String> {
    let mut tasks = JoinSet::new();
    for number in 0..TOGETHER {
        let address = edge.address;
        let count = count / TOGETHER + usize::from(number < count % TOGETHER);
        tasks.spawn_local(async move {
            let ask = Ask::small();
            let mut connections = Vec::new();
            // An address has fewer ports than this.
            let from = Ipv4Addr::new(127, 0, 0, 10 + (number % 10) as u8);
            for _ in 0..count {
                let mut connection = Connection::open(from, address, &ask).await?;
                connection.ask(&ask).await?;
                connections.push(connection);
            }
            Ok::<_, String>(connections)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.extend(done.map_err(|why| why.to_string())??);
    }
    Ok(all)
}
