//! Carries the table's bytes over TLS to the edge.

use crate::support::tls::Client;
use socket2::SockRef;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Name in the edge's certificate.
pub const NAME: &str = "edge.test";

/// Carries connections to `client`'s edge for as long as the test runs.
pub async fn to(client: Client) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(carry(stream, client.clone()));
        }
    });
    address
}

async fn carry(mut stream: TcpStream, client: Client) {
    let mut secured = client.connect(NAME).await.expect("a handshake");
    let _ = stream.set_nodelay(true);
    let _ = secured.get_ref().0.set_nodelay(true);
    if copy_bidirectional(&mut stream, &mut secured).await.is_err() {
        // A connection that broke on one side breaks on the other as well.
        for socket in [&stream, secured.get_ref().0] {
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}
