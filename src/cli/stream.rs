//! Server-sent events of the running Tidegate, followed over reloads and upgrades.

use super::client::{Client, ClientError};
use http_body_util::BodyExt;
use std::time::{Duration, Instant};

/// Timeout of a stream: the server sends something at least every 5 s.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// Time for a new process to take over.
const AWAY_FOR: Duration = Duration::from_secs(15);
const TRY_EVERY: Duration = Duration::from_millis(200);
/// Limit of a message; one with ten thousand replicas is smaller.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamMessage {
    /// Empty: none was given.
    pub name: String,
    pub id: String,
    pub data: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Streamed {
    More,
    Enough,
}

impl Client {
    /// Passes each message to `take` until that has enough. Continues where a stream ended; fails
    /// when there is no answer for a while.
    pub fn follow(
        &self,
        path: &str,
        mut take: impl FnMut(&StreamMessage) -> Streamed,
    ) -> Result<(), ClientError> {
        super::client::block_on(async {
            let mut last_id = String::new();
            let mut heard = Instant::now();
            let mut met = false;
            loop {
                match self.stream(path, &mut last_id, &mut heard, &mut take).await {
                    Ok(Streamed::Enough) => return Ok(()),
                    Ok(Streamed::More) => met = true,
                    // A process that has just begun may not know yet what it will.
                    Err(error) if !met || heard.elapsed() > AWAY_FOR => return Err(error),
                    Err(_) => {}
                }
                tokio::time::sleep(TRY_EVERY).await;
            }
        })
    }

    /// One stream to its end.
    async fn stream(
        &self,
        path: &str,
        last_id: &mut String,
        heard: &mut Instant,
        take: &mut impl FnMut(&StreamMessage) -> Streamed,
    ) -> Result<Streamed, ClientError> {
        let opened = tokio::time::timeout(AWAY_FOR, self.open(path, last_id)).await;
        let silent = || ClientError::Broken("no answer in time".to_owned());
        let mut body = opened.map_err(|_| silent())??;
        let mut reader = Reader::default();
        loop {
            *heard = Instant::now();
            let frame = match tokio::time::timeout(SILENT_FOR, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                // The next stream shows why this one ended.
                Ok(_) | Err(_) => return Ok(Streamed::More),
            };
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            reader.push(&bytes);
            if reader.unread.len() > MESSAGE_BYTES_MAX {
                let why = "a message without end".to_owned();
                return Err(ClientError::Broken(why));
            }
            while let Some(message) = reader.next() {
                if !message.id.is_empty() {
                    last_id.clone_from(&message.id);
                }
                if take(&message) == Streamed::Enough {
                    return Ok(Streamed::Enough);
                }
            }
        }
    }
}

/// Parser of messages.
#[derive(Default)]
struct Reader {
    unread: Vec<u8>,
}

impl Reader {
    fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The next message that has data.
    fn next(&mut self) -> Option<StreamMessage> {
        loop {
            let end = self.unread.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.unread.drain(..end + 2).collect();
            let mut message = StreamMessage::default();
            for line in String::from_utf8_lossy(&block).lines() {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "event" => message.name = value.to_owned(),
                    "id" => message.id = value.to_owned(),
                    "data" if message.data.is_empty() => message.data = value.to_owned(),
                    "data" => {
                        message.data.push('\n');
                        message.data.push_str(value);
                    }
                    _ => {}
                }
            }
            if !message.data.is_empty() {
                return Some(message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_of_any_pieces() {
        let text = "retry: 1000\n\n: still here\n\nid: 7\ndata: {\"a\":\ndata: 1}\n\n\
                    event: state\ndata: é\n\ndata: unfinished\n";
        let message = |name: &str, id: &str, data: &str| StreamMessage {
            name: name.to_owned(),
            id: id.to_owned(),
            data: data.to_owned(),
        };
        let expected = [message("", "7", "{\"a\":\n1}"), message("state", "", "é")];
        for size in [1, 3, 1000] {
            let mut reader = Reader::default();
            let mut found = Vec::new();
            for bytes in text.as_bytes().chunks(size) {
                reader.push(bytes);
                found.extend(std::iter::from_fn(|| reader.next()));
            }
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }
}
