//! An upgrade, seen from the new process.

use super::predecessor::{LivePredecessor, Predecessor};
use crate::app::doors::Doors;
use crate::app::keeper::Keeper;
use crate::app::unix_socket::Socket;
use crate::control::Authority;
use crate::service::spec::ServiceName;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Time to find as many ready replicas as the running process has.
const WARM_UP_WITHIN: Duration = Duration::from_secs(10);
impl Keeper {
    /// Becomes ready beside the running process, takes control of the containers, lets clients
    /// in, and tells it to leave.
    pub async fn take_over(&mut self, predecessor: Predecessor) -> Result<LivePredecessor, String> {
        self.warm_up(&predecessor.ready).await?;
        let mut predecessor = predecessor.talk().map_err(|error| error.to_string())?;
        let (wanted, by_hand) = predecessor.ready().await?;
        let by_name = wanted.clone().into_iter();
        let by_name = by_name.map(|(name, wanted)| (ServiceName::new(name), wanted));
        self.handle
            .authorize(Authority::NoPlannedStops, by_name.collect())
            .await;
        for name in by_hand {
            let count = wanted.get(&name).copied();
            if let Err(why) = self.handle.scale(name, count).await {
                log::warn!("a count set by hand is lost: {why}");
            }
        }
        self.doors.send_replace(Doors::Open);
        if (&mut self.accepting).await.is_err() {
            return Err("the proxy did not start".to_owned());
        }
        predecessor.serving().await;
        let placed = self.sockets.iter().try_for_each(Socket::place);
        if let Err(error) = placed.and_then(|()| self.holdings.sign()) {
            log::error!("commands cannot reach this process: {error}");
        }
        log::info!("took over from process {}", predecessor.pid);
        Ok(predecessor)
    }

    /// Waits until as many replicas are ready here as in the previous process. Some may have failed
    /// since, but each service that worked must have one.
    async fn warm_up(&mut self, ready: &BTreeMap<String, u32>) -> Result<(), String> {
        let mut reader = self.reader.clone();
        // Services that left the configuration do not count.
        let services = self.config.services.iter();
        let stay: BTreeSet<&str> = services.map(|service| service.spec.name.as_str()).collect();
        let ready: Vec<_> = ready
            .iter()
            .filter(|(name, _)| stay.contains(name.as_str()))
            .collect();
        let here = |name: &str| {
            let snapshot = self.reader.load();
            let service = snapshot.service(name);
            service.map_or(0, |service| service.ready.len() as u32)
        };
        let warm = async {
            loop {
                reader.seen();
                if ready.iter().all(|(name, there)| here(name) >= **there) {
                    return;
                }
                if reader.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let _ = tokio::time::timeout(WARM_UP_WITHIN, warm).await;
        match ready
            .iter()
            .find(|(name, there)| **there > 0 && here(name) == 0)
        {
            Some((name, _)) => Err(format!(
                "no replica of `{name}` was ready here within {WARM_UP_WITHIN:?}, so the running \
                 process goes on"
            )),
            None => Ok(()),
        }
    }
}
