//! The health check of a run.

use crate::simulation::book::Shared;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tidegate::engine::fake::FakeEngine;
use tidegate::plugin::Probe;
use tidegate::service::replica::{ReplicaId, RunState};
use tokio::time::Instant;

#[derive(Default)]
pub struct Sick(std::sync::Mutex<Ailing>);

#[derive(Default)]
pub struct Ailing {
    pub replicas: BTreeSet<ReplicaId>,
    pub templates: BTreeSet<String>,
    pub hosts: BTreeSet<u8>,
    pub versions: BTreeMap<u32, Arc<dyn Probe>>,
}

impl Sick {
    pub fn lock(&self) -> std::sync::MutexGuard<'_, Ailing> {
        self.0.lock().expect("no panic")
    }
}

impl Ailing {
    pub fn clear(&mut self) {
        self.replicas.clear();
        self.templates.clear();
        self.hosts.clear();
    }
}

/// Healthy when the container runs and is not called sick; sometimes slow, sometimes too slow.
#[derive(Clone)]
pub struct SimProbe {
    pub engine: FakeEngine,
    pub book: Shared,
    pub sick: Arc<Sick>,
}

impl SimProbe {
    async fn answer(&self, address: SocketAddr) -> Result<(), String> {
        let sick = || Err("answered 500".to_owned());
        if let IpAddr::V4(ip) = address.ip()
            && let [10, .., host] = ip.octets()
        {
            let is_sick = self.sick.lock().hosts.contains(&host);
            return if is_sick { sick() } else { Ok(()) };
        }
        let replicas = self.engine.replicas();
        let mut found = replicas.iter();
        let Some(found) = found.find(|replica| replica.addresses.contains(&address)) else {
            return Err("connection refused".to_owned());
        };
        if found.state == RunState::Paused {
            return std::future::pending().await;
        }
        let ailing = self.sick.lock();
        if ailing.replicas.contains(&found.id) || ailing.templates.contains(found.spec.as_str()) {
            return sick();
        }
        Ok(())
    }

    /// The same probe for the same number: a reload compares them.
    pub fn versions(&self, version: u32) -> Arc<dyn Probe> {
        let probe = || Arc::new(self.clone()) as Arc<dyn Probe>;
        let mut sick = self.sick.lock();
        Arc::clone(sick.versions.entry(version).or_insert_with(probe))
    }
}

#[async_trait]
impl Probe for SimProbe {
    async fn check(&self, address: SocketAddr) -> Result<(), String> {
        let slow = {
            let mut book = self.book.lock();
            let failing = book.failing;
            let (slow, rng) = book.chance();
            let slow = slow && failing && rng.percent(2);
            slow.then(|| rng.millis(1, 1_200))
        };
        if let Some(slow) = slow {
            tokio::time::sleep(slow).await;
        }
        self.answer(address).await?;
        // The time of the last good answer at this address.
        let mut book = self.book.lock();
        book.well.insert(address, Instant::now());
        Ok(())
    }
}
