//! The one task that keeps certificates: loads what is held, orders what is due, publishes both.
//!
//! ```text
//!        configuration, commands, names on demand, the clock
//!                            |
//!                            v
//!  folder <--> [ keeper: due? brakes? ] --> tasks (orders, advice, ask) --.
//!                            ^                                            |
//!                            '---------------- results -------------------'
//!                            '--> table of certificates, reports, events
//! ```
//!
//! Nothing is awaited in the loop but the next of these, so a CA that hangs stops nobody else.

use super::answers::{Answers, Mirror};
use super::brakes::Brakes;
use super::entry::Entry;
use super::gate::{Gate, Warned};
use super::handle::{Command, Orders};
use super::local::LocalCa;
use super::order::Orderer;
use super::store::Store;
use super::tasks::{Task, Tasks};
use super::wanted::Wanted;
use crate::certs::settings::ChallengePorts;
use crate::certs::{Awaited, CertName, CertificateWriter, Challenges, OnDemandName, ReportWriter};
use crate::service::event::Event;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// Longest pause of the loop, after which the clock and the folder are looked at again.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(60);
/// Shortest pause, whatever is due.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(50);
/// Interval at which a process that does not order looks for answers of the one that does.
const MIRROR_EVERY: Duration = Duration::from_millis(200);

/// Receiver of events.
pub type Tell = Arc<dyn Fn(&Event) + Send + Sync>;

/// Channels between the keeper and the rest of the process.
pub struct Connections {
    pub writer: CertificateWriter,
    pub challenges: Challenges,
    pub awaited: Awaited,
    pub questions: mpsc::Receiver<OnDemandName>,
    pub reports: ReportWriter,
    pub tell: Tell,
}

pub struct Keeper {
    pub(super) wanted: Arc<Wanted>,
    pub(super) names: BTreeMap<CertName, Entry>,
    pub(super) store: Store,
    pub(super) tasks: Tasks,
    pub(super) connections: Connections,
    pub(super) gate: Gate,
    pub(super) warned: Warned,
    /// Tools for orders, or the reason why there can be none.
    pub(super) orderer: Result<Orderer, String>,
    pub(super) brakes: Brakes,
    pub(super) local: Option<LocalCa>,
    pub(super) ports: ChallengePorts,
    pub(super) is_in_control: bool,
    /// Answers of another process, given here as well.
    pub(super) mirror: Mirror,
    pub(super) on_demand_count: u64,
    /// When the folder was last compared with what is in memory.
    pub(super) looked_for_losses: Option<SystemTime>,
    /// Certificates that were published last.
    pub(super) published: Vec<[u8; 32]>,
}

impl Keeper {
    pub fn new(state_dir: &Path, wanted: Wanted, connections: Connections) -> Keeper {
        let store = Store::new(state_dir);
        let mut keeper = Keeper {
            wanted: Arc::new(wanted),
            names: BTreeMap::new(),
            brakes: store.brakes(),
            store,
            tasks: Tasks::default(),
            connections,
            gate: Gate::default(),
            warned: Warned::default(),
            orderer: Err("not begun".to_owned()),
            local: None,
            ports: ChallengePorts::default(),
            is_in_control: false,
            mirror: Mirror::default(),
            on_demand_count: 0,
            looked_for_losses: None,
            published: Vec::new(),
        };
        keeper.configure();
        keeper.publish(SystemTime::now());
        keeper
    }

    /// Runs until every handle is gone.
    pub async fn run(mut self, mut orders: Orders) {
        loop {
            let now = SystemTime::now();
            self.look_and_publish(now);
            let pause = self.pause(now);
            tokio::select! {
                changed = orders.wanted.changed() => match changed {
                    Ok(()) => {
                        self.wanted = Arc::clone(&orders.wanted.borrow_and_update());
                        self.configure();
                    }
                    Err(_) => return,
                },
                Some(command) = orders.commands.recv() => self.obey(command).await,
                Some((task, name)) = self.tasks.next() => self.finished(task, name),
                Some(question) = self.connections.questions.recv() => self.question(question),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::TakeControl => {
                // Another process may have ordered meanwhile.
                self.is_in_control = true;
                self.brakes = self.store.brakes();
                self.mirror.refresh(&self.answers());
                self.load_all();
            }
            Command::Rest(reply) => {
                self.is_in_control = false;
                // Given a second time before orders take theirs along: the CA may ask meanwhile.
                self.mirror.refresh(&self.answers());
                for name in self.tasks.stop().await {
                    if let Some(entry) = self.names.get_mut(&name) {
                        entry.is_ordering = false;
                        entry.is_advised = false;
                    }
                }
                self.mirror.refresh(&self.answers());
                let _ = reply.send(());
            }
        }
    }

    pub(super) fn look_and_publish(&mut self, now: SystemTime) {
        self.look(now);
        self.publish(now);
    }

    /// Begins whatever is due.
    fn look(&mut self, now: SystemTime) {
        if !self.is_in_control {
            self.mirror.refresh(&self.answers());
            return;
        }
        self.tidy_answers();
        self.save(now);
        self.issue_locally(now);
        self.order(now);
        self.take_advice(now);
    }

    /// Removes answers that no order needs any more.
    fn tidy_answers(&mut self) {
        if !self.mirror.is_empty() && !self.tasks.are_ordering() {
            let is_pending = |name| self.store.pending(name).is_some();
            if !self.names.keys().any(is_pending) {
                self.mirror.clear();
                self.store.withdraw_all();
            }
        }
    }

    pub(super) fn answers(&self) -> Answers {
        Answers {
            challenges: self.connections.challenges.clone(),
            store: self.store.clone(),
        }
    }

    fn finished(&mut self, task: Task, name: CertName) {
        let now = SystemTime::now();
        match task {
            Task::Ordered { turn, result } => self.ordered(&name, turn, result, now),
            Task::Advised(advice) => self.advised(&name, advice),
            Task::Asked { question, answer } => self.asked(question, answer, now),
            Task::Tried(answer) => self.tried(answer),
        }
    }

    fn publish(&mut self, now: SystemTime) {
        let certificates = self.names.values().filter_map(|entry| entry.held.clone());
        let certificates: Vec<_> = certificates.collect();
        let fingerprints = certificates.iter().map(|held| held.fingerprint).collect();
        if self.published != fingerprints {
            self.published = fingerprints;
            self.connections.writer.publish(certificates);
        }
        let awaited = self.names.iter().filter(|(_, entry)| entry.is_awaited(now));
        let awaited = awaited.map(|(name, _)| name.clone()).collect();
        self.connections.awaited.publish(awaited);
        let orders = self.is_in_control;
        let reports = self.names.iter().map(|(name, entry)| {
            let ca = self.next_ca(entry);
            entry.report(name, ca, now, orders)
        });
        let reports = reports.collect();
        self.connections.reports.publish(reports);
    }

    /// Time until something is due.
    fn pause(&self, now: SystemTime) -> Duration {
        if !self.is_in_control {
            return match self.names.is_empty() {
                true => LOOK_AGAIN_MAX,
                false => MIRROR_EVERY,
            };
        }
        let idle = self.names.iter().filter(|(_, entry)| !entry.is_ordering);
        let due = idle.map(|(name, entry)| entry.due(name, now).0);
        // The end of an order wakes the loop, so names that wait for room need no timer.
        let due = due.filter(|at| *at > now || self.tasks.have_room());
        let until = due
            .min()
            .map(|at| at.duration_since(now).unwrap_or_default());
        let until = until.unwrap_or(LOOK_AGAIN_MAX);
        until.clamp(LOOK_AGAIN_MIN, LOOK_AGAIN_MAX)
    }
}
