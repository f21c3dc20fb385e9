//! Use of processors and memory, for the services whose policies ask for it.

use crate::control::event_loop::Control;
use crate::control::input::{LoopInput, Measured};
use crate::control::service::ServiceState;
use crate::service::replica::ReplicaId;
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
impl Control {
    /// Asks the engine when it is time; returns when that will be.
    pub(super) fn measure_if_due(&mut self, now: Moment) -> Option<Moment> {
        let asking = self.services.values().filter(|state| state.is_measured());
        let of_service = |state: &ServiceState| {
            let name = state.fleet().service().clone();
            let ids = state.fleet().ready_ids();
            let ids = ids.map(move |id| (name.clone(), id));
            ids.collect::<Vec<_>>()
        };
        let mut asking = asking.peekable();
        asking.peek()?;
        if self.measuring.under_way || !self.engine_up || !self.engine.can().usage {
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
        let (engine, sender) = (Arc::clone(&self.engine), self.outside.sender.clone());
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
            let _ = sender.send(LoopInput::Measured(measured)).await;
        });
        None
    }

    pub(super) fn measured(&mut self, measured: Measured) {
        let turn = self.outside.turn(self.observing.sequence);
        self.measuring.under_way = false;
        for (service, id, usage) in measured {
            if let Some(state) = self.services.get_mut(&service) {
                state.fleet_mut().measured(&id, usage, turn.now);
            }
        }
    }
}
