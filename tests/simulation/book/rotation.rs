//! Rotation: requests see only replicas that are well, in order, in few snapshots a second.

use super::state::{Book, SECOND};
use std::time::Duration;
use tidegate::service::replica::Phase;
use tidegate::service::snapshot::{ServiceView, Snapshot};
use tidegate::service::spec::{ServiceName, Slot};
use tokio::time::Instant;

/// No health check of the simulation takes longer to find a ready replica sick: three failures,
/// each a timeout of 1 s and an interval of 2 s at most, and the interval before the first.
const PATIENCE: Duration = Duration::from_secs(12);

impl Book {
    /// Judges a snapshot that was just published.
    pub fn published(&mut self, life: u32, snapshot: &Snapshot) {
        if life != self.life {
            return;
        }
        let now = Instant::now();
        self.publications_total += 1;
        self.publications.retain(|at| now - *at < SECOND);
        self.publications.push_back(now);
        let publications = self.publications.len();
        self.promise(publications <= 300, || {
            format!("{publications} snapshots within a second")
        });
        self.judge(snapshot);
    }

    pub fn judge(&mut self, snapshot: &Snapshot) {
        for (name, view) in &snapshot.services {
            self.judge_rotation(name, view);
            if self.witness.as_ref() == Some(name) {
                self.judge_witness(view);
            }
            self.judge_wanted(name, view);
        }
    }

    fn judge_rotation(&mut self, name: &ServiceName, view: &ServiceView) {
        let slots: Vec<Slot> = view.ready.iter().map(|replica| replica.slot).collect();
        let ascending = slots.windows(2).all(|pair| pair[0] < pair[1]);
        self.promise(ascending, || format!("{name}: ready are {slots:?}"));
        let none_is_well = view
            .replicas
            .iter()
            .all(|replica| replica.phase != Phase::Ready);
        for replica in &view.ready {
            let known = self.replicas.get(&replica.id);
            if none_is_well && known.is_some_and(|known| known.unwell && !known.stopped) {
                // A bad answer is better than none.
                continue;
            }
            let mut views = view.replicas.iter().filter(|view| view.id == replica.id);
            let phase = views.next().map(|view| view.phase);
            let fine = phase == Some(Phase::Ready) && views.next().is_none();
            let id = &replica.id;
            self.promise(fine, || format!("{id} is in rotation and {phase:?}"));
            let unwell = self.well.get(&replica.address).map(Instant::elapsed);
            // A health check that was changed begins to count anew.
            let unwell = unwell.map(|unwell| unwell.min(self.configured.elapsed()));
            self.promise(unwell.is_some_and(|unwell| unwell <= PATIENCE), || {
                format!("{id} is in rotation and was not well for {unwell:?}")
            });
            let Some(known) = self.replicas.get(id) else {
                continue;
            };
            let fine = !known.sick && known.draining.is_none() && !known.stopped;
            let fine = fine && known.stopping != Some(self.life);
            self.promise(fine, || format!("{id} is in rotation and should not be"));
        }
    }
}
