//! Turns of services to start a replica: the host bears only so many starts at once.
//!
//! Services take turns, those with nothing ready first, then those that have waited longest. The
//! last permit is for services with nothing ready and nothing on its way. A start that takes long
//! holds no such service up either, and one that may never return holds up no service at all.

use crate::control::service::{START_HANGS_AFTER, ServiceState};
use crate::service::spec::ServiceName;
use crate::service::time::Moment;
use std::collections::BTreeMap;
use std::time::Duration;

/// A container starts within a second on a machine that is not overloaded. A start that takes
/// longer than this leaves its place to a service with nothing ready.
const LONG_START: Duration = Duration::from_secs(3);

/// How many starts there may be at once when some take long, as a multiple of what is configured.
/// Those that may never return are beside that; a service with two of them starts no more.
const CROWDED: u32 = 2;

/// The starts that are possible at this moment.
pub(super) struct Permits {
    /// For any service.
    left: u32,
    /// For services with nothing ready.
    reserved: u32,
    /// Services that may want to start something.
    services: u32,
}

impl Permits {
    pub fn of(
        services: &BTreeMap<ServiceName, ServiceState>,
        starts_max: u32,
        now: Moment,
    ) -> Permits {
        let count = |since: Moment| -> u32 {
            let states = services.values();
            states.map(|state| state.fleet().starts_since(since)).sum()
        };
        let (prompt, alive) = (count(now - LONG_START), count(now - START_HANGS_AFTER));
        let runners = services.values().filter(|state| state.runs_containers());
        let runners = runners.count() as u32;
        let shared = match runners {
            0 | 1 => starts_max,
            _ => starts_max.saturating_sub(1).max(1),
        };
        let crowd = starts_max.saturating_mul(CROWDED);
        Permits {
            left: shared.saturating_sub(alive),
            reserved: starts_max
                .saturating_sub(prompt)
                .min(crowd.saturating_sub(alive)),
            services: runners,
        }
    }

    /// For one service, before it is the next one's turn.
    pub fn share(&self) -> u32 {
        let share = self.left / self.services.max(1);
        share.max(1).min(self.left)
    }

    pub fn has_reserve(&self) -> bool {
        self.reserved > 0
    }

    pub fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
        self.reserved = self.reserved.saturating_sub(1);
    }
}

/// The services in the order in which they may start something.
pub(super) fn turns(services: &BTreeMap<ServiceName, ServiceState>) -> Vec<ServiceName> {
    let mut turns: Vec<(bool, Moment, &ServiceName)> = services
        .iter()
        .map(|(name, state)| {
            let fleet = state.fleet();
            (fleet.has_ready(), fleet.started_last(), name)
        })
        .collect();
    turns.sort();
    turns.into_iter().map(|(.., name)| name.clone()).collect()
}
