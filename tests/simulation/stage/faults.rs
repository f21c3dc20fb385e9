//! Faults, and what else befalls a run.

use super::state::Stage;
use crate::simulation::book::Stuck;
use std::time::Duration;
use tidegate::engine::fake::FakeEngine;
use tidegate::service::replica::{Observed, RunState};
use tidegate::service::spec::{ServiceName, Slot};
use tokio::time::{Instant, sleep};

/// Names that services may have.
pub const NAMES: [&str; 3] = ["a", "b", "c"];
/// Each service has one of these to itself, and room for its replicas.
pub const FIRST_PORTS: [Slot; 5] = [8000, 8020, 8040, 8060, 8080];
/// As many kinds as `fault` tells apart, in a life without a witness.
pub const FAULTS: usize = 28;
/// The kinds that happen in every good life.
pub const PLANNED: std::ops::Range<usize> = 12..24;
/// The kinds that may not be felt by a service that they do not happen to.
pub const WITNESSED: std::ops::Range<usize> = 24..30;
pub const WITNESS: &str = "a";
/// Longer than what counts as a crash loop.
pub const LASTED: Duration = Duration::from_secs(6);
/// Images up to this one are on the machine.
pub const PULLED: usize = 100;

impl Stage {
    pub async fn fault(&mut self, kind: usize) {
        match kind {
            0 => self.on_one("exits", RunState::Running, |engine, slot| {
                engine.exit(slot, 1);
            }),
            1 => self.on_one("paused", RunState::Running, |engine, slot| {
                engine.pause(slot);
            }),
            2 => self.on_one("unpaused", RunState::Paused, |engine, slot| {
                engine.unpause(slot);
            }),
            3 => self.on_one("removed", RunState::Running, |engine, slot| {
                engine.remove(slot);
            }),
            4 => self.on_one("restarted", RunState::Running, |engine, slot| {
                engine.restart(slot);
            }),
            5 => self.engine_away(false).await,
            6 => self.engine_away(true).await,
            7 => self.sicken().await,
            8 => self.health.sick.lock().clear(),
            9 => self.take_or_free_a_port(),
            10 => self.restart().await,
            11 => {
                let (slow, failing) = (self.below(2) == 0, self.below(2) == 0);
                let mut book = self.book.lock();
                (book.slow, book.failing) = (slow, failing);
                book.note(format!("-- calls are slow: {slow}, fail: {failing}"));
            }
            12..=16 => self.reload().await,
            17 | 18 => self.traffic(),
            19 => self.deploy().await,
            20 => self.drain().await,
            21..24 => self.hold(),
            24 => self.hang_starts(),
            25 => self.pull().await,
            26 => self.jam(),
            27 => self.run_stranger(),
            28 => self.cut_down(),
            _ => self.requests_for_others(),
        }
    }

    /// Starts of one service get no answer from now on, or do again.
    pub fn hang_starts(&mut self) {
        let Some(name) = self.pick(&NAMES).filter(|name| !self.is_witness(name)) else {
            return;
        };
        let name = ServiceName::new(name);
        let mut book = self.book.lock();
        let hang = !book.hanging.remove(&name);
        if hang {
            book.hanging.insert(name.clone());
        }
        book.note(format!("-- starts of {name} hang: {hang}"));
    }

    /// A service gets an image that takes long to pull.
    pub async fn pull(&mut self) {
        let name = self.pick(&NAMES).expect("not empty");
        if self.is_witness(name) || !self.services.contains_key(name) {
            return;
        }
        self.pulled += 1;
        let image = PULLED + self.pulled;
        let takes = self.book.lock().rng.millis(1_000, 60_000);
        self.engine.pull_time(&format!("{name}:{image}"), takes);
        self.services.get_mut(name).expect("just seen").image = image;
        self.note(&format!(
            "-- reload: {name}: an image that takes {takes:?} to pull"
        ));
        self.configure().await;
    }

    /// Removals from a slot fail or hang from now on, or work again.
    pub fn jam(&mut self) {
        let slots: Vec<Slot> = self.engine.replicas().iter().map(|it| it.slot).collect();
        let Some(slot) = self.pick(&slots) else {
            return;
        };
        let mut book = self.book.lock();
        let stuck = match book.stuck.remove(&slot) {
            Some(_) => None,
            None => book.rng.pick(&[Stuck::Fails, Stuck::Hangs]),
        };
        book.stuck.extend(stuck.map(|stuck| (slot, stuck)));
        book.note(format!("-- removals from {slot}: {stuck:?}"));
    }

    /// With our labels, on a port that a replica may want.
    pub fn run_stranger(&mut self) {
        let first = self.pick(&FIRST_PORTS).expect("not empty");
        let slot = first + self.below(4) as Slot;
        let replicas = self.engine.replicas();
        let ours = replicas
            .iter()
            .any(|it| it.slot == slot && !it.addresses.is_empty());
        if !ours && self.taken.insert(slot) {
            let id = self.engine.run_stranger(slot);
            self.strangers += 1;
            self.note(&format!("-- the stranger {id} is on {slot}"));
        }
    }

    pub fn is_witness(&self, name: &str) -> bool {
        let book = self.book.lock();
        book.witness.as_ref().is_some_and(|it| it.as_str() == name)
    }

    /// The witness loses all its containers, if these have lasted for so long that it may not
    /// be called a crash loop.
    pub fn cut_down(&mut self) {
        let replicas = self.engine.replicas();
        let its: Vec<&Observed> = replicas
            .iter()
            .filter(|it| self.is_witness(it.service.as_str()))
            .collect();
        let lasted = |it: &&Observed| {
            let book = self.book.lock();
            let since = book
                .replicas
                .get(&it.id)
                .and_then(|known| known.ready_since);
            since.is_some_and(|since| since.elapsed() > LASTED)
        };
        let alive = || its.iter().filter(|it| it.state == RunState::Running);
        if alive().next().is_none() || !alive().all(lasted) {
            return;
        }
        self.note(&format!("-- every container of {WITNESS} exits"));
        for one in alive() {
            self.engine.exit(one.slot, 137);
        }
    }

    /// Something befalls one container, whatever it is in the middle of.
    pub fn on_one(&mut self, what: &str, state: RunState, befall: impl Fn(&FakeEngine, Slot)) {
        let replicas = self.engine.replicas();
        let those = replicas.iter().filter(|replica| replica.state == state);
        let those: Vec<&Observed> = those.collect();
        if let Some(one) = self.pick(&those) {
            self.note(&format!("-- {} on {} is {what}", one.id, one.slot));
            if let Some(known) = self.book.lock().replicas.get_mut(&one.id) {
                known.restarted |= what == "restarted";
                if what == "unpaused" {
                    known.resumed = Some(Instant::now());
                }
            }
            befall(&self.engine, one.slot);
        }
    }

    pub async fn engine_away(&mut self, all_exit: bool) {
        self.note("-- the engine goes away");
        self.engine.reachable(false);
        if all_exit {
            self.note("-- every container exits");
            for replica in self.engine.replicas() {
                self.engine.exit(replica.slot, 137);
            }
        }
        let away = self.book.lock().rng.millis(50, 20_000);
        sleep(away).await;
        self.judge();
        self.note("-- the engine is back");
        self.engine.reachable(true);
    }

    pub async fn sicken(&mut self) {
        if self.below(5) == 0 {
            let host = 1 + self.below(2) as u8;
            self.note(&format!("-- 10.0.0.{host} is sick"));
            self.health.sick.lock().hosts.insert(host);
        }
        let replicas = self.engine.replicas();
        let Some(one) = self.pick(&replicas) else {
            return;
        };
        // One container, or every one made from its template.
        let whole = self.below(4) == 0;
        self.note(&format!("-- {} is sick, its template too: {whole}", one.id));
        {
            let mut sick = self.health.sick.lock();
            if whole {
                sick.templates.insert(one.spec.as_str().to_owned());
            } else {
                sick.replicas.insert(one.id);
            }
        }
        // Before the old health check found out, another one takes over.
        let service = self.services.get_mut(one.service.as_str());
        if let Some(service) = service
            && self.book.lock().rng.percent(30)
        {
            service.probe += 1;
            self.note("-- and is asked by another probe");
            self.configure().await;
        }
    }

    pub fn take_or_free_a_port(&mut self) {
        let first = self.pick(&FIRST_PORTS).expect("not empty");
        let slot = first + self.below(4) as Slot;
        let replicas = self.engine.replicas();
        let ours = replicas
            .iter()
            .any(|replica| replica.slot == slot && !replica.addresses.is_empty());
        if self.taken.remove(&slot) {
            self.note(&format!("-- port {slot} is free"));
            self.engine.free_port(slot);
            for (id, _) in self
                .engine
                .strangers()
                .into_iter()
                .filter(|it| it.1 == slot)
            {
                self.engine.end_stranger(&id);
                self.strangers -= 1;
            }
        } else if !ours {
            self.note(&format!("-- port {slot} is taken"));
            self.taken.insert(slot);
            self.engine.take_port(slot);
        }
    }
}
