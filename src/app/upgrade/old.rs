//! An upgrade, seen from the old process.

use super::handover::UpgradeMessage;
use super::predecessor::LivePredecessor;
use super::successor::Successor;
use crate::app::doors::{Doors, over};
use crate::app::keeper::Keeper;
use crate::app::supervisor::Supervisor;
use crate::control::Authority;
use crate::service::snapshot::ServiceView;
use pingora::server::ShutdownWatch;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Time after an upgrade in which idle clients may send a request and are told to reconnect; closing
/// their connections at once would break requests on their way.
const LINGER: Duration = Duration::from_secs(5);
/// Time for starts and stops under way, before an upgrade is refused.
const REST_WITHIN: Duration = Duration::from_secs(30);
/// Time for a successor to read a message.
const READ_WITHIN: Duration = Duration::from_secs(10);
impl Keeper {
    /// Sends a successor a second handle of everything that it must hold.
    pub async fn show_holdings(&mut self, mut successor: Successor) -> Option<Successor> {
        let halves = self.holdings.instance_halves();
        let (holdings, descriptors) = self.holdings.all(&halves);
        let message = UpgradeMessage::Holdings {
            pid: std::process::id(),
            holdings,
            ready: self.counts(|service| service.ready.len() as u32),
            supervisor: match successor.supervised {
                true => Supervisor::default(),
                false => self.supervisor.clone(),
            },
            tickets: self.tls.handed_tickets(),
        };
        let pid = successor.pid;
        log::info!("process {pid} wants to take over");
        let passed = successor.conversation.send_with(&message, &descriptors);
        let why = match tokio::time::timeout(READ_WITHIN, passed).await {
            Ok(Ok(())) => return Some(successor),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it did not read its holdings within {READ_WITHIN:?}"),
        };
        log::warn!("process {pid} cannot take over: {why}");
        successor.refuse(&why).await;
        None
    }

    /// Hands over the containers, and the clients once the successor accepts them. If the successor
    /// ends before that, this process goes on as before.
    pub async fn hand_over(
        &mut self,
        successor: Successor,
        authority: Authority,
    ) -> Option<Successor> {
        // An order under way is left for the successor, which finds it in the state folder.
        self.certificates.rest().await;
        let handed = self.try_to_hand_over(successor, authority).await;
        if handed.is_none() {
            self.certificates.take_control().await;
        }
        handed
    }

    async fn try_to_hand_over(
        &mut self,
        mut successor: Successor,
        authority: Authority,
    ) -> Option<Successor> {
        let pid = successor.pid;
        let rest = self.handle.authorize(Authority::ReadOnly, BTreeMap::new());
        if tokio::time::timeout(REST_WITHIN, rest).await.is_err() {
            let why = "containers are still being started or stopped";
            log::warn!("process {pid} cannot take over now: {why}");
            successor.refuse(why).await;
            self.handle.authorize(authority, BTreeMap::new()).await;
            return None;
        }
        let wanted = self.counts(|service| service.desired);
        let by_hand = self.counts(|service| service.by_hand.unwrap_or_default());
        let by_hand = by_hand.into_iter().filter(|(_, count)| *count > 0);
        let by_hand: BTreeSet<String> = by_hand.map(|(name, _)| name).collect();
        let yours = UpgradeMessage::Yours { wanted, by_hand };
        let said = successor.conversation.send(&yours);
        if !matches!(tokio::time::timeout(READ_WITHIN, said).await, Ok(Ok(()))) {
            // A message without its end hands over nothing.
            drop(successor);
            log::warn!("process {pid} does not take over: it did not read the message");
            self.handle.authorize(authority, BTreeMap::new()).await;
            return None;
        }
        // No timeout: as long as the successor lives, the containers are its own.
        match successor.conversation.receive().await {
            Ok(UpgradeMessage::Serving) => {
                log::info!("process {pid} took over: finishing requests in flight");
                self.in_flight.end_connections();
                self.doors.send_replace(Doors::HandedOver);
                if !successor.supervised {
                    self.supervisor.handed_over(pid);
                }
                Some(successor)
            }
            _ => {
                successor.conversation.closed().await;
                log::error!("process {pid} ended before it took over; continuing");
                self.handle.authorize(authority, BTreeMap::new()).await;
                None
            }
        }
    }

    fn counts(&self, count: impl Fn(&ServiceView) -> u32) -> BTreeMap<String, u32> {
        let snapshot = self.reader.load();
        let services = snapshot.services.iter();
        services
            .map(|(name, service)| (name.to_string(), count(service)))
            .collect()
    }

    /// Exits once nothing is in flight here or in the process before this one, whose requests the
    /// successor cannot see.
    pub async fn follow(mut self, before: Option<LivePredecessor>, shutdown: &mut ShutdownWatch) {
        let deadline = Instant::now() + self.config.server.drain_timeout;
        let mut before = before;
        let others = async {
            tokio::time::sleep(LINGER).await;
            if let Some(before) = &mut before {
                before.gone().await;
            }
        };
        tokio::select! {
            () = others => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = over(shutdown) => {}
        }
        self.options.remove = false;
        self.leave_by(deadline, Duration::ZERO, false).await;
    }
}
