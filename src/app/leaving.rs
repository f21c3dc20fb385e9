//! The end of a process that is told to leave, or whose successor serves.

use super::doors::Doors;
use super::exit::exit;
use super::keeper::Keeper;
use std::time::Duration;
use tokio::time::Instant;

/// A stopping process looks this often whether it may leave.
const LEAVE_POLL: Duration = Duration::from_millis(20);
/// Nothing may be in flight for this long before it leaves, so that a request already on its
/// way into the process is not cut off.
const LEAVE_QUIET: Duration = Duration::from_millis(100);
/// After TERM, clients are let in for so long, and each request is its connection's last: who is
/// busy learns to connect anew before a connection is closed under a request, and what stands in
/// front of this process sees that it is not ready. Longer than a busy client pauses, and short
/// for whoever waits for the end, or in a held socket for the next process.
const FAREWELL: Duration = Duration::from_secs(1);
/// Whoever was let in last may take this long to send a request: a round trip around the world.
const FIRST_WORD_WITHIN: Duration = Duration::from_millis(300);
/// `run --rm` waits this long for its containers to be gone.
const REMOVE_WITHIN: Duration = Duration::from_secs(60);

impl Keeper {
    /// Leaves as soon as nothing is in flight. Containers stay, unless `--rm` was given.
    pub async fn leave(mut self) {
        let now = Instant::now();
        let deadline = now + self.config.server.drain_timeout;
        self.in_flight.end_connections();
        let nobody = || self.connected.count() == 0;
        lasting(nobody, deadline.min(now + FAREWELL)).await;
        self.doors.send_replace(Doors::Shut);
        // Nobody should hold them, except for whoever passed them to this process.
        self.holdings.listeners.clear();
        self.leave_by(deadline, FIRST_WORD_WITHIN, true).await;
    }

    /// Connections on which nothing is asked are left after `idle`.
    pub async fn leave_by(self, deadline: Instant, idle: Duration, is_last: bool) {
        let patience = Instant::now() + idle;
        let nothing = || {
            let nobody = || self.connected.count() == 0;
            self.in_flight.count() == 0 && (nobody() || Instant::now() >= patience)
        };
        lasting(nothing, deadline).await;
        match self.in_flight.count() {
            0 => log::info!("nothing is in flight any more"),
            left => log::warn!("{left} requests were still in flight at the drain timeout"),
        }
        if self.options.remove
            && tokio::time::timeout(REMOVE_WITHIN, self.handle.remove_all())
                .await
                .is_err()
        {
            log::error!("not every container could be removed in time");
        }
        for observer in self.observers.all() {
            observer.flush();
        }
        if is_last {
            self.holdings.tidy_up();
        }
        exit(0);
    }
}

/// Waits until it `is` so for a while, or for the deadline.
async fn lasting(is: impl Fn() -> bool, deadline: Instant) {
    let mut quiet = Duration::ZERO;
    while quiet < LEAVE_QUIET && Instant::now() < deadline {
        tokio::time::sleep(LEAVE_POLL).await;
        quiet = if is() {
            quiet + LEAVE_POLL
        } else {
            Duration::ZERO
        };
    }
}
