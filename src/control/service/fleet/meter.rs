//! What replicas use of their machine.

use crate::control::service::fleet::tracked::Tracked;
use crate::control::service::state::State;
use crate::service::replica::Phase;
use crate::service::time::Moment;
use crate::service::usage::{Usage, Used};
use std::time::Duration;

/// What was measured longer ago counts as not known.
const FRESH_FOR: Duration = Duration::from_secs(15);
/// Where nobody set a limit, a share is one of a core.
const MILLICORES: u64 = 1000;

/// What is known of one replica's use.
pub(in crate::control) struct Metered {
    last: Usage,
    at: Moment,
    /// `None` after the first measurement: use is a difference of two.
    millicores: Option<u64>,
}

impl Tracked {
    pub(in crate::control) fn measured(&mut self, usage: Usage, now: Moment) {
        let before = self.metered.as_ref();
        let millicores = before.and_then(|before| usage.millicores_since(&before.last));
        self.metered = Some(Metered {
            last: usage,
            at: now,
            millicores,
        });
    }
}

impl State {
    pub(in crate::control) fn is_measured(&self) -> bool {
        let scaler = self.managed.as_ref().and_then(|it| it.scaler.as_ref());
        scaler.is_some_and(|scaler| scaler.needs().usage)
    }

    /// What the ready replicas use together.
    pub(in crate::control) fn used(&self, now: Moment) -> Used {
        let spec = self.managed.as_ref().map(|managed| &managed.spec);
        let limit = spec.and_then(|spec| spec.template()?.nano_cpus);
        let mut used = Used {
            millicores_limit: limit.map_or(MILLICORES, |nano| (nano / 1_000_000) as u64),
            ..Used::default()
        };
        let ready = self.containers();
        let ready = ready.filter(|tracked| tracked.phase() == Phase::Ready);
        for metered in ready.filter_map(|tracked| tracked.metered.as_ref()) {
            let Some(millicores) = metered.millicores else {
                continue;
            };
            if now.since(metered.at) > FRESH_FOR {
                continue;
            }
            used.replicas += 1;
            used.millicores += millicores;
            used.memory_bytes += metered.last.memory_bytes;
            used.memory_limit_bytes = metered.last.memory_limit_bytes;
        }
        used
    }
}
