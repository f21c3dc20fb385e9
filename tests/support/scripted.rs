//! A replica played by hand: a listener, and the bytes that come on its connections.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

/// A replica that does what the test says.
pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// Reads until `part` has come, and returns all of it.
pub async fn hears(stream: &mut TcpStream, part: &str) -> String {
    let mut heard = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&heard).into_owned();
            if text.contains(part) {
                return text;
            }
            let count = stream.read_buf(&mut heard).await.expect("it is open");
            assert!(count > 0, "closed after {text:?}, without {part:?}");
        }
    };
    timeout(SOON, reading)
        .await
        .unwrap_or_else(|_| panic!("no {part:?} came"))
}

/// The next connection on which a request comes: health checks only connect.
pub async fn request(listener: &TcpListener, part: &str) -> (TcpStream, String) {
    let asked = async {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            if stream.peek(&mut [0]).await.is_ok_and(|count| count > 0) {
                let text = hears(&mut stream, part).await;
                return (stream, text);
            }
        }
    };
    timeout(SOON, asked).await.expect("a request")
}
