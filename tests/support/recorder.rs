//! A program behind the edge that keeps the very bytes it was sent, and says what a test wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub struct Recorder {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    answer: Mutex<Vec<u8>>,
    /// Bytes of each connection.
    got: Mutex<Vec<Vec<u8>>>,
}

impl Recorder {
    pub async fn start() -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            answer: Mutex::new(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()),
            got: Mutex::default(),
        });
        let server = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&shared)));
                }
            }
        });
        Recorder {
            address,
            shared,
            server,
        }
    }

    /// Sets the answer to each request from now on; then the recorder closes, so that every request
    /// has a connection of its own.
    pub fn answers(&self, answer: impl AsRef<[u8]>) {
        *self.shared.answer.lock().expect("no panic") = answer.as_ref().to_vec();
    }

    /// Bytes since the last look, by connection; silent connections are left out.
    pub fn take(&self) -> Vec<Vec<u8>> {
        let mut got = self.shared.got.lock().expect("no panic");
        let taken = std::mem::take(&mut *got);
        taken
            .into_iter()
            .filter(|bytes| !bytes.is_empty())
            .collect()
    }

    /// The only request since the last look.
    pub fn take_one(&self) -> String {
        let mut got = self.take();
        assert_eq!(got.len(), 1, "one request came");
        String::from_utf8_lossy(&got.remove(0)).into_owned()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let place = {
        let mut got = shared.got.lock().expect("no panic");
        got.push(Vec::new());
        got.len() - 1
    };
    let mut buffer = [0; 16 << 10];
    let mut heard = Vec::new();
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        heard.extend_from_slice(&buffer[..count]);
        {
            let mut got = shared.got.lock().expect("no panic");
            if let Some(kept) = got.get_mut(place) {
                kept.clone_from(&heard);
            }
        }
        if is_whole(&heard) {
            break;
        }
    }
    if heard.is_empty() {
        return; // a health check
    }
    let answer = shared.answer.lock().expect("no panic").clone();
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
    // Bytes behind the request are kept as well: they would be the smuggled one.
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let mut got = shared.got.lock().expect("no panic");
        if let Some(kept) = got.get_mut(place) {
            kept.extend_from_slice(&buffer[..count]);
        }
    }
}

/// Whether a head and the body that it announces are there.
fn is_whole(heard: &[u8]) -> bool {
    let text = String::from_utf8_lossy(heard).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let value = |name: &str| {
        let line = head.lines().find(|line| line.starts_with(name))?;
        Some(line[name.len()..].trim().to_owned())
    };
    if value("transfer-encoding:").is_some() {
        return body.ends_with("0\r\n\r\n");
    }
    let length = value("content-length:").and_then(|length| length.parse().ok());
    body.len() >= length.unwrap_or(0)
}
