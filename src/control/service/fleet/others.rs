//! Replicas that somebody else runs: fixed addresses, and containers found by their labels.

use super::Fleet;
use super::tracked::{RunBy, Tracked};
use crate::service::replica::{Observed, ReplicaId};
use crate::service::time::Moment;
use std::time::Duration;

impl Fleet {
    /// Takes over those that there are now. Requests in the others have `grace` to finish.
    pub fn adopt_others(&mut self, seen: Vec<Observed>, grace: Duration, now: Moment) {
        self.let_others_go(|id| seen.iter().any(|observed| observed.id == *id), grace);
        for observed in seen {
            match self.replicas.get_mut(&observed.id) {
                Some(tracked) => tracked.is_listed_as(observed),
                None => {
                    let tracked = Tracked::new(observed, RunBy::Somebody, now);
                    self.replicas.insert(tracked.id().clone(), tracked);
                }
            }
        }
    }

    /// Lets go of all but those that it `keeps`.
    pub fn let_others_go(&mut self, keeps: impl Fn(&ReplicaId) -> bool, grace: Duration) {
        self.replicas.retain(|id, tracked| {
            let stays = tracked.is_ours() || keeps(id);
            if !stays {
                tracked.dismiss(grace);
            }
            stays
        });
    }
}
