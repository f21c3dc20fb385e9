//! TLS: the step between a connection's place and its protocol.

use super::stream::ClientStream;
use super::wire::Wire;
use crate::proxy::settings::Settings;
use crate::proxy::tls::{Ends, Handshakes, Unfinished};
use http::uri::Scheme;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Ends TLS, and notes on `wire` what the handshake brought to light.
pub async fn secure(
    stream: TcpStream,
    wire: &mut Wire,
    settings: &Settings,
    handshakes: &Handshakes,
) -> Result<ClientStream, Unfinished> {
    let Some(tls) = &settings.tls else {
        return Err(Unfinished::Over("no TLS is configured".to_owned()));
    };
    let ends = Ends {
        client: wire.peer.address,
        local: wire.local.ip(),
    };
    // In a box that is gone before the protocol begins: its 20 KiB would stay in the
    // connection's task.
    let made = Box::pin(handshakes.make(stream, ends, tls, settings.bounds.header_timeout));
    let (stream, facts) = made.await?;
    wire.scheme = Scheme::HTTPS;
    wire.tls = Some(Arc::new(facts));
    Ok(ClientStream::Secured(Box::new(stream)))
}
