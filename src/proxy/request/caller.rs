//! The client of a request that waits, whichever way it takes.
//!
//! A client that closes its connection, or its sending half, while its request waits has left: the
//! request leaves the line, and no replica ever sees it. A program that has merely said all that
//! it has to say looks the same, because nothing but an answer could tell the two apart; nginx
//! decides likewise. Once a request was sent, its client may close its half and gets the answer.

use crate::proxy::door::{Connection, Phase};
use pingora::prelude::Session;
use pingora::protocols::SocketDigest;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType};
use std::future::pending;
use std::sync::Arc;

/// Both sides may speak: TCP's state by its number in Linux (`tcp_states.h`).
const ESTABLISHED: u8 = 1;

pub trait Caller: Send {
    /// Resolves when the client leaves. Nothing of what it sends is lost.
    fn left(&mut self) -> impl Future<Output = Box<Error>> + Send;

    fn socket(&self) -> Option<Arc<SocketDigest>>;

    /// Looks once more, by the kernel's own word: the runtime may not have heard yet.
    fn has_left(&self) -> bool {
        let socket = self.socket();
        let told = socket.as_ref().and_then(|socket| socket.tcp_info());
        told.is_some_and(|told| told.tcpi_state != ESTABLISHED)
    }
}

impl Caller for Session {
    async fn left(&mut self) -> Box<Error> {
        let connection = Connection::shared(self);
        if let (Some(connection), ServerSession::H1(session)) =
            (connection, self.as_downstream_mut())
        {
            let _held = Held::on(connection);
            let _ended = session.idle().await;
            return gone();
        }
        pending().await
    }

    fn socket(&self) -> Option<Arc<SocketDigest>> {
        self.digest()?.socket_digest.clone()
    }
}

/// For as long as it lives, reading from the client means to wait for its end.
pub struct Held {
    connection: Arc<Connection>,
    before: Phase,
}

impl Held {
    pub fn on(connection: Arc<Connection>) -> Held {
        let before = connection.phase();
        connection.enter(Phase::Held);
        Held { connection, before }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.connection.enter(self.before);
    }
}

pub fn gone() -> Box<Error> {
    let what = "the client left before its request was sent";
    Error::explain(ErrorType::ConnectionClosed, what).into_down()
}
