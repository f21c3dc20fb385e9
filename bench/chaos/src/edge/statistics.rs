//! Replicas in HAProxy's statistics.

use super::fetch::fetch;
use super::replica::Replica;
use std::collections::BTreeMap;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// One command, and the answer to it.
pub async fn ask(socket: &Path, command: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    stream.write_all(command.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    Some(text)
}

/// A server counts when HAProxy sends it requests and it answers one: HAProxy alone may not have
/// noticed yet.
pub async fn look(
    socket: &Path,
    servers: &BTreeMap<String, (String, u16)>,
) -> Option<Vec<Replica>> {
    let text = ask(socket, "show stat\n").await?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.trim_start_matches("# ").split(',').collect();
    let column = |name| names.iter().position(|found| *found == name);
    let (service, status) = (column("svname")?, column("status")?);
    let mut replicas = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let Some((id, port)) = fields.get(service).and_then(|name| servers.get(*name)) else {
            continue;
        };
        let up = fields
            .get(status)
            .is_some_and(|status| status.starts_with("UP"));
        let address = ([127, 0, 0, 1], *port).into();
        let ready = up && matches!(fetch(address, "GET", "/api/v1/_count").await, Ok((200, _)));
        replicas.push(Replica {
            id: id.clone(),
            port: *port,
            ready,
        });
    }
    Some(replicas)
}
