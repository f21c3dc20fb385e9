//! The short way: a plain request goes from the client's connection to the replica's and back
//! with nothing in between.
//!
//! Most requests are plain: HTTP/1.1, with a short body or none, and nothing said to this hop.
//! Any other request goes through Pingora, byte for byte, and its connection comes back afterwards.
//! A short body is read as a whole before a replica is claimed: a slow sender keeps no replica
//! busy, and the body can be sent again.
//!
//! Both ways decide about a request by the same functions; only reading and writing is done here.

use super::h2;
use super::plain::client::{Arrived, Client, Next};
use crate::proxy::door::Guarded;
use crate::proxy::edge::Edge;
use crate::proxy::http1::head;
use crate::proxy::hygiene;
use bytes::BytesMut;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use std::sync::Arc;

/// Serves a client for as long as it is connected.
pub async fn serve<A: HttpServerApp>(
    edge: &Edge,
    app: &Arc<A>,
    stream: Box<Guarded>,
    shutdown: &ShutdownWatch,
) {
    let mut client = Client::new(stream, BytesMut::new());
    loop {
        let next = match client.next().await {
            Arrived::Head(_) if edge.pingora_only => Next::Other,
            // On the heap, so that one who waits costs nothing of it.
            Arrived::Head(length) => Box::pin(edge.plain(&mut client, length, shutdown)).await,
            Arrived::Preface => {
                let Client { stream, inbox, .. } = client;
                return Box::pin(h2::connection::serve(edge, stream, inbox)).await;
            }
            Arrived::Other => Next::Other,
            Arrived::Nothing => Next::End(0),
        };
        match next {
            Next::Plain => {}
            Next::Other => match Box::pin(through_pingora(edge, app, client, shutdown)).await {
                Some(back) => client = back,
                None => return,
            },
            Next::End(unread) => return client.close(unread).await,
        }
    }
}

/// `None`: the connection is over.
async fn through_pingora<A: HttpServerApp>(
    edge: &Edge,
    app: &Arc<A>,
    mut client: Client,
    shutdown: &ShutdownWatch,
) -> Option<Client> {
    let end = head::end(&client.inbox, 0).unwrap_or(client.inbox.len());
    let mut head = client.inbox.split_to(end);
    match hygiene::request_line(&head) {
        Ok(None) => {}
        Ok(Some(settled)) => head = BytesMut::from(&settled[..]),
        Err(refusal) => {
            client.refuse(refusal.status()).await;
            return None;
        }
    }
    // Bytes that are no head are refused, and nothing comes behind them.
    client.stream.lend(client.inbox);
    let mut session = ServerSession::new_http1(client.stream);
    session.set_pipelined_prefix(head);
    let reused = app.process_new_http(session, shutdown).await?;
    let (stream, _) = reused.consume();
    let mut stream = stream.into_any().downcast::<Guarded>().ok()?;
    let ahead = stream.take_back();
    stream.rest(edge.settings.load_full());
    let mut client = Client::new(stream, ahead);
    client.is_used = true;
    Some(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<F>(
        _: impl FnOnce(&'static Edge, &'static mut Client, usize, &'static ShutdownWatch) -> F,
    ) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_request_takes_little_memory_and_is_moved_to_the_heap_quickly() {
        let bytes = bytes(|edge, client, length, shutdown| edge.plain(client, length, shutdown));
        assert!(bytes <= 6 << 10, "{bytes} bytes");
    }
}
