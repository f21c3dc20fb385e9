//! Waiting for a replica while the request's body goes up to it.

use super::answerer::Answerer;
use super::asker::Asker;
use super::upload::{Upload, Waits};
use pingora::{Error, ErrorType, Result};
use std::future::poll_fn;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// How long a replica may take.
#[derive(Clone, Copy, Default)]
pub struct Patience {
    /// To say something.
    pub read: Duration,
    /// To take a part of the request.
    pub write: Duration,
}

impl Patience {
    /// Reads more from a replica while the request's body goes up. Fails when the client leaves
    /// before.
    pub async fn hear<A: Asker, R: Answerer>(
        self,
        asker: &mut A,
        replica: &mut R,
        upload: &mut Upload,
    ) -> Result<()> {
        let (mut due, mut moved) = (None, upload.written);
        poll_fn(|cx| {
            if let Poll::Ready(read) = replica.poll_more(cx, asker.room()) {
                return Poll::Ready(read);
            }
            let mut within = self.read;
            if upload.is_under_way() {
                let waits = upload.poll(cx, asker, replica)?;
                if std::mem::replace(&mut moved, upload.written) != upload.written {
                    due = None;
                }
                match waits {
                    // The stream below knows how long the client may take.
                    Waits::Client => return Poll::Pending,
                    Waits::Replica => within = self.write,
                    Waits::Nobody => {}
                }
            }
            if !upload.is_under_way()
                && upload.is_read()
                && let Poll::Ready(left) = asker.poll_left(cx)
            {
                return Poll::Ready(Err(left));
            }
            let due = *due.get_or_insert_with(|| Instant::now() + within);
            ready!(asker.poll_due(cx, due));
            let (kind, what) = match upload.is_under_way() {
                true => (ErrorType::WriteTimedout, "writing a request"),
                false => (ErrorType::ReadTimedout, "waiting for an answer"),
            };
            Poll::Ready(Err(Error::explain(kind, what).into_up()))
        })
        .await
    }
}
