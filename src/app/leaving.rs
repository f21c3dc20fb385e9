//! Shutdown: after a signal, or once a successor serves.

use super::doors::Doors;
use super::exit::exit;
use super::keeper::Keeper;
use std::time::Duration;
use tokio::time::Instant;

/// Interval at which a stopping process checks whether it may exit.
const LEAVE_POLL: Duration = Duration::from_millis(20);
/// Quiet time before the exit, so that a request on its way into the process is not cut off.
const LEAVE_QUIET: Duration = Duration::from_millis(100);
/// Time after TERM in which connections are still accepted and each request is its connection's
/// last: busy clients learn to reconnect before a connection is closed under a request, and a
/// balancer in front sees that the process is not ready. Longer than the pause of a busy client, and
/// short for clients that wait in a held socket for the next process.
const FAREWELL: Duration = Duration::from_secs(1);
/// Time for the client that was accepted last to send a request: a round trip around the world.
const FIRST_WORD_WITHIN: Duration = Duration::from_millis(300);
/// Time for `run --rm` to remove its containers.
const REMOVE_WITHIN: Duration = Duration::from_secs(60);

impl Keeper {
    /// Exits as soon as nothing is in flight. Containers stay, unless `--rm` was given.
    pub async fn leave(mut self) {
        let now = Instant::now();
        let deadline = now + self.config.server.drain_timeout;
        self.in_flight.end_connections();
        let nobody = || self.connected.count() == 0;
        lasting(nobody, deadline.min(now + FAREWELL)).await;
        self.doors.send_replace(Doors::Shut);
        // Only a supervisor that passed them may keep them open.
        self.holdings.listeners.clear();
        self.leave_by(deadline, FIRST_WORD_WITHIN, true).await;
    }

    /// Exits by `deadline`, and does not wait for connections without a request for more than `idle`.
    pub async fn leave_by(self, deadline: Instant, idle: Duration, is_last: bool) {
        let patience = Instant::now() + idle;
        let nothing = || {
            let nobody = || self.connected.count() == 0;
            self.in_flight.count() == 0 && (nobody() || Instant::now() >= patience)
        };
        lasting(nothing, deadline).await;
        match self.in_flight.count() {
            0 => log::info!("no request is in flight any more"),
            left => log::warn!("{left} requests were still in flight at the drain timeout"),
        }
        let mut left = Vec::new();
        if self.options.remove {
            left = self.handle.remove_all(REMOVE_WITHIN).await;
        }
        for container in &left {
            log::error!("--rm: not removed: {container}");
        }
        for observer in self.observers.all() {
            observer.flush();
        }
        if is_last {
            self.holdings.tidy_up();
        }
        exit(i32::from(!left.is_empty()));
    }
}

/// Resolves once `is` has held for `LEAVE_QUIET`, or at the deadline.
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
