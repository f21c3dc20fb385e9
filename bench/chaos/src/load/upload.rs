//! The body of a request.

use super::mix::Ask;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// Between the halves of a slow upload.
const PAUSE: Duration = Duration::from_millis(60);

/// A body of one piece or two.
pub struct Upload {
    pieces: VecDeque<Bytes>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    pub fn new(ask: &Ask) -> Upload {
        let mut pieces = VecDeque::new();
        if ask.body_bytes > 0 {
            let quotes = r#"{"f":""}"#.len();
            let filler = "f".repeat(ask.body_bytes.saturating_sub(quotes));
            let mut body = Bytes::from(format!(r#"{{"f":"{filler}"}}"#));
            if ask.slow {
                pieces.push_back(body.split_to(body.len() / 2));
            }
            pieces.push_back(body);
        }
        Upload {
            pieces,
            pause: None,
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let Some(piece) = self.pieces.pop_front() else {
            return Poll::Ready(None);
        };
        if !self.pieces.is_empty() {
            self.pause = Some(Box::pin(sleep(PAUSE)));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}
