//! What replicas use, for the services whose policies ask for it.

use crate::control::event_loop::Control;
use crate::control::input::{Input, Measured};
use crate::control::service::state::State;
use crate::service::replica::{Phase, ReplicaId};
use crate::service::spec::ServiceName;
use crate::service::time::Moment;
use futures_util::StreamExt;
use futures_util::stream;
use std::sync::Arc;
use std::time::Duration;

/// Each replica is measured this often. Docker needs some milliseconds for one.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// Questions that the engine gets at once.
const AT_ONCE: usize = 4;
/// When replicas are measured.
#[derive(Default)]
pub(super) struct Measuring {
    under_way: bool,
    next: Moment,
}

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
