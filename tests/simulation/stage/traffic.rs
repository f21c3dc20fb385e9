//! Requests, those that stay for a while, and orders by hand.

use super::faults::NAMES;
use super::state::Stage;
use std::sync::Arc;
use tidegate::service::replica::lease::Lease;
use tidegate::service::replica::{Observed, RunState};
use tidegate::service::spec::Slot;
use tokio::time::Instant;

impl Stage {
    pub fn requests_for_others(&mut self) {
        let replicas = self.engine.replicas();
        let others = replicas
            .iter()
            .filter(|it| !self.is_witness(it.service.as_str()) && it.state == RunState::Running);
        let others: Vec<&Observed> = others.collect();
        if let Some(one) = self.pick(&others) {
            self.note(&format!("-- {} on {} exits", one.id, one.slot));
            self.engine.exit(one.slot, 1);
        }
        self.traffic();
    }

    /// By hand, and without waiting for what becomes of it.
    pub async fn deploy(&mut self) {
        let name = self.pick(&NAMES).expect("not empty");
        let image = (self.below(3) > 0).then(|| format!("{name}:{}", self.below(3)));
        self.note(&format!("-- deploy {name} {image:?}"));
        let handle = self.life.as_ref().expect("alive").handle.clone();
        tokio::spawn(async move { handle.deploy(name.to_owned(), image).await });
    }

    pub async fn drain(&mut self) {
        let replicas = self.engine.replicas();
        let Some(one) = self.pick(&replicas) else {
            return;
        };
        self.note(&format!("-- drain {} on {}", one.id, one.slot));
        let handle = self.life.as_ref().expect("alive").handle.clone();
        let _ = handle.drain(one.service.to_string(), one.slot).await;
    }

    pub fn traffic(&mut self) {
        let requests = self.below(90);
        let Some(name) = self.pick(&NAMES) else {
            return;
        };
        let Some(view) = self.snapshot().service(name).cloned() else {
            return;
        };
        self.note(&format!("-- {requests} requests for {name}"));
        (0..requests).for_each(|_| view.load.note(true));
        for replica in &view.ready {
            // As a request does whose connection was refused.
            if self.below(8) == 0 {
                replica.doubt.raise();
            }
        }
    }

    /// A request that stays for a while.
    pub fn hold(&mut self) {
        let Some(name) = self.pick(&NAMES) else {
            return;
        };
        let Some(view) = self.snapshot().service(name).cloned() else {
            return;
        };
        let longest = self.book.lock().rng.delay(60_000);
        view.load.note(false);
        for replica in &view.ready {
            if let Some(lease) = Lease::claim(replica) {
                if let Some(known) = self.book.lock().replicas.get_mut(&replica.id) {
                    known.held += 1;
                }
                let until = Instant::now() + longest;
                self.held.push((until, replica.id.clone(), lease));
            }
        }
    }

    pub fn release(&mut self, now: Instant) {
        let (over, held) = self
            .held
            .drain(..)
            .partition::<Vec<_>, _>(|(until, ..)| *until <= now);
        self.held = held;
        for (_, id, lease) in over {
            if let Some(known) = self.book.lock().replicas.get_mut(&id) {
                known.held = known.held.saturating_sub(1);
            }
            drop(lease);
        }
    }

    /// Requests come at every step and are answered in turn.
    pub fn requests(&mut self) {
        self.release(Instant::now());
        for view in self.snapshot().services.values() {
            let slots: Vec<Slot> = view.ready.iter().map(|replica| replica.slot).collect();
            for _ in 0..slots.len() + 1 {
                let Some(at) = view.cursor.advance(slots.len(), |at| slots[at]) else {
                    continue;
                };
                let slot = slots[at];
                // A service that was gone and comes back begins anew.
                if let Some((cursor, last)) = self.served.get(&view.name)
                    && Arc::ptr_eq(cursor, &view.cursor)
                {
                    let next = slots.iter().find(|next| *next > last);
                    let next = *next.unwrap_or(&slots[0]);
                    self.promise(slot == next, || {
                        format!("{}: {slot} after {last} of {slots:?}", view.name)
                    });
                }
                let served = (Arc::clone(&view.cursor), slot);
                self.served.insert(view.name.clone(), served);
            }
        }
    }
}
