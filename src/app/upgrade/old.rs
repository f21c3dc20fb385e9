//! An upgrade, seen from the old process.

use super::handover::Message;
use super::predecessor::Talking;
use super::successor::Successor;
use crate::app::doors::{Doors, over};
use crate::app::keeper::Keeper;
use crate::app::supervisor::Supervisor;
use crate::control::Hands;
use crate::service::snapshot::ServiceView;
use pingora::server::ShutdownWatch;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// After an upgrade, idle clients have this long to send a request and be told to connect anew;
/// closing their connections at once would break whatever they are just sending.
const LINGER: Duration = Duration::from_secs(5);
/// Starts and stops that are under way may take this long before an upgrade is refused.
const REST_WITHIN: Duration = Duration::from_secs(30);
/// A successor reads what it is given at once, unless it hangs.
const READ_WITHIN: Duration = Duration::from_secs(10);
impl Keeper {
    /// Gives a successor its own handle of everything that it must hold; nothing is lost by it.
    pub async fn show_holdings(&mut self, mut successor: Successor) -> Option<Successor> {
        let halves = self.holdings.instance_halves();
        let (holdings, descriptors) = self.holdings.all(&halves);
        let message = Message::Holdings {
            pid: std::process::id(),
            holdings,
            ready: self.counts(|service| service.ready.len() as u32),
            supervisor: match successor.supervised {
                true => Supervisor::default(),
                false => self.supervisor.clone(),
            },
        };
        let pid = successor.pid;
        log::info!("process {pid} wants to take over");
        let passed = successor.conversation.pass(&message, &descriptors);
        let why = match tokio::time::timeout(READ_WITHIN, passed).await {
            Ok(Ok(())) => return Some(successor),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it does not read what it is given within {READ_WITHIN:?}"),
        };
        log::warn!("process {pid} cannot take over: {why}");
        successor.refuse(&why).await;
        None
    }

    /// Lets go of the containers, and of the clients as soon as the successor lets them in. If
    /// it ends before that, everything is as it was.
    pub async fn hand_over(&mut self, mut successor: Successor, hands: Hands) -> Option<Successor> {
        let pid = successor.pid;
        let rest = self.handle.take(Hands::Resting, BTreeMap::new());
        if tokio::time::timeout(REST_WITHIN, rest).await.is_err() {
            let why = "containers are still being started or stopped";
            log::warn!("process {pid} cannot take over now: {why}");
            successor.refuse(why).await;
            self.handle.take(hands, BTreeMap::new()).await;
            return None;
        }
        let wanted = self.counts(|service| service.desired);
        let by_hand = self.counts(|service| service.by_hand.unwrap_or_default());
        let by_hand = by_hand.into_iter().filter(|(_, count)| *count > 0);
        let by_hand: BTreeSet<String> = by_hand.map(|(name, _)| name).collect();
        let yours = Message::Yours { wanted, by_hand };
        let said = successor.conversation.say(&yours);
        if !matches!(tokio::time::timeout(READ_WITHIN, said).await, Ok(Ok(()))) {
            // A message without its end hands over nothing.
            drop(successor);
            log::warn!("process {pid} does not take over: it did not read what it asked for");
            self.handle.take(hands, BTreeMap::new()).await;
            return None;
        }
        // Without a limit: as long as it lives, the containers are its own.
        match successor.conversation.hear().await {
            Ok(Message::Serving) => {
                log::info!("process {pid} took over: finishing what is in flight");
                self.in_flight.end_connections();
                self.doors.send_replace(Doors::HandedOver);
                if !successor.supervised {
                    self.supervisor.handed_over(pid);
                }
                Some(successor)
            }
            _ => {
                successor.conversation.hung_up().await;
                log::error!("process {pid} ended before it took over; going on");
                self.handle.take(hands, BTreeMap::new()).await;
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

    /// Leaves once nothing is in flight here or in the process before this one, whose requests
    /// the successor does not know of.
    pub async fn follow(mut self, before: Option<Talking>, shutdown: &mut ShutdownWatch) {
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
