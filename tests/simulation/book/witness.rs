//! The witness: a service with nothing ready is healed quickly, whatever trouble others are in.

use super::state::Book;
use std::time::Duration;
use tidegate::service::snapshot::ServiceView;
use tokio::time::Instant;

/// A start without slow calls, and the health checks that follow.
const START_TIME: Duration = Duration::from_secs(3);
/// A service with nothing ready is healed within its start time and this, whatever others do.
const HEALED_AFTER: Duration = Duration::from_secs(5);
/// A removal of its own that fails or hangs is given up on within this.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(6);

impl Book {
    /// Judges the time that the witness has had nothing ready.
    pub(super) fn judge_witness(&mut self, view: &ServiceView) {
        let stuck = self.replicas.values().any(|known| {
            let is_stopping = known.stopping.is_some() || known.stop_failed.is_some();
            known.service == view.name && is_stopping && self.stuck.contains_key(&known.slot)
        });
        let is_down = view.ready.is_empty() && view.desired > 0;
        let Some((since, was_stuck)) = self.down else {
            self.down = is_down.then(|| (Instant::now(), stuck));
            return;
        };
        let stuck = stuck || was_stuck;
        self.down = is_down.then_some((since, stuck));
        let given_up = if stuck {
            GIVEN_UP_AFTER
        } else {
            Duration::ZERO
        };
        let (name, since) = (&view.name, since.elapsed());
        let because = view.because.join("; ");
        self.promise(since <= START_TIME + HEALED_AFTER + given_up, || {
            format!("{name} has had nothing ready for {since:?}, stuck: {stuck} ({because})")
        });
    }
}
