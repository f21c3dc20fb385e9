//! A replica's health as its answers show it, beside its health check.

use super::context::Context;
use crate::proxy::edge::Edge;
use crate::service::event::Event;
use crate::service::replica::Replica;
use crate::service::snapshot::ServiceView;
use crate::service::spec::OutlierDetection;
use http::StatusCode;
use std::sync::Arc;

impl Edge {
    /// Heeds the beginning of a replica's answer, and its status.
    pub(in crate::proxy) fn heed(&self, status: StatusCode, ctx: &Context) {
        self.keep_latency(ctx);
        self.heed_status(status, ctx);
    }

    /// Notes how long the answer took that begins now.
    pub(in crate::proxy) fn keep_latency(&self, ctx: &Context) {
        let (Some(lease), Some(route)) = (&ctx.lease, &ctx.route) else {
            return;
        };
        let scaler = route.scaler.as_ref();
        if scaler.is_some_and(|scaler| scaler.needs().latency) {
            lease.replica().answered(ctx.started.elapsed());
        }
    }

    /// Heeds what an answer's status says about its replica.
    pub(in crate::proxy) fn heed_status(&self, status: StatusCode, ctx: &Context) {
        let (Some(lease), Some(route)) = (&ctx.lease, &ctx.route) else {
            return;
        };
        let replica = lease.replica();
        let is_5xx = status.is_server_error();
        if is_5xx {
            replica.doubt.ask();
        }
        let row = replica.outlier.note(is_5xx);
        if let Some(terms) = &route.forward.outlier_detection
            && row >= terms.consecutive_5xx
        {
            self.consider(replica, terms);
        }
    }

    /// Ejects a replica, if others do better and enough stay.
    fn consider(&self, replica: &Arc<Replica>, terms: &OutlierDetection) {
        let snapshot = self.reader.load();
        let Some(service) = snapshot.service(replica.service.as_str()) else {
            return;
        };
        // One at a time, so that two do not count each other among those that stay.
        let ejected = service.load.exclusively(|| {
            let stands_out = stands_out(service, replica, terms);
            stands_out.then(|| replica.eject(terms)).flatten()
        });
        if let Some(Some(during)) = ejected {
            (self.tell)(&Event::Ejected {
                service: replica.service.clone(),
                slot: replica.slot,
                id: replica.id.clone(),
                row: terms.consecutive_5xx,
                during,
            });
        }
    }
}

fn stands_out(service: &ServiceView, replica: &Arc<Replica>, terms: &OutlierDetection) -> bool {
    let is_other = |other: &&Arc<Replica>| other.generation != replica.generation;
    let others = || service.ready.iter().filter(is_other);
    let does_better =
        |other: &Arc<Replica>| other.outlier.does_well() && !other.outlier.is_ejected();
    let ejected = others().filter(|other| other.outlier.is_ejected()).count();
    let allowed = service.ready.len() * terms.max_ejection_percent as usize / 100;
    ejected < allowed && others().any(does_better)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::replica::ReplicaId;
    use crate::service::spec::ServiceName;
    use crate::service::store::{Writer, store};

    /// Replicas of which the first fails, and the others answered well or not at all.
    fn service(writer: &Writer, others: &[Option<bool>]) -> ServiceView {
        let name = ServiceName::new("web");
        let replica = |slot: u16, answer: Option<bool>| {
            let id = ReplicaId::new(slot.to_string());
            let address = ([127, 0, 0, 1], slot).into();
            let doubt = Arc::default();
            let generation = u64::from(slot);
            let replica = writer.new_replica(name.clone(), id, slot, generation, address, doubt);
            if let Some(is_5xx) = answer {
                replica.outlier.note(is_5xx);
            }
            Arc::new(replica)
        };
        let answers = [Some(true)].into_iter().chain(others.iter().copied());
        ServiceView {
            ready: (8000..)
                .zip(answers)
                .map(|(slot, answer)| replica(slot, answer))
                .collect(),
            ..ServiceView::new(name.clone(), Arc::new(writer.new_load()))
        }
    }

    #[test]
    fn a_replica_stands_out_when_another_does_better() {
        let (writer, _reader) = store();
        const WELL: Option<bool> = Some(false);
        const BADLY: Option<bool> = Some(true);
        let table: [(&[Option<bool>], bool); 6] = [
            (&[], false),
            (&[WELL], true),
            (&[BADLY], false),
            (&[None], false),
            (&[BADLY, None, WELL], true),
            (&[BADLY, BADLY, BADLY], false),
        ];
        for (others, expected) in table {
            let service = service(&writer, others);
            let found = stands_out(&service, &service.ready[0], &Default::default());
            assert_eq!(found, expected, "{others:?}");
        }
    }

    #[test]
    fn no_more_than_half_are_ejected_at_once() {
        let (writer, _reader) = store();
        for (replicas, allowed) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
            let service = service(&writer, &vec![Some(false); replicas - 1]);
            let terms = OutlierDetection::default();
            let mut ejected = 0;
            for replica in &service.ready {
                if stands_out(&service, replica, &terms) {
                    replica.eject(&terms).unwrap();
                    ejected += 1;
                }
            }
            assert_eq!(ejected, allowed, "of {replicas}");
        }
    }
}
