//! Replicas that Tidegate does not run: the addresses of a fixed service.

use crate::control::input::{Input, Sink};
use crate::control::service::fleet::tracked::Tracked;
use crate::control::service::state::State;
use crate::engine::fixed;
use crate::service::replica::{Phase, ReplicaId};
use crate::service::spec::Source;
use crate::service::time::Moment;
use std::time::Duration;
use tokio::sync::mpsc;

impl State {
    pub(in crate::control) fn is_fixed(&self) -> bool {
        self.managed
            .as_ref()
            .is_some_and(|managed| matches!(managed.spec.source, Source::Addresses(_)))
    }

    /// Takes over the addresses of a fixed service, which no engine lists.
    pub(in crate::control) fn adopt_fixed(
        &mut self,
        report: &mpsc::Sender<Input>,
        sink: &Sink,
        now: Moment,
    ) {
        let Some(managed) = &self.managed else {
            return;
        };
        if let Source::Addresses(_) = managed.spec.source {
            let seen = fixed::observe(&managed.spec);
            let grace = self.stop_grace_period;
            self.keep_addresses(|id| seen.iter().any(|observed| observed.id == *id), grace);
            for observed in seen {
                match self.replicas.get_mut(&observed.id) {
                    Some(tracked) => tracked.observed = observed,
                    None => {
                        let mut tracked = Tracked::new(observed, now);
                        tracked.is_address = true;
                        self.replicas.insert(tracked.observed.id.clone(), tracked);
                    }
                }
            }
        }
        self.probe_all(report, sink);
    }

    /// Addresses of a service that has an image now serve until its containers can.
    pub(in crate::control) fn let_addresses_go(&mut self) {
        let ready = self
            .containers()
            .filter(|tracked| tracked.phase() == Phase::Ready);
        if !self.is_fixed() && ready.count() >= self.wanted as usize {
            let grace = self.stop_grace_period;
            self.keep_addresses(|_| false, grace);
        }
    }

    /// Lets go of the other addresses; what is in flight there has `grace` to finish.
    pub(in crate::control) fn keep_addresses(
        &mut self,
        keeps: impl Fn(&ReplicaId) -> bool,
        grace: Duration,
    ) {
        self.replicas.retain(|id, tracked| {
            let stays = !tracked.is_address || keeps(id);
            if !stays {
                tracked.dismiss(grace);
            }
            stays
        });
    }
}
