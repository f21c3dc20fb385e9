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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::turn::Outside;
    use crate::engine::fixed;
    use crate::engine::testing;
    use crate::plan::Reason;
    use crate::service::replica::RunState;
    use crate::service::spec::{ServiceName, Source, SpecHash};
    use crate::service::store::store;
    use std::sync::Arc;
    use tokio::sync::mpsc;

    fn outside() -> Outside {
        let (sender, _) = mpsc::channel(1);
        Outside::new(store().0, Arc::new(|_| {}), sender)
    }

    #[test]
    fn a_replica_that_somebody_else_runs_is_neither_planned_for_nor_stopped() {
        let outside = outside();
        let turn = outside.turn(1);
        let address = "10.0.0.7:80".parse().unwrap();
        let spec = testing::service("legacy", Source::Addresses(vec![address]));
        let mut fleet = Fleet::new(spec.name.clone());
        let grace = Duration::from_secs(10);
        fleet.adopt_others(fixed::observe(&spec), grace, turn.now);
        assert_eq!((fleet.others().count(), fleet.ours().count()), (1, 0));
        let id = ReplicaId::new(address.to_string());
        let stopped = fleet.removing(&id, &Reason::Outdated, grace, &turn);
        assert!(stopped.is_none());
        assert_eq!(fleet.forget_missing(&[], &turn).len(), 0);
        assert_eq!(fleet.replace(0), Err(Vec::new()));
        assert_eq!(fleet.others().count(), 1, "no listing has it, and it stays");
    }

    #[test]
    fn a_container_that_somebody_else_runs_stays_when_others_leave() {
        let found = |id: &str| Observed {
            service: ServiceName::new("web"),
            id: ReplicaId::new(id),
            slot: 0,
            generation: 1,
            spec: SpecHash::new("found"),
            made: None,
            image: None,
            addresses: Vec::new(),
            state: RunState::Running,
        };
        let outside = outside();
        let turn = outside.turn(1);
        let mut fleet = Fleet::new(ServiceName::new("web"));
        fleet.adopt_others(vec![found("a"), found("b")], Duration::ZERO, turn.now);
        fleet.adopt_others(vec![found("b")], Duration::ZERO, turn.now);
        let left: Vec<_> = fleet.others().map(|it| it.id().to_string()).collect();
        assert_eq!(left, ["b"]);
    }
}
