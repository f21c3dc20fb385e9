//! One service under control.

use super::count::Count;
use super::fleet::{Fleet, Tracked};
use super::wish::{VersionChange, Wish};
use crate::control::declared::Managed;
use crate::control::image_note::{ImageNote, Images};
use crate::control::turn::Turn;
use crate::engine::fixed;
use crate::plan::Reason;
use crate::service::cursor::Cursor;
use crate::service::load::ServiceLoad;
use crate::service::spec::{ServiceName, Version};
use crate::service::store::Writer;
use std::sync::Arc;

pub struct ServiceState {
    pub(super) name: ServiceName,
    pub(super) wish: Wish,
    pub(super) count: Count,
    pub(super) fleet: Fleet,
    pub(super) load: Arc<ServiceLoad>,
    pub(super) cursor: Arc<Cursor>,
    /// Of the last plan.
    pub(super) because: Vec<Reason>,
}

impl ServiceState {
    pub fn new(managed: Managed, turn: &Turn) -> ServiceState {
        let orphan = ServiceState::orphan(managed.spec.name.clone(), turn.writer());
        orphan.reconfigured(managed, Images::Keep, turn)
    }

    /// A service that exists only as containers left behind.
    pub fn orphan(name: ServiceName, writer: &Writer) -> ServiceState {
        ServiceState {
            wish: Wish::default(),
            count: Count::default(),
            fleet: Fleet::new(name.clone()),
            load: Arc::new(writer.new_load()),
            cursor: Arc::new(Cursor::default()),
            because: Vec::new(),
            name,
        }
    }

    pub fn reconfigured(mut self, managed: Managed, images: Images, turn: &Turn) -> ServiceState {
        let made_from = self.wish.version().map(|version| version.hash.clone());
        if !self.wish.is_declared() {
            self.count.begin(&managed.spec, turn.now);
        }
        self.count.bound(&managed.spec);
        let (next, ports_may_be_free) = self.wish.declare(managed, images);
        if ports_may_be_free {
            self.fleet.forget_taken_ports();
        }
        match next {
            VersionChange::Nothing => {}
            VersionChange::Same(version) => self.wish.make_from(version),
            VersionChange::Roll(version) => self.roll_to(version, turn),
        }
        let rechecked = self.wish.recheck(made_from);
        self.fleet.probe_anew(|version| rechecked.has(version));
        self
    }

    /// The replicas, for reports and actions that concern nothing else of the service.
    pub fn fleet_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }

    /// Takes over the replicas of others, which no engine lists.
    pub fn adopt_others(&mut self, turn: &Turn) {
        if self.wish.is_run_by_others()
            && let Some(spec) = self.wish.spec()
        {
            let grace = self.wish.stop_grace_period();
            self.fleet
                .adopt_others(fixed::observe(spec), grace, turn.now);
        }
        self.probe_all(turn);
    }

    /// The service left the configuration.
    pub fn remove(&mut self) {
        let grace = self.wish.stop_grace_period();
        self.fleet.let_others_go(|_| false, grace);
        self.wish.end();
        self.count.end();
    }

    /// Probes every replica that runs.
    pub(super) fn probe_all(&mut self, turn: &Turn) {
        let wish = &self.wish;
        self.fleet.probe_all(|version| wish.check_of(version), turn);
    }

    // === questions ===

    /// No container of it is left, and none is under way.
    pub fn is_empty(&self) -> bool {
        self.fleet.is_empty()
    }

    pub fn needs_engine(&self) -> bool {
        self.runs_containers() || !self.is_empty()
    }

    pub fn runs_containers(&self) -> bool {
        self.wish.runs_containers()
    }

    /// Whether there is anything to plan: for containers of a service that others run now, not
    /// before one of theirs is ready to take over.
    pub fn is_planned(&self) -> bool {
        let takes_over = || self.fleet.others().any(|tracked| tracked.is_ready());
        !self.wish.is_run_by_others() || !self.is_empty() && takes_over()
    }

    /// Left the configuration, and nothing of it is left.
    pub fn is_over(&self) -> bool {
        !self.wish.is_declared() && self.is_empty()
    }

    /// The containers that are left, each with the reason.
    pub fn left(&self) -> Vec<String> {
        let name = &self.name;
        let of = |tracked: &Tracked| {
            let (slot, id) = (tracked.slot(), tracked.id());
            match tracked.view().because {
                Some(because) => format!("{name} on {slot} ({id}): {because}"),
                None => format!("{name} on {slot} ({id})"),
            }
        };
        self.fleet.ours().map(of).collect()
    }

    /// Whether something was begun that only this process knows of.
    pub fn is_busy(&self) -> bool {
        self.fleet.is_busy()
    }

    pub fn is_asleep(&self) -> bool {
        self.count.is_asleep(self.wish.sleep_terms())
    }

    pub fn version(&self) -> Option<&Version> {
        self.wish.version()
    }

    /// Says when a change of the file left another image, or left one deployed by hand.
    pub fn image_note(&self, before: &Version, turn: &Turn) -> Option<ImageNote> {
        self.wish.image_note(before, turn)
    }

    /// Turns of services: whether it serves, and when its last start began.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    pub fn sweep(&self) {
        self.fleet.sweep();
    }
}
