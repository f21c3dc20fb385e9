//! The clients' side.

pub mod closed;
pub mod connection;
pub mod open;

use connection::{Ask, Connection};
use std::net::{Ipv4Addr, SocketAddr};

/// The clients: their target, their request, and their number of connections.
#[derive(Clone)]
pub struct Clients {
    pub edge: SocketAddr,
    pub ask: Ask,
    pub connections: usize,
    /// Each request on a connection of its own.
    pub always_new: bool,
}

/// One of them, between two requests.
struct Client<'a> {
    clients: &'a Clients,
    connection: Option<Connection>,
}

impl<'a> Client<'a> {
    fn new(clients: &'a Clients) -> Client<'a> {
        Client {
            clients,
            connection: None,
        }
    }

    /// One request. After a failure the next one has a new connection.
    async fn ask(&mut self) -> Result<(), String> {
        let Clients { edge, ask, .. } = self.clients;
        let kept = self.connection.take().filter(|_| !self.clients.always_new);
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(Ipv4Addr::LOCALHOST, *edge, ask).await?,
        };
        connection.ask(ask).await?;
        self.connection = Some(connection);
        Ok(())
    }
}
