//! The stage: the world of one run, and what is on it.

use super::declared::Declared;
use super::probe::SimProbe;
use crate::simulation::book::{INTERVAL, Shared};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate::control::Handle;
use tidegate::engine::fake::FakeEngine;
use tidegate::plugin::{Hooks, Registry, Scaler};
use tidegate::service::cursor::Cursor;
use tidegate::service::replica::ReplicaId;
use tidegate::service::replica::lease::Lease;
use tidegate::service::snapshot::Snapshot;
use tidegate::service::spec::{ServiceName, Slot};
use tidegate::service::store::{self, Reader};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub struct Stage {
    pub book: Shared,
    pub engine: FakeEngine,
    pub health: Arc<SimProbe>,
    pub scaler: Arc<dyn Scaler>,
    pub services: BTreeMap<&'static str, Declared>,
    pub held: Vec<(Instant, ReplicaId, Lease)>,
    /// The replica that was served last, to see that the turns are taken in order.
    pub served: BTreeMap<ServiceName, (Arc<Cursor>, Slot)>,
    pub taken: BTreeSet<Slot>,
    /// Images that have to be pulled, so that no two are the same.
    pub pulled: usize,
    pub strangers: usize,
    pub life: Option<Life>,
}

pub struct Life {
    pub handle: Handle,
    pub reader: Reader,
    pub over: watch::Sender<bool>,
    pub tasks: [JoinHandle<()>; 2],
}

impl Stage {
    pub fn new(seed: u64) -> Stage {
        let book = Shared::new(seed);
        let engine = FakeEngine::new();
        let health = SimProbe {
            engine: engine.clone(),
            book: book.clone(),
            sick: Arc::default(),
        };
        Stage {
            book,
            engine,
            health: Arc::new(health),
            scaler: requests_scaler(),
            services: BTreeMap::new(),
            held: Vec::new(),
            served: BTreeMap::new(),
            taken: BTreeSet::new(),
            pulled: 0,
            strangers: 0,
            life: None,
        }
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.book.lock().rng.below(end)
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        self.book.lock().rng.pick(from)
    }

    pub fn note(&self, line: &str) {
        self.book.lock().note(line);
    }

    pub fn promise(&self, kept: bool, what: impl FnOnce() -> String) {
        self.book.lock().promise(kept, what);
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.life.as_ref().expect("alive").reader.load())
    }
}

fn requests_scaler() -> Arc<dyn Scaler> {
    let (_writer, reader) = store::store();
    let mut hooks = Hooks::new(reader);
    let registry: Registry = tidegate::plugins::standard();
    let values = format!("{{ interval: {}s }}", INTERVAL.as_secs());
    let values = serde_yaml::from_str(&values).expect("yaml");
    registry
        .install("requests", values, &mut hooks)
        .expect("in the box");
    hooks.finish().scaler.expect("a scaler")
}
