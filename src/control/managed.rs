//! One service under control: what is wanted, what was seen, what is under way.

use super::probing::{self, Verdict};
use super::tracked::{Drain, Health, Stop, Tracked, ailment_of};
use super::{Input as LoopInput, Sink};
use crate::engine::{EngineError, ErrorKind, fixed};
use crate::plan::backoff::{Backoff, SETTLED_AFTER};
use crate::plan::window::{Sample, Window};
use crate::plan::{Input, Reason, Seen};
use crate::plugin::{Probe, Scaler};
use crate::service::event::Event;
use crate::service::load::{Cursor, ServiceLoad};
use crate::service::replica::{
    Ailment, Observed, Phase, Replica, ReplicaId, ReplicaView, RunState,
};
use crate::service::snapshot::ServiceView;
use crate::service::spec::{ServiceName, Slot, Source, Spec, SpecHash};
use crate::service::store::Writer;
use crate::service::time::Moment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A stop that failed is tried again after this.
const STOP_RETRY_AFTER: Duration = Duration::from_secs(1);
/// For containers whose service nobody configures any more, so nobody says otherwise.
const ORPHAN_GRACE: Duration = Duration::from_secs(10);
/// A port that was somebody else's for so long is tried again, when a replica is missing anyway.
const TAKEN_FOR: Duration = Duration::from_secs(60);

/// A service as the control loop is given it.
#[derive(Clone)]
pub struct Managed {
    pub spec: Arc<Spec>,
    pub probe: Arc<dyn Probe>,
    /// `None`: nobody scales it.
    pub scaler: Option<Arc<dyn Scaler>>,
}

/// A service under control.
pub(super) struct State {
    name: ServiceName,
    /// `None` once the service left the configuration.
    managed: Option<Managed>,
    template: Option<SpecHash>,
    stop_grace_period: Duration,
    load: Arc<ServiceLoad>,
    cursor: Arc<Cursor>,
    window: Window,
    wanted: u32,
    scaled_because: String,
    backoff: Backoff,
    /// Counts while `backoff` does: a replica that never came to be is in no list.
    last_failure: Option<Reason>,
    /// Ports that were somebody else's, and when.
    taken: BTreeMap<Slot, Moment>,
    starting: BTreeMap<Slot, Start>,
    replicas: BTreeMap<ReplicaId, Tracked>,
    pub(super) because: Vec<Reason>,
}

/// A start that the engine does not show for certain yet.
struct Start {
    generation: u64,
    since: Moment,
    because: Reason,
    /// Whether a listing has shown the replica.
    shown: bool,
    failed: bool,
    /// Once it has ended, well or not: only a listing that began later is sure to show what came
    /// of it.
    shown_after: Option<u64>,
}

impl Start {
    fn is_surely_shown(&self, sequence: u64) -> bool {
        self.shown_after.is_some_and(|after| sequence > after)
    }
}

impl State {
    pub fn new(managed: Managed, writer: &Writer) -> State {
        State::orphan(managed.spec.name.clone(), writer).reconfigured(managed)
    }

    /// A service that exists only as containers left behind.
    pub fn orphan(name: ServiceName, writer: &Writer) -> State {
        State {
            backoff: Backoff::new(name.as_str()),
            last_failure: None,
            name,
            managed: None,
            template: None,
            stop_grace_period: ORPHAN_GRACE,
            load: Arc::new(writer.new_load()),
            cursor: Arc::new(Cursor::default()),
            window: Window::default(),
            wanted: 0,
            scaled_because: String::new(),
            taken: BTreeMap::new(),
            starting: BTreeMap::new(),
            replicas: BTreeMap::new(),
            because: Vec::new(),
        }
    }

    pub fn reconfigured(mut self, managed: Managed) -> State {
        let template = managed.spec.template().map(|template| template.hash());
        let probing_changed = self.managed.as_ref().is_none_or(|old| {
            old.spec.health != managed.spec.health || !Arc::ptr_eq(&old.probe, &managed.probe)
        });
        if self.managed.is_none() {
            self.wanted = managed.spec.bounds.min;
            self.scaled_because = "the minimum, until traffic says otherwise".to_owned();
        }
        if template != self.template {
            // A new template deserves a new try.
            self.backoff = Backoff::new(self.name.as_str());
            self.taken.clear();
        }
        if probing_changed {
            for tracked in self.replicas.values_mut() {
                tracked.prober = None;
            }
        }
        self.template = template;
        self.stop_grace_period = managed.spec.stop_grace_period;
        self.wanted = managed.spec.bounds.clamp(self.wanted);
        self.managed = Some(managed);
        self
    }

    pub fn remove(&mut self) {
        let grace = self.stop_grace_period;
        self.keep_addresses(|_| false, grace);
        self.managed = None;
        self.wanted = 0;
        self.scaled_because = Reason::Removed.to_string();
    }

    pub fn is_fixed(&self) -> bool {
        self.managed
            .as_ref()
            .is_some_and(|managed| matches!(managed.spec.source, Source::Addresses(_)))
    }

    /// No container of it is left, and none is under way.
    pub fn is_empty(&self) -> bool {
        self.starting.is_empty() && self.replicas.values().all(|tracked| tracked.is_address)
    }

    pub fn needs_engine(&self) -> bool {
        let runs_containers = self
            .managed
            .as_ref()
            .is_some_and(|managed| managed.spec.template().is_some());
        runs_containers || !self.is_empty()
    }

    /// Whether there is anything to plan: for containers of a service that has addresses now,
    /// not before one of these is ready to take over.
    pub fn is_planned(&self) -> bool {
        let takes_over = |tracked: &Tracked| tracked.is_address && tracked.phase() == Phase::Ready;
        !self.is_fixed() || !self.is_empty() && self.replicas.values().any(takes_over)
    }

    /// Left the configuration, and nothing of it is left.
    pub fn is_over(&self) -> bool {
        self.managed.is_none() && self.is_empty()
    }

    pub fn starts_under_way(&self) -> u32 {
        let under_way = |start: &&Start| start.shown_after.is_none();
        self.starting.values().filter(under_way).count() as u32
    }

    /// Whether something was begun that only this process knows of.
    pub fn is_busy(&self) -> bool {
        let stopping = |tracked: &Tracked| matches!(tracked.stop, Some(Stop::UnderWay));
        self.starts_under_way() > 0 || self.replicas.values().any(stopping)
    }

    /// What another process knew about how many are wanted.
    pub fn want(&mut self, wanted: u32) {
        if let Some(managed) = &self.managed {
            self.wanted = managed.spec.bounds.clamp(wanted);
        }
    }

    // === what happened ===

    /// Takes over the addresses of a fixed service, which no engine lists.
    pub fn adopt_fixed(&mut self, report: &mpsc::Sender<LoopInput>, sink: &Sink, now: Moment) {
        let Some(managed) = &self.managed else {
            return;
        };
        if let Source::Addresses(_) = managed.spec.source {
            let seen = fixed::observe(&managed.spec);
            let grace = self.stop_grace_period;
            self.keep_addresses(|id| seen.iter().any(|observed| observed.id == *id), grace);
            for observed in seen {
                match self.replicas.get_mut(&observed.id) {
                    Some(tracked) => tracked.observed = observed,
                    None => {
                        let mut tracked = Tracked::new(observed, now);
                        tracked.is_address = true;
                        self.replicas.insert(tracked.observed.id.clone(), tracked);
                    }
                }
            }
        }
        self.probe_all(report, sink);
    }

    /// Takes over what the engine listed. `sequence` tells when the listing began, `first` that
    /// Tidegate itself has just begun.
    pub fn observed(
        &mut self,
        seen: Vec<Observed>,
        sequence: u64,
        first: bool,
        report: &mpsc::Sender<LoopInput>,
        sink: &Sink,
        now: Moment,
    ) {
        self.replicas.retain(|id, tracked| {
            let there = seen.iter().any(|observed| observed.id == *id);
            // One that is being stopped stays until the engine says that it is done.
            if there || tracked.is_address || matches!(tracked.stop, Some(Stop::UnderWay)) {
                return true;
            }
            tracked.fail(&self.name, Ailment::Exited { code: None }, now, sink);
            tracked.dismiss(Duration::ZERO);
            sink(&Event::Stopped {
                service: self.name.clone(),
                slot: tracked.observed.slot,
                id: id.clone(),
            });
            false
        });
        for observed in seen {
            let start = self.starting.get_mut(&observed.slot);
            let start = start.filter(|start| start.generation == observed.generation);
            // A start of ours passes through this state, and is not half-made; what is left of
            // one that failed may be gone by now.
            if let Some(start) = &start
                && !start.is_surely_shown(sequence)
                && (start.failed || observed.state == RunState::Created)
                && !self.replicas.contains_key(&observed.id)
            {
                continue;
            }
            if observed.state == RunState::Running {
                // It is ours, then: a start came through whose answer was lost.
                self.taken.remove(&observed.slot);
            }
            let mut count_failure = true;
            let tracked = match self.replicas.get_mut(&observed.id) {
                Some(tracked) => {
                    tracked.look_again(observed, now);
                    tracked
                }
                None => {
                    let mut tracked = Tracked::new(observed, now);
                    if let Some(start) = start {
                        start.shown = true;
                        tracked.began = Some(start.since);
                        tracked.because = Some(start.because.to_string());
                    } else {
                        // Found dead: nobody knows of what, or when.
                        count_failure = false;
                        if first && tracked.is_alive() {
                            sink(&Event::Adopted {
                                service: self.name.clone(),
                                slot: tracked.observed.slot,
                                id: tracked.observed.id.clone(),
                            });
                        }
                    }
                    self.replicas
                        .entry(tracked.observed.id.clone())
                        .or_insert(tracked)
                }
            };
            if let Some(ailment) = ailment_of(&tracked.observed.state) {
                let slot = tracked.observed.slot;
                let why = ailment.to_string();
                let failed = tracked.fail(&self.name, ailment, now, sink);
                if failed && count_failure {
                    self.backoff.failed(tracked.observed.generation, now);
                    self.last_failure = Some(Reason::LastFailure { slot, why });
                }
            }
        }
        if first && let Some(managed) = &self.managed {
            // What was running was wanted: a restart scales nothing down before a whole interval
            // was observed.
            let containers = self.replicas.values().filter(|tracked| !tracked.is_address);
            self.wanted = managed.spec.bounds.clamp(containers.count() as u32);
        }
        self.forget_starts(sequence, sink, now);
        self.probe_all(report, sink);
    }

    /// Forgets the starts that are done and that this listing was sure to show.
    fn forget_starts(&mut self, sequence: u64, sink: &Sink, now: Moment) {
        self.starting.retain(|slot, start| {
            let surely_shown = start.is_surely_shown(sequence);
            if surely_shown && !start.shown && !start.failed {
                let (slot, why) = (*slot, "it was removed as soon as it ran".to_owned());
                self.backoff.failed(start.generation, now);
                sink(&Event::StartFailed {
                    service: self.name.clone(),
                    slot,
                    why: why.clone(),
                });
                self.last_failure = Some(Reason::LastFailure { slot, why });
            }
            !surely_shown
        });
    }

    pub fn probed(
        &mut self,
        id: &ReplicaId,
        verdict: Verdict,
        writer: &Writer,
        now: Moment,
        sink: &Sink,
    ) {
        let Some(tracked) = self.replicas.get_mut(id) else {
            return;
        };
        let fixed = tracked.is_address;
        let ailment = match verdict {
            Verdict::Healthy { address } => {
                // What was said before it was told to stop, or had other addresses, comes late.
                let late = tracked.stop.is_some() || !tracked.observed.addresses.contains(&address);
                if !late && (fixed || !matches!(tracked.health, Health::Failed(_))) {
                    tracked.ready(&self.name, address, writer, now, sink);
                }
                return;
            }
            Verdict::Unhealthy { why } => Ailment::Unhealthy { why },
            Verdict::NeverHealthy { after, why } => Ailment::NeverHealthy { after, why },
        };
        let slot = tracked.observed.slot;
        let why = ailment.to_string();
        if tracked.fail(&self.name, ailment, now, sink) && !fixed {
            self.backoff.failed(tracked.observed.generation, now);
            self.last_failure = Some(Reason::LastFailure { slot, why });
        }
    }

    pub fn start_done(&mut self, slot: Slot, sequence: u64) {
        if let Some(start) = self.starting.get_mut(&slot) {
            start.shown_after = Some(sequence);
        }
    }

    pub fn start_failed(
        &mut self,
        slot: Slot,
        error: &EngineError,
        sequence: u64,
        now: Moment,
        sink: &Sink,
    ) {
        let service = self.name.clone();
        let holds_it = |tracked: &Tracked| tracked.observed.slot == slot && tracked.is_alive();
        let ours = self.containers().any(holds_it);
        let taken = error.kind == ErrorKind::PortTaken && !ours;
        sink(&if taken {
            Event::PortTaken { service, slot }
        } else {
            let why = error.to_string();
            Event::StartFailed { service, slot, why }
        });
        let Some(start) = self.starting.get_mut(&slot) else {
            return;
        };
        start.failed = true;
        start.shown_after = Some(sequence);
        match error.kind {
            ErrorKind::PortTaken if taken => {
                self.taken.insert(slot, now);
            }
            // By a start of an earlier life, which came through after all.
            ErrorKind::PortTaken => {}
            ErrorKind::Failed => {
                self.backoff.failed(start.generation, now);
                let why = error.to_string();
                self.last_failure = Some(Reason::LastFailure { slot, why });
            }
            // Says nothing about the image; the engine's return is awaited anyway.
            ErrorKind::Unreachable => {}
        }
    }

    pub fn stopped(
        &mut self,
        id: &ReplicaId,
        result: &Result<(), EngineError>,
        now: Moment,
        sink: &Sink,
    ) {
        let Some(tracked) = self.replicas.get_mut(id) else {
            return;
        };
        let (service, slot) = (self.name.clone(), tracked.observed.slot);
        let id = id.clone();
        match result {
            Ok(()) => {
                tracked.dismiss(Duration::ZERO);
                self.replicas.remove(&id);
                sink(&Event::Stopped { service, slot, id });
            }
            Err(error) => {
                tracked.stop = Some(Stop::RetryAt(now + STOP_RETRY_AFTER));
                sink(&Event::StopFailed {
                    service,
                    slot,
                    id,
                    why: error.to_string(),
                });
            }
        }
    }

    // === what is decided ===

    /// Samples the counters and asks the scaler; returns when it wants to be asked again.
    pub fn scale(&mut self, now: Moment, sink: &Sink) -> Option<Moment> {
        let managed = self.managed.as_ref()?;
        let scaler = managed.scaler.as_ref()?;
        let sample = Sample {
            at: now,
            requests: self.load.counted(),
        };
        self.window.record(sample, scaler.history());
        let decision = scaler.decide(&self.window, self.wanted, now);
        let wanted = managed.spec.bounds.clamp(decision.replicas);
        self.scaled_because = match wanted.cmp(&decision.replicas) {
            std::cmp::Ordering::Equal => decision.because,
            std::cmp::Ordering::Less => format!("{}, at most {wanted}", decision.because),
            std::cmp::Ordering::Greater => format!("{}, at least {wanted}", decision.because),
        };
        if wanted != self.wanted {
            sink(&Event::Scaled {
                service: self.name.clone(),
                from: self.wanted,
                to: wanted,
                because: self.scaled_because.clone(),
            });
            self.wanted = wanted;
        }
        decision.wake
    }

    pub fn seen(&mut self, now: Moment) -> Vec<Seen> {
        self.let_addresses_go();
        self.forgive_ports(now);
        for tracked in self.replicas.values() {
            if tracked.phase() == Phase::Ready && now.since(tracked.since) >= SETTLED_AFTER {
                self.backoff.settled(tracked.observed.generation);
            }
        }
        self.containers()
            .map(|tracked| Seen {
                id: tracked.observed.id.clone(),
                slot: tracked.observed.slot,
                current: self.template.as_ref() == Some(&tracked.observed.spec),
                condition: tracked.condition(now),
            })
            .collect()
    }

    fn containers(&self) -> impl Iterator<Item = &Tracked> {
        let replicas = self.replicas.values();
        replicas.filter(|tracked| !tracked.is_address)
    }

    /// Addresses of a service that has an image now serve until its containers can.
    fn let_addresses_go(&mut self) {
        let ready = self
            .containers()
            .filter(|tracked| tracked.phase() == Phase::Ready);
        if !self.is_fixed() && ready.count() >= self.wanted as usize {
            let grace = self.stop_grace_period;
            self.keep_addresses(|_| false, grace);
        }
    }

    /// Lets go of the other addresses; what is in flight there has `grace` to finish.
    fn keep_addresses(&mut self, keeps: impl Fn(&ReplicaId) -> bool, grace: Duration) {
        self.replicas.retain(|id, tracked| {
            let stays = !tracked.is_address || keeps(id);
            if !stays {
                tracked.dismiss(grace);
            }
            stays
        });
    }

    /// Only when a start is due anyway: nothing that runs is moved to find out.
    fn forgive_ports(&mut self, now: Moment) {
        let unseen = self.starting.values().filter(|start| !start.shown);
        if self.containers().count() + unseen.count() < self.wanted as usize {
            self.taken.retain(|_, since| now.since(*since) < TAKEN_FOR);
        }
    }

    pub fn input<'a>(
        &'a self,
        replicas: &'a [Seen],
        starts_left: u32,
        engine_up: bool,
        now: Moment,
    ) -> Input<'a> {
        let template = self
            .managed
            .as_ref()
            .and_then(|managed| managed.spec.template());
        Input {
            replicas,
            starting: self.starting.keys().copied().collect(),
            taken: self.taken.keys().copied().collect(),
            first_slot: template.map_or(0, |template| template.first_port),
            wanted: self
                .managed
                .as_ref()
                .map(|_| template.map_or(0, |_| self.wanted)),
            stop_grace_period: self.stop_grace_period,
            backoff: &self.backoff,
            starts_left,
            engine_up,
            now,
        }
    }

    /// When a failed stop is due again.
    pub fn next_retry(&self, now: Moment) -> Option<Moment> {
        let retries = self
            .replicas
            .values()
            .filter_map(|tracked| match tracked.stop {
                Some(Stop::RetryAt(at)) if at > now => Some(at),
                _ => None,
            });
        retries.min()
    }

    // === what is done about it ===

    pub fn starting(
        &mut self,
        slot: Slot,
        generation: u64,
        now: Moment,
        because: Reason,
    ) -> Option<Arc<Spec>> {
        let spec = Arc::clone(&self.managed.as_ref()?.spec);
        let start = Start {
            generation,
            since: now,
            because,
            shown: false,
            failed: false,
            shown_after: None,
        };
        self.starting.insert(slot, start);
        Some(spec)
    }

    pub fn drain(&mut self, id: &ReplicaId, because: Reason, now: Moment, sink: &Sink) {
        let Some(tracked) = self.replicas.get_mut(id) else {
            return;
        };
        let in_flight = tracked
            .replica
            .as_ref()
            .map_or(0, |replica| replica.gate.close());
        tracked.drain = Some(Drain { since: now });
        tracked.since = now;
        tracked.because = Some(because.to_string());
        sink(&Event::Draining {
            service: self.name.clone(),
            slot: tracked.observed.slot,
            id: id.clone(),
            in_flight,
            because: because.to_string(),
        });
    }

    pub fn take_back(&mut self, id: &ReplicaId, because: Reason, sink: &Sink) {
        let Some(tracked) = self.replicas.get_mut(id) else {
            return;
        };
        tracked.drain = None;
        tracked.because = None;
        if let Some(replica) = &tracked.replica {
            replica.gate.reopen();
        }
        sink(&Event::Returned {
            service: self.name.clone(),
            slot: tracked.observed.slot,
            id: id.clone(),
            because: because.to_string(),
        });
    }

    pub fn stopping(&mut self, id: &ReplicaId, because: Reason, now: Moment, sink: &Sink) {
        let Some(tracked) = self.replicas.get_mut(id) else {
            return;
        };
        let left = tracked.in_flight();
        if let Some(drain) = tracked.drain.take() {
            sink(&Event::Drained {
                service: self.name.clone(),
                slot: tracked.observed.slot,
                id: id.clone(),
                took: now.since(drain.since),
                left,
            });
        }
        if let Some(replica) = &tracked.replica {
            replica.gate.close();
        }
        tracked.stop = Some(Stop::UnderWay);
        tracked.prober = None;
        tracked.since = now;
        tracked.because = Some(because.to_string());
    }

    // === what others see ===

    pub fn view(&self) -> ServiceView {
        let mut replicas: Vec<ReplicaView> = self.replicas.values().map(Tracked::view).collect();
        replicas.sort_by_key(|view| (view.slot, view.generation));
        let mut ready: Vec<Arc<Replica>> = self
            .replicas
            .values()
            .filter(|tracked| tracked.phase() == Phase::Ready)
            .filter_map(|tracked| tracked.replica.clone())
            .collect();
        ready.sort_by_key(|replica| replica.slot);
        let bounds = self.managed.as_ref().map(|managed| managed.spec.bounds);
        let mut because = vec![self.scaled_because.clone()];
        because.extend(self.because.iter().map(Reason::to_string));
        if self.backoff.failures() > 0 {
            because.extend(self.last_failure.iter().map(Reason::to_string));
        }
        because.retain(|reason| !reason.is_empty());
        ServiceView {
            name: self.name.clone(),
            coming: self.is_one_coming(),
            desired: if self.is_fixed() {
                let addresses = self.replicas.values().filter(|tracked| tracked.is_address);
                addresses.count() as u32
            } else {
                self.wanted
            },
            ready,
            cursor: Arc::clone(&self.cursor),
            load: Arc::clone(&self.load),
            replicas,
            min: bounds.map_or(0, |bounds| bounds.min),
            max: bounds.map_or(0, |bounds| bounds.max),
            because,
        }
    }

    /// Whether a request that waits as long as it may is likely to meet a new replica.
    fn is_one_coming(&self) -> bool {
        let Some(managed) = &self.managed else {
            return false;
        };
        let patience = managed.spec.forward.hold_timeout;
        let hopeless = |reason: &Reason| match reason {
            Reason::WaitsForBackoff { left, .. } => *left > patience,
            Reason::NoPort { .. } | Reason::EngineDown => true,
            _ => false,
        };
        let starting = |tracked: &Tracked| tracked.phase() == Phase::Starting;
        let sought = self.wanted > 0 && !self.because.iter().any(hopeless);
        !self.is_fixed() && (sought || self.replicas.values().any(starting))
    }

    /// Sees to it that every replica that runs is asked after its health.
    fn probe_all(&mut self, report: &mpsc::Sender<LoopInput>, sink: &Sink) {
        let Some(managed) = &self.managed else {
            return;
        };
        for tracked in self.replicas.values_mut() {
            if tracked.prober.is_some() || !tracked.is_alive() {
                continue;
            }
            let target = probing::Target {
                service: self.name.clone(),
                id: tracked.observed.id.clone(),
                addresses: tracked.observed.addresses.clone(),
                doubt: Arc::clone(&tracked.doubt),
            };
            tracked.prober = Some(probing::spawn(
                target,
                tracked.healthy_at(),
                Arc::clone(&managed.probe),
                managed.spec.health.clone(),
                report.clone(),
                Arc::clone(sink),
            ));
        }
    }
}
