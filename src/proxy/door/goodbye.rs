//! Last words to connections that get no place.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time to read them. Closing at once could reset the connection before that.
const GOODBYE: Duration = Duration::from_millis(500);
/// Connections that may take their time over it at once; the others are closed without a word.
const GOODBYES_MAX: u32 = 256;
/// Bytes that are read of a connection on its way out.
const GOODBYE_BYTES: usize = 4 << 10;

#[derive(Default)]
pub struct Goodbyes(Arc<AtomicU32>);

/// Leave to say one goodbye.
pub struct Goodbye(Arc<AtomicU32>);

impl Goodbyes {
    /// `None`: too many are being said.
    pub fn begin(&self) -> Option<Goodbye> {
        let goodbye = Goodbye(Arc::clone(&self.0));
        (self.0.fetch_add(1, Ordering::Relaxed) < GOODBYES_MAX).then_some(goodbye)
    }
}

impl Goodbye {
    pub async fn say(self, mut stream: TcpStream, words: Vec<u8>) {
        let said = async {
            stream.write_all(&words).await?;
            stream.shutdown().await?;
            let mut rest = [0; GOODBYE_BYTES];
            let mut left = GOODBYE_BYTES;
            while left > 0 {
                match stream.read(&mut rest).await? {
                    0 => break,
                    count => left = left.saturating_sub(count),
                }
            }
            Ok::<(), io::Error>(())
        };
        let _ = timeout(GOODBYE, said).await;
    }
}

impl Drop for Goodbye {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
