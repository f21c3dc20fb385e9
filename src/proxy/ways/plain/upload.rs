//! A request's body on its way up, piece by piece as the client sends it.
//!
//! The next piece is asked for when the replica has taken the one before, so a slow replica slows
//! the client down. The first 64 KiB are remembered, so that another replica can be asked. Fields
//! behind the body pass, but for those that a filter owns, as no filter has seen them there.

use super::answerer::Answerer;
use super::asker::Asker;
use crate::proxy::door::Phase;
use crate::proxy::http1::body::put_trailers;
use crate::proxy::request::retry::BODY_KEPT_BYTES;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode};
use pingora::{Error, ErrorType, Result};
use std::collections::VecDeque;
use std::fmt::Write;
use std::task::{Context, Poll};

pub struct Upload {
    /// The length is not known before the end.
    is_chunked: bool,
    /// The replica gets chunks.
    is_framed: bool,
    /// Bytes that the body may have.
    limit: u64,
    /// Bytes of the body so far.
    pub bytes: u64,
    /// Bytes that replicas took, framing included.
    pub written: u64,
    state: State,
    /// Framed, and not written yet.
    out: VecDeque<Bytes>,
    /// All that was read, as long as there is room.
    kept: Vec<Bytes>,
    is_kept: bool,
    /// Nothing of the body is left behind the head.
    is_whole: bool,
    /// The replica knows that the body is over.
    is_ended: bool,
    /// The phase of the client's connection once the body is over.
    pub after: Phase,
    /// Fields behind the body.
    trailers: HeaderMap,
    /// Names of fields that clients may not set.
    owned: Vec<HeaderName>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The client has more.
    Reading,
    /// The client has sent all of it.
    Read,
    /// Nobody takes the rest.
    GivenUp,
}

/// Whom an upload waits for.
pub enum Waits {
    Nobody,
    Client,
    Replica,
}

impl Upload {
    /// No body, or one that was sent with the head.
    pub fn none() -> Upload {
        Upload {
            state: State::Read,
            is_whole: true,
            is_ended: true,
            ..Upload::new(false, 0, &[])
        }
    }

    /// `owned` are names of fields that clients may not set.
    pub fn new(is_chunked: bool, limit: u64, owned: &[HeaderName]) -> Upload {
        Upload {
            is_chunked,
            is_framed: is_chunked,
            limit,
            bytes: 0,
            written: 0,
            state: State::Reading,
            out: VecDeque::new(),
            kept: Vec::new(),
            is_kept: true,
            is_whole: false,
            is_ended: false,
            after: Phase::Answer,
            trailers: HeaderMap::new(),
            owned: owned.to_vec(),
        }
    }

    /// Whether some of the body was not read, or not written.
    pub fn is_under_way(&self) -> bool {
        match self.state {
            State::Reading => true,
            State::Read => !self.is_ended,
            State::GivenUp => false,
        }
    }

    /// Whether the client has sent all of the body.
    pub fn is_read(&self) -> bool {
        self.state == State::Read
    }

    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Stops: the replica takes no more.
    pub fn give_up(&mut self) {
        if self.is_under_way() {
            self.out.clear();
            self.state = State::GivenUp;
        }
    }

    /// Begins again with what is remembered, for another replica: one that `takes_chunks` where the
    /// length is not known, or one that needs no framing.
    pub fn rewind(&mut self, takes_chunks: bool) {
        self.is_framed = self.is_chunked && takes_chunks;
        self.out.clear();
        for piece in std::mem::take(&mut self.kept) {
            self.put(&piece);
            self.kept.push(piece);
        }
        match self.state {
            State::Reading => {}
            // One that went with the head goes with it again.
            State::Read if self.is_whole => {}
            State::Read => {
                self.is_ended = false;
                self.put_end();
            }
            // Where the client has nothing more, it says so again.
            State::GivenUp => self.state = State::Reading,
        }
    }

    /// Moves the body on as far as it goes now.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        asker: &mut impl Asker,
        replica: &mut impl Answerer,
    ) -> Result<Waits> {
        loop {
            if self.state == State::GivenUp {
                return Ok(Waits::Nobody);
            }
            if !self.out.is_empty() {
                match replica.poll_take(cx, &mut self.out) {
                    Poll::Ready(Ok(count)) => self.written += count as u64,
                    // Its answer may say why.
                    Poll::Ready(Err(_)) => self.give_up(),
                    Poll::Pending => return Ok(Waits::Replica),
                }
                continue;
            }
            if self.state == State::Read {
                if !self.is_ended {
                    self.is_ended = true;
                    replica.end(&self.trailers);
                    asker.enter(self.after);
                }
                return Ok(Waits::Nobody);
            }
            match asker.poll_body(cx) {
                Poll::Ready(Ok(Some(piece))) => self.take(piece)?,
                Poll::Ready(Ok(None)) => {
                    self.state = State::Read;
                    self.trailers.extend(asker.trailers());
                    for name in &self.owned {
                        self.trailers.remove(name);
                    }
                    self.put_end();
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(Waits::Client),
            }
        }
    }

    fn take(&mut self, piece: Bytes) -> Result<()> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.limit {
            return Err(Error::explain(
                ErrorType::HTTPStatus(StatusCode::PAYLOAD_TOO_LARGE.as_u16()),
                "the request body is larger than max_request_body",
            ));
        }
        self.put(&piece);
        if self.is_kept && self.bytes <= BODY_KEPT_BYTES {
            self.kept.push(piece);
        } else {
            self.is_kept = false;
            self.kept = Vec::new();
        }
        Ok(())
    }

    fn put(&mut self, piece: &Bytes) {
        if !self.is_framed {
            self.out.push_back(piece.clone());
            return;
        }
        let mut line = BytesMut::with_capacity(20);
        let _ = write!(line, "{:x}\r\n", piece.len());
        let lines = [line.freeze(), piece.clone(), Bytes::from_static(b"\r\n")];
        self.out.extend(lines);
    }

    fn put_end(&mut self) {
        if self.is_framed {
            if self.trailers.is_empty() {
                self.out.push_back(Bytes::from_static(b"0\r\n\r\n"));
                return;
            }
            let mut end = BytesMut::new();
            end.put_slice(b"0\r\n");
            put_trailers(&mut end, &self.trailers);
            self.out.push_back(end.freeze());
        }
    }
}
