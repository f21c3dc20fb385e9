//! A count that somebody asked for, in place of the policy's.

use crate::control::input::Sink;
use crate::control::service::state::State;
use crate::plan::scaler::Decision;
use crate::service::spec::{ServiceName, Source};
use crate::service::time::Moment;
use std::time::Duration;

impl State {
    /// Holds `replicas` until told otherwise; `None`: lets the policy decide again. Returns how
    /// many are wanted now.
    pub(in crate::control) fn scale_by_hand(
        &mut self,
        replicas: Option<u32>,
        now: Moment,
        clock: Duration,
        sink: &Sink,
    ) -> Result<u32, String> {
        let name = &self.name;
        let Some(managed) = &self.managed else {
            return Err(format!("`{name}` left the configuration"));
        };
        if matches!(managed.spec.source, Source::Addresses(_)) {
            return Err(format!(
                "`{name}` has fixed addresses; change `addresses` in the file and reload"
            ));
        }
        let bounds = managed.spec.bounds;
        // To have none is not asked for by a number: requests could not wake it.
        let fewest = bounds.min.max(1);
        if replicas == Some(0) && bounds.min == 0 {
            return Err(format!(
                "`{name}` falls asleep by itself when nobody asks for it; `tidegate scale {name} \
                 auto` lets it"
            ));
        }
        if let Some(count) = replicas.filter(|count| *count < fewest || *count > bounds.max) {
            return Err(format!(
                "`{name}` may have {fewest} to {} replicas, not {count}; change `scale.min` or \
                 `scale.max` in the file and reload",
                bounds.max
            ));
        }
        self.by_hand = replicas;
        self.turn_rest(now);
        self.scale(now, clock, sink);
        Ok(self.wanted)
    }
}

/// The scaler goes on deciding, so that it knows what it needs when it is asked again.
pub(in crate::control) fn overrule(decision: &mut Decision, service: &ServiceName, count: u32) {
    decision.because = format!(
        "{count} by hand, until `tidegate scale {service} auto`; the load asks for {}",
        decision.proposal
    );
    decision.replicas = count;
    decision.bound = "by hand";
}
