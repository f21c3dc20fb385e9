//! HTTP/1 messages on a connection, read as they come and shown as they are.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// One end of a connection.
pub struct Wire<S = TcpStream> {
    pub stream: S,
    received: Vec<u8>,
}

/// A request or an answer.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Request line or status line.
    pub line: String,
    /// Lower-case names with their values, in their order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    pub is_whole: bool,
}

impl Message {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(found, _)| found == name)?;
        Some(value)
    }

    /// Status of an answer.
    pub fn status(&self) -> u16 {
        let code = self.line.split(' ').nth(1);
        code.and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some()
    }

    fn length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    pub fn new(stream: S) -> Wire<S> {
        Wire {
            stream,
            received: Vec::new(),
        }
    }

    /// Sends `bytes`; a peer that has closed its end does not matter.
    pub async fn send(&mut self, bytes: &[u8])
    where
        S: AsyncWrite,
    {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Waits for the end of the connection. What comes before it is kept.
    pub async fn until_end(&mut self) {
        while self.fill().await {}
    }

    /// A piece of at most `max` bytes; `None` at the end of the connection.
    pub async fn piece(&mut self, max: usize) -> Option<Vec<u8>> {
        if self.received.is_empty() && !self.fill().await {
            return None;
        }
        let count = max.min(self.received.len());
        Some(self.received.drain(..count).collect())
    }

    /// Reads more; false at the end of the connection.
    async fn fill(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.received).await, Ok(1..))
    }

    /// Waits for `part`; false if the connection ends before.
    pub async fn receive_until(&mut self, part: &str) -> bool {
        while memchr::memmem::find(&self.received, part.as_bytes()).is_none() {
            if !self.fill().await {
                return false;
            }
        }
        true
    }

    /// Everything up to the end of the connection.
    pub async fn receive_rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.received)
    }

    /// Bytes that were read and not used.
    pub fn take_unread(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.received)
    }

    pub async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.received) {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Lines up to the blank one; `None` if the connection ends before.
    pub async fn lines(&mut self) -> Option<Vec<(String, String)>> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Some(lines);
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            lines.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The next head; `None` if the connection ends before its end.
    pub async fn head(&mut self) -> Option<Message> {
        let mut line = self.line().await?;
        while line.is_empty() {
            line = self.line().await?;
        }
        Some(Message {
            line,
            headers: self.lines().await?,
            ..Message::default()
        })
    }

    /// Reads the body that the head of a request announces.
    pub async fn request_body(&mut self, message: &mut Message) {
        message.is_whole = match message.is_chunked() {
            true => self.chunks(message).await,
            false => self.take(message.length().unwrap_or(0), message).await,
        };
    }

    /// Reads the body of an answer.
    pub async fn answer_body(&mut self, message: &mut Message, to_head: bool) {
        let is_bodiless = to_head || matches!(message.status(), 100..200 | 204 | 304);
        message.is_whole = match (is_bodiless, message.length()) {
            (true, _) => true,
            (false, _) if message.is_chunked() => self.chunks(message).await,
            (false, Some(length)) => self.take(length, message).await,
            (false, None) => {
                message.body = self.receive_rest().await;
                true
            }
        };
    }

    async fn take(&mut self, length: usize, message: &mut Message) -> bool {
        let mut is_open = true;
        while self.received.len() < length && is_open {
            is_open = self.fill().await;
        }
        let count = length.min(self.received.len());
        message.body.extend(self.received.drain(..count));
        count == length
    }

    async fn chunks(&mut self, message: &mut Message) -> bool {
        loop {
            let Some(line) = self.line().await else {
                return false;
            };
            let size = line.split(';').next().unwrap_or_default();
            let Ok(size) = usize::from_str_radix(size, 16) else {
                return false;
            };
            if size == 0 {
                let trailers = self.lines().await;
                let is_whole = trailers.is_some();
                message.trailers = trailers.unwrap_or_default();
                return is_whole;
            }
            if !self.take(size, message).await || self.line().await.is_none() {
                return false;
            }
        }
    }
}
