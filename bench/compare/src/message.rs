//! As much of HTTP/1.1 as both ends of a measurement need: a head, and a body of a length that
//! was announced.

use memchr::memmem;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads one message after the other from a connection.
pub struct Messages {
    buffer: Vec<u8>,
    /// Read, and not yet looked at: `buffer[from..to]`.
    from: usize,
    to: usize,
}

/// A message whose body has passed.
pub struct Seen<'a> {
    pub head: &'a [u8],
    pub body_bytes: usize,
}

impl Messages {
    pub fn with_buffer(bytes: usize) -> Messages {
        Messages {
            buffer: vec![0; bytes],
            from: 0,
            to: 0,
        }
    }

    /// The next message, when all of it has come; `None` when the other side has closed instead.
    pub async fn next(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Option<Seen<'_>>> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        let mut searched = 0;
        let head_end = loop {
            let found = memmem::find(&self.buffer[searched..self.to], b"\r\n\r\n");
            if let Some(found) = found {
                break searched + found + 4;
            }
            searched = self.to.saturating_sub(3);
            if self.to == self.buffer.len() {
                return Err(io::Error::other("a head is too long"));
            }
            match stream.read(&mut self.buffer[self.to..]).await? {
                0 if self.to == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.to += count,
            }
        };
        let body_bytes = length(&self.buffer[..head_end])?;
        let here = (self.to - head_end).min(body_bytes);
        self.from = head_end + here;
        let mut missing = body_bytes - here;
        // The head stays where it is, for whoever asked; the rest of the body goes nowhere.
        while missing > 0 {
            let end = self.buffer.len().min(head_end + missing);
            match stream.read(&mut self.buffer[head_end..end]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => missing -= count,
            }
            (self.from, self.to) = (0, 0);
        }
        Ok(Some(Seen {
            head: &self.buffer[..head_end],
            body_bytes,
        }))
    }
}

fn length(head: &[u8]) -> io::Result<usize> {
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"content-length") {
            let value = std::str::from_utf8(value).ok();
            let value = value.and_then(|value| value.trim().parse().ok());
            return value.ok_or_else(|| io::Error::other("a Content-Length that is no number"));
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(io::Error::other("a body of unknown length"));
        }
    }
    Ok(0)
}
