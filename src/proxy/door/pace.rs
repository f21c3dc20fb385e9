//! How long a client is waited for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Rings at an instant that may move. Most never ring: so it is set when somebody must wait, and
/// set anew only when it rang too early.
#[derive(Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    pub fn poll(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if due < timer.deadline() {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// How much somebody has given or taken, and how long it was waited for: what our side took is
/// not held against it.
#[derive(Default)]
pub struct Pace {
    alarm: Alarm,
    since: Option<Instant>,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    pub fn restart(&mut self) {
        self.since = None;
        self.waited = Duration::ZERO;
        self.bytes = 0;
    }

    pub fn moved(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
    }

    /// Goes on waiting, until it has been longer than `grace` and the time that what came so far
    /// takes at `min_rate` bytes a second; 0 is no such rate.
    pub fn poll_too_slow(
        &mut self,
        cx: &mut Context<'_>,
        grace: Duration,
        min_rate: u64,
    ) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let left = match min_rate {
            0 => grace,
            rate => (grace + Duration::from_secs(self.bytes / rate)).saturating_sub(self.waited),
        };
        self.alarm.poll(cx, since + left)
    }
}

/// A client that ended its sending half may still read, or have left without a trace: so long may
/// its replica be silent before it counts as gone.
const HALF_CLOSED_SILENCE: Duration = Duration::from_secs(5);

/// Time since a client that ended its sending half got anything.
#[derive(Default)]
pub struct Silence {
    since: Option<Instant>,
    alarm: Alarm,
}

impl Silence {
    /// Begins anew, if it has begun.
    pub fn restart(&mut self) {
        if let Some(since) = &mut self.since {
            *since = Instant::now();
        }
    }

    pub fn poll_too_long(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.alarm.poll(cx, since + HALF_CLOSED_SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::time::sleep;

    const SECOND: Duration = Duration::from_secs(1);

    async fn gives_up(pace: &mut Pace, rate: u64) -> Duration {
        let began = Instant::now();
        poll_fn(|cx| pace.poll_too_slow(cx, SECOND * 10, rate)).await;
        began.elapsed()
    }

    /// Waits a while without giving up.
    async fn wait(pace: &mut Pace, rate: u64, while_: Duration) {
        tokio::select! {
            () = poll_fn(|cx| pace.poll_too_slow(cx, SECOND * 10, rate)) => panic!("too early"),
            () = sleep(while_) => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_adds_up_and_bytes_pay_for_it() {
        let mut pace = Pace::default();
        wait(&mut pace, 100, SECOND * 9).await;
        pace.moved(1);
        // Our own side took its time, which costs nothing.
        sleep(SECOND * 60).await;
        assert_eq!(gives_up(&mut pace, 100).await.as_secs(), 1);
        let mut pace = Pace::default();
        wait(&mut pace, 100, SECOND * 9).await;
        pace.moved(500);
        assert_eq!(gives_up(&mut pace, 100).await.as_secs(), 6);
        pace.restart();
        assert_eq!(gives_up(&mut pace, 100).await.as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_only_silence_counts() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            wait(&mut pace, 0, SECOND * 9).await;
            pace.moved(1);
        }
        assert_eq!(gives_up(&mut pace, 0).await.as_secs(), 10);
    }
}
