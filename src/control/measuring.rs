//! What replicas use, for the services whose policies ask for it.

use super::managed::State;
use super::tracked::Tracked;
use super::{Control, Input};
use crate::service::replica::{Phase, ReplicaId};
use crate::service::spec::ServiceName;
use crate::service::time::Moment;
use crate::service::usage::{Usage, Used};
use futures_util::StreamExt;
use futures_util::stream;
use std::sync::Arc;
use std::time::Duration;

/// Each replica is measured this often. Docker needs some milliseconds for one.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// Questions that the engine gets at once.
const AT_ONCE: usize = 4;
/// What was measured longer ago counts as not known.
const FRESH_FOR: Duration = Duration::from_secs(15);
/// Where nobody set a limit, a share is one of a core.
const MILLICORES: u64 = 1000;

/// When replicas are measured.
#[derive(Default)]
pub(super) struct Measuring {
    under_way: bool,
    next: Moment,
}

/// What is known of one replica's use.
pub(super) struct Metered {
    last: Usage,
    at: Moment,
    /// `None` after the first measurement: use is a difference of two.
    millicores: Option<u64>,
}

pub(super) type Measured = Vec<(ServiceName, ReplicaId, Usage)>;

impl Control {
    /// Asks the engine when it is time; returns when that will be.
    pub(super) fn measure_if_due(&mut self, now: Moment) -> Option<Moment> {
        let asking = self.services.values().filter(|state| state.is_measured());
        let of_service = |state: &State| {
            let name = state.name.clone();
            let ready = state.containers();
            let ready = ready.filter(|tracked| tracked.phase() == Phase::Ready);
            let ids = ready.map(move |tracked| (name.clone(), tracked.observed.id.clone()));
            ids.collect::<Vec<_>>()
        };
        let mut asking = asking.peekable();
        asking.peek()?;
        if self.measuring.under_way || !self.engine_up {
            return None;
        }
        if now < self.measuring.next {
            return Some(self.measuring.next);
        }
        let targets: Vec<(ServiceName, ReplicaId)> = asking.flat_map(of_service).collect();
        self.measuring.next = now + MEASURE_EVERY;
        if targets.is_empty() {
            return Some(self.measuring.next);
        }
        self.measuring.under_way = true;
        let (engine, sender) = (Arc::clone(&self.engine), self.sender.clone());
        tokio::spawn(async move {
            let measured = stream::iter(targets).map(|(service, id)| {
                let engine = Arc::clone(&engine);
                async move {
                    match engine.usage(&id).await {
                        Ok(usage) => Some((service, id, usage)),
                        Err(error) => {
                            log::debug!("{service}: {id}: {error}");
                            None
                        }
                    }
                }
            });
            let measured = measured.buffer_unordered(AT_ONCE);
            let measured: Measured = measured.filter_map(async |it| it).collect().await;
            let _ = sender.send(Input::Measured(measured)).await;
        });
        None
    }

    pub(super) fn measured(&mut self, measured: Measured) {
        let now = self.now();
        self.measuring.under_way = false;
        for (service, id, usage) in measured {
            let state = self.services.get_mut(&service);
            if let Some(tracked) = state.and_then(|state| state.replicas.get_mut(&id)) {
                tracked.measured(usage, now);
            }
        }
    }
}

impl Tracked {
    fn measured(&mut self, usage: Usage, now: Moment) {
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
    fn is_measured(&self) -> bool {
        let scaler = self.managed.as_ref().and_then(|it| it.scaler.as_ref());
        scaler.is_some_and(|scaler| scaler.needs().usage)
    }

    /// What the ready replicas use together.
    pub(super) fn used(&self, now: Moment) -> Used {
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
