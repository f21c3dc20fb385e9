//! Starts: few at a time, one on each port, and never while the engine is away.

use super::state::{Book, Config, Known, MAY_HANG, PARALLELISM_MAX, SECOND, STARTS_MAX};
use std::time::Duration;
use tidegate::engine::EngineError;
use tidegate::service::replica::ReplicaId;
use tidegate::service::spec::{ServiceName, Slot, Spec};
use tokio::time::Instant;

/// Time after which a start does not count any more.
const START_HANGS_AFTER: Duration = Duration::from_secs(10);
/// Starts that take long give their place to services with nothing ready, up to twice as many.
const CROWDED: u32 = 2;

impl Book {
    pub fn start_begins(
        &mut self,
        life: u32,
        service: &ServiceName,
        slot: Slot,
    ) -> (u32, ServiceName, Slot) {
        let start = (life, service.clone(), slot);
        self.acts(&format!("start {slot}"));
        let twice = self.starts.contains(&start);
        self.promise(!twice, || format!("two starts under way on {slot}"));
        self.starts.push(start.clone());
        self.starts_began.insert(start.clone(), Instant::now());
        let prompt = |start: &&(u32, ServiceName, Slot)| {
            let began = self.starts_began.get(start);
            start.0 == life && began.is_some_and(|at| at.elapsed() < START_HANGS_AFTER)
        };
        let under_way = self.starts.iter().filter(prompt).count();
        self.promise(under_way <= (STARTS_MAX * CROWDED) as usize, || {
            format!("{under_way} starts are under way")
        });
        let now = Instant::now();
        self.recent_starts.retain(|(at, _)| now - *at < SECOND);
        self.recent_starts.push_back((now, slot));
        let recent = self.recent_starts.iter().filter(|(_, s)| *s == slot);
        let recent = recent.count();
        self.promise(recent <= 4, || {
            format!("{recent} starts on {slot} within a second")
        });
        start
    }

    pub fn made(&mut self, life: u32, id: &ReplicaId, spec: &Spec, slot: Slot) {
        let service = &spec.name;
        self.made_for.insert(service.clone(), spec.wanted);
        self.note(format!("   {service}: made {id} on {slot}, life {life}"));
        let known = Known {
            service: service.clone(),
            slot,
            held: 0,
            made: Instant::now(),
            life,
            restarted: false,
            resumed: None,
            ready: false,
            ready_since: None,
            sick: false,
            unwell: false,
            draining: None,
            stopping: None,
            stopping_since: None,
            stop_failed: None,
            stopped: false,
        };
        self.replicas.insert(id.clone(), known);
    }

    pub fn start_ends(
        &mut self,
        start: (u32, ServiceName, Slot),
        result: &Result<ReplicaId, EngineError>,
    ) {
        self.starts.retain(|other| *other != start);
        let began = self.starts_began.remove(&start);
        let (life, service, slot) = start;
        if life == self.life && began.is_some_and(|since| since.elapsed() >= MAY_HANG) {
            self.taken.insert(slot);
            self.given_up_ever += 1;
        }
        match result {
            Ok(id) => self.note(format!("   {service}: {id} runs on {slot}, life {life}")),
            Err(error) => self.note(format!(
                "   {service}: start on {slot} failed, {:?}, life {life}",
                error.kind
            )),
        }
    }

    pub(super) fn starting(&mut self, service: &ServiceName, slot: Slot) {
        let down = self.down_since.is_some();
        self.promise(!down, || "starts while the engine is down".to_owned());
        let unanswered = self.open.insert((service.clone(), slot), ()).is_some();
        self.promise(!unanswered, || {
            format!("the start before on {slot} has no outcome")
        });
        let taken = self.taken.len() as u32 + self.given_up();
        let within = |config: &Config| {
            let spec = config.get(service)?;
            let first = u32::from(spec.template()?.first_port);
            Some(
                (first..first + spec.bounds.max + PARALLELISM_MAX + taken)
                    .contains(&u32::from(slot)),
            )
        };
        let within = self.configs.iter().filter_map(within).any(|within| within);
        self.promise(within, || format!("starts on {slot}, out of its range"));
    }

    pub(super) fn answered(&mut self, service: &ServiceName, slot: Slot) {
        self.open.remove(&(service.clone(), slot));
    }

    /// Ports that may have been left to calls that take long.
    pub(super) fn given_up(&self) -> u32 {
        let hangs = |since: &Instant| since.elapsed() >= MAY_HANG;
        let stops = self.replicas.values();
        let stops = stops.filter(|known| known.stopping_since.as_ref().is_some_and(hangs));
        let starts = self.starts_began.values().filter(|since| hangs(since));
        (stops.count() + starts.count()) as u32
    }

    pub fn open_starts(&self) -> Vec<Slot> {
        self.open.keys().map(|(_, slot)| *slot).collect()
    }
}
