//! Events: the life of each replica, as the control loop reports it, makes sense.

use super::state::Book;
use tidegate::service::event::Event;
use tidegate::service::replica::Ailment;
use tokio::time::Instant;

impl Book {
    pub fn event(&mut self, life: u32, event: &Event) {
        if matches!(event, Event::Checked { .. } | Event::Decided { .. }) || life != self.life {
            return;
        }
        self.note(event.to_string());
        match event {
            Event::EngineUp => self.down_since = None,
            // By requests, and there are none.
            Event::Ejected { .. } => {}
            Event::EngineDown { .. } => {
                self.promise(self.down_since.is_none(), || "down twice".to_owned());
                self.down_since = Some(Instant::now());
            }
            Event::Scaled {
                service, to, from, ..
            } => {
                self.promise(from != to, || "scaled to what it was".to_owned());
                self.wanted.insert(service.clone(), *to);
            }
            Event::Adopted { service, .. } => *self.floor.entry(service.clone()).or_default() += 1,
            Event::Starting { service, slot } => self.starting(service, *slot),
            Event::StartFailed { service, slot, .. } => self.answered(service, *slot),
            Event::PortTaken { service, slot } => {
                self.answered(service, *slot);
                self.taken.insert(*slot);
            }
            Event::Ready {
                service, slot, id, ..
            } => {
                self.answered(service, *slot);
                self.about(service, id, |known| {
                    let well = !known.sick || known.unwell;
                    let fine = well && !known.stopped && known.draining.is_none();
                    known.ready = true;
                    known.ready_since = Some(Instant::now());
                    (known.sick, known.unwell) = (false, false);
                    (fine, "became ready though it is sick, draining or gone")
                });
            }
            Event::NotReady { service, id, .. } => self.about(service, id, |known| {
                let fine = (!known.ready || known.restarted) && !known.sick && !known.stopped;
                (fine, "is not healthy yet though it is ready, sick or gone")
            }),
            Event::Sick {
                service,
                slot,
                id,
                ailment,
            } => {
                self.answered(service, *slot);
                let planned = self.planned;
                self.promise(!planned, || format!("{id} is sick of nothing"));
                self.about(service, id, |known| {
                    let fine = !known.sick && !known.stopped;
                    known.unwell = known.ready && matches!(ailment, Ailment::Unhealthy { .. });
                    (known.sick, known.ready) = (true, false);
                    (fine, "is sick twice or gone")
                });
            }
            Event::Draining { service, id, .. } => {
                self.about(service, id, |known| {
                    let fine = known.ready;
                    known.ready = false;
                    known.draining = Some(Instant::now());
                    (fine, "drains though it was not in rotation")
                });
                self.enough_others(service, id);
            }
            Event::Returned { service, id, .. } => self.about(service, id, |known| {
                let fine = known.draining.take().is_some() && !known.sick;
                known.ready = true;
                (fine, "returns though it did not drain")
            }),
            Event::Paused {
                service, slot, id, ..
            } => {
                self.answered(service, *slot);
                self.about(service, id, |known| {
                    let fine = !known.stopped && !known.sick && known.draining.is_none();
                    known.ready = false;
                    (fine, "sleeps though it is sick, draining or gone")
                });
            }
            Event::Resumed { service, id, .. } => self.about(service, id, |known| {
                known.resumed = Some(Instant::now());
                (!known.ready, "runs again though it did not sleep")
            }),
            Event::Drained { service, id, .. } => self.about(service, id, |known| {
                // Kept: the stop that follows is judged by it.
                (
                    known.draining.is_some(),
                    "was drained though it did not drain",
                )
            }),
            Event::Stopped { service, slot, id } => {
                self.answered(service, *slot);
                self.about(service, id, |known| {
                    let fine = !known.stopped && (!known.ready || known.restarted);
                    known.stopped = true;
                    (fine, "was stopped twice or in rotation")
                });
            }
            Event::StopFailed { .. }
            | Event::PauseFailed { .. }
            | Event::ResumeFailed { .. }
            | Event::Rolling { .. }
            | Event::RolledOut { .. }
            | Event::RolloutFailed { .. }
            | Event::RolledBack { .. }
            | Event::LastLogs { .. }
            | Event::RequestFailed { .. }
            | Event::TurnedAway { .. }
            | Event::CertificateIssued { .. }
            | Event::CertificateFailed { .. }
            | Event::Reloaded { .. }
            | Event::Decided { .. }
            | Event::Checked { .. } => {}
        }
    }
}
