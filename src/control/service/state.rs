//! One service under control: what is wanted, what was seen, what is under way.

use crate::control::declared::Managed;
use crate::control::image_note::Images;
use crate::control::input::{Input as LoopInput, Sink};
use crate::control::permits::Permits;
use crate::control::probing::{self, Verdict};
use crate::control::service::fleet::image::Image;
use crate::control::service::fleet::starts::Start;
use crate::control::service::fleet::tracked::{
    Drain, Fall, Health, Sleep, Stop, Tracked, ailment_of,
};
use crate::control::service::wish::checks::Check;
use crate::control::service::wish::rollout::{Remedy, Rollout};
use crate::engine::EngineError;
use crate::plan::backoff::{Backoff, SETTLED_AFTER};
use crate::plan::scaler::learn;
use crate::plan::window::Window;
use crate::plan::{Input, Reason, Rest, Seen};
use crate::service::cursor::Cursor;
use crate::service::decided::Decisions;
use crate::service::event::Event;
use crate::service::load::ServiceLoad;
use crate::service::replica::{Ailment, Observed, Phase, ReplicaId, RunState};
use crate::service::snapshot::LastWords;
use crate::service::spec::{ServiceName, Slot, Source, SpecHash, Template, Version};
use crate::service::store::Writer;
use crate::service::time::Moment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// In place of the time at which a port was found taken: nothing that runs is moved to it, and
/// the next replica that is missing gets it.
const FREE_WHEN_NEEDED: Moment = Moment::from_secs(0);
/// Lines of what a replica said last that are logged; `deploy` shows more.
const WORDS_LOGGED: usize = 3;
/// For containers whose service nobody configures any more, so nobody says otherwise.
const ORPHAN_GRACE: Duration = Duration::from_secs(10);

/// A service under control.
pub(in crate::control) struct State {
    pub(in crate::control) name: ServiceName,
    /// `None` once the service left the configuration.
    pub(in crate::control) managed: Option<Managed>,
    /// What the configuration says that containers are made from.
    pub(in crate::control) declared: Option<Template>,
    /// What they are made from: the same, unless it was deployed by hand, or failed.
    pub(in crate::control) version: Option<Version>,
    pub(in crate::control) rollout: Option<Rollout>,
    /// Of versions that are being replaced, or gone back to.
    pub(in crate::control) former_checks: BTreeMap<SpecHash, Check>,
    /// How long the last start took until it was ready.
    pub(in crate::control) started_in: Duration,
    /// How long starts take, each less the further back it lies; zero: none was seen.
    pub(in crate::control) start_time: Duration,
    pub(in crate::control) stop_grace_period: Duration,
    pub(in crate::control) load: Arc<ServiceLoad>,
    pub(in crate::control) cursor: Arc<Cursor>,
    pub(in crate::control) window: Window,
    pub(in crate::control) wanted: u32,
    /// How many its policy wants, before any are added to spare, and while it sleeps.
    pub(in crate::control) policy: u32,
    pub(in crate::control) rest: Rest,
    /// Requests until its rest was looked at last.
    pub(in crate::control) asked_before: u64,
    /// What was asked for by hand instead of what the scaler wants.
    pub(in crate::control) by_hand: Option<u32>,
    pub(in crate::control) scaled_because: String,
    pub(in crate::control) decisions: Decisions,
    pub(in crate::control) backoff: Backoff,
    /// Counts while `backoff` does: a replica that never came to be is in no list.
    pub(in crate::control) last_failure: Option<Reason>,
    pub(in crate::control) last_words: Option<Arc<LastWords>>,
    /// Ports that were somebody else's, and when.
    pub(in crate::control) taken: BTreeMap<Slot, Moment>,
    pub(in crate::control) starting: BTreeMap<Slot, Start>,
    /// When its last start began.
    pub(in crate::control) started_last: Moment,
    pub(in crate::control) image: Image,
    pub(in crate::control) replicas: BTreeMap<ReplicaId, Tracked>,
    pub(in crate::control) because: Vec<Reason>,
}

impl State {
    pub(in crate::control) fn new(
        managed: Managed,
        writer: &Writer,
        now: Moment,
        sink: &Sink,
    ) -> State {
        State::orphan(managed.spec.name.clone(), writer).reconfigured(
            managed,
            Images::Keep,
            now,
            sink,
        )
    }

    /// A service that exists only as containers left behind.
    pub(in crate::control) fn orphan(name: ServiceName, writer: &Writer) -> State {
        State {
            backoff: Backoff::new(name.as_str()),
            last_failure: None,
            last_words: None,
            name,
            managed: None,
            declared: None,
            version: None,
            rollout: None,
            former_checks: BTreeMap::new(),
            started_in: Duration::ZERO,
            start_time: Duration::ZERO,
            stop_grace_period: ORPHAN_GRACE,
            load: Arc::new(writer.new_load()),
            cursor: Arc::new(Cursor::default()),
            window: Window::default(),
            wanted: 0,
            policy: 0,
            rest: Rest::Awake {
                idle_since: Moment::default(),
            },
            asked_before: 0,
            by_hand: None,
            scaled_because: String::new(),
            decisions: Decisions::default(),
            taken: BTreeMap::new(),
            starting: BTreeMap::new(),
            started_last: Moment::default(),
            image: Image::Unknown,
            replicas: BTreeMap::new(),
            because: Vec::new(),
        }
    }

    pub(in crate::control) fn reconfigured(
        mut self,
        managed: Managed,
        images: Images,
        now: Moment,
        sink: &Sink,
    ) -> State {
        let asked = self.check();
        let made_from = self.version.as_ref().map(|version| version.hash.clone());
        if self.managed.is_none() {
            self.policy = managed.spec.bounds.awake().min;
            self.wanted = self.policy.saturating_add(managed.spec.spare);
            self.scaled_because = match &managed.spec.source {
                Source::Addresses(_) => "the addresses are fixed".to_owned(),
                _ => "the minimum, until traffic asks for more".to_owned(),
            };
            self.rest = match managed.spec.sleep {
                Some(_) => Rest::Asleep {
                    since: now,
                    after: Duration::ZERO,
                },
                None => Rest::Awake { idle_since: now },
            };
        }
        self.stop_grace_period = managed.spec.stop_grace_period;
        let bounds = managed.spec.bounds.awake();
        let sleeps = managed.spec.sleep.is_some() && self.rest.is_asleep();
        self.policy = bounds.clamp(self.policy);
        self.wanted = if sleeps { 0 } else { bounds.clamp(self.wanted) };
        self.by_hand = self.by_hand.map(|count| bounds.clamp(count));
        if let Some(rollout) = &mut self.rollout {
            rollout.update(&managed.spec.update);
        }
        let declared = managed.spec.template().cloned();
        let changed = match (&self.declared, &declared) {
            (Some(old), Some(new)) => old.hash() != new.hash(),
            (old, new) => old.is_some() != new.is_some(),
        };
        self.managed = Some(managed);
        let first_port_moved = self.declared.as_ref().map(|template| template.first_port)
            != declared.as_ref().map(|template| template.first_port);
        self.declared = declared;
        if changed || first_port_moved {
            self.taken.clear();
        }
        match (&self.declared, &self.version) {
            (None, _) => {
                self.version = None;
                self.rollout = None;
            }
            (Some(declared), None) => self.make_from(Version::of(declared.clone())),
            (Some(declared), Some(version)) if changed || images == Images::FromFile => {
                let to = images.under(version, declared);
                if version.is_named_like(&to.template) {
                    let manual = to.manual;
                    self.make_from(Version {
                        manual,
                        ..version.clone()
                    });
                } else {
                    self.roll_to(to, now, sink);
                }
            }
            (Some(_), Some(version)) => self.make_from(version.clone()),
        }
        self.recheck(asked, made_from);
        self
    }

    pub(in crate::control) fn remove(&mut self) {
        let grace = self.stop_grace_period;
        self.keep_addresses(|_| false, grace);
        self.managed = None;
        self.rollout = None;
        self.wanted = 0;
        self.scaled_because = Reason::Removed.to_string();
    }

    /// No container of it is left, and none is under way.
    pub(in crate::control) fn is_empty(&self) -> bool {
        self.starting.is_empty() && self.replicas.values().all(|tracked| tracked.is_address)
    }

    pub(in crate::control) fn needs_engine(&self) -> bool {
        self.runs_containers() || !self.is_empty()
    }

    pub(in crate::control) fn runs_containers(&self) -> bool {
        let managed = self.managed.as_ref();
        managed.is_some_and(|managed| managed.spec.template().is_some())
    }

    /// Whether there is anything to plan: for containers of a service that has addresses now,
    /// not before one of these is ready to take over.
    pub(in crate::control) fn is_planned(&self) -> bool {
        let takes_over = |tracked: &Tracked| tracked.is_address && tracked.phase() == Phase::Ready;
        !self.is_fixed() || !self.is_empty() && self.replicas.values().any(takes_over)
    }

    /// Left the configuration, and nothing of it is left.
    pub(in crate::control) fn is_over(&self) -> bool {
        self.managed.is_none() && self.is_empty()
    }

    /// Whether something was begun that only this process knows of.
    pub(in crate::control) fn is_busy(&self) -> bool {
        let busy = |tracked: &Tracked| {
            matches!(tracked.stop, Some(Stop::UnderWay { .. }))
                || matches!(tracked.sleep, Some(Sleep::FallingAsleep | Sleep::Waking))
        };
        self.starts_under_way() > 0 || self.replicas.values().any(busy)
    }

    // === what happened ===

    /// Takes over what the engine listed. `sequence` tells when the listing began, `first` that
    /// Tidegate itself has just begun.
    pub(in crate::control) fn observed(
        &mut self,
        seen: Vec<Observed>,
        sequence: u64,
        first: bool,
        report: &mpsc::Sender<LoopInput>,
        sink: &Sink,
        now: Moment,
    ) {
        let mut fallen = self.miss(&seen, now, sink);
        for observed in seen {
            fallen.extend(self.meet(observed, sequence, first, now, sink));
        }
        for fall in fallen {
            self.fell(fall, now, sink);
        }
        if first {
            self.adopt_version(now, sink);
            self.want_what_runs(now);
        }
        self.forget_starts(sequence, sink, now);
        self.forget_checks();
        self.probe_all(report, sink);
    }

    /// Forgets the replicas that are not there any more.
    fn miss(&mut self, seen: &[Observed], now: Moment, sink: &Sink) -> Vec<Fall> {
        let mut fallen: Vec<Fall> = Vec::new();
        self.replicas.retain(|id, tracked| {
            let there = seen.iter().any(|observed| observed.id == *id);
            // One that is being stopped stays until the engine says that it is done.
            if there || tracked.is_address || matches!(tracked.stop, Some(Stop::UnderWay { .. })) {
                return true;
            }
            let fall = tracked.fail(&self.name, Ailment::Exited { code: None }, now, sink);
            // Somebody removed it, which says nothing about its image.
            fallen.extend(fall.map(Fall::without_blame));
            if tracked.is_stuck(now) {
                self.taken.insert(tracked.observed.slot, FREE_WHEN_NEEDED);
            }
            tracked.dismiss(Duration::ZERO);
            sink(&Event::Stopped {
                service: self.name.clone(),
                slot: tracked.observed.slot,
                id: id.clone(),
            });
            false
        });
        fallen
    }

    /// Takes over what the engine says of one replica, known or new.
    fn meet(
        &mut self,
        mut observed: Observed,
        sequence: u64,
        first: bool,
        now: Moment,
        sink: &Sink,
    ) -> Option<Fall> {
        let may_sleep = self.sleep_terms().is_some();
        let start = self.starting.get_mut(&observed.slot);
        let start = start.filter(|start| start.generation == observed.generation);
        // A start of ours passes through this state, and is not half-made; what is left of one
        // that failed may be gone by now.
        if let Some(start) = &start
            && !start.is_surely_shown(sequence)
            && (start.failed || observed.state == RunState::Created)
            && !self.replicas.contains_key(&observed.id)
        {
            return None;
        }
        if observed.state == RunState::Running {
            // It is ours, then: a start came through whose answer was lost.
            self.taken.remove(&observed.slot);
        }
        let mut count_failure = true;
        let mut found_asleep = false;
        let tracked = match self.replicas.get_mut(&observed.id) {
            Some(tracked) => {
                found_asleep = tracked.hear_of_pause(&mut observed, sequence, may_sleep, now);
                tracked.look_again(observed, now);
                tracked
            }
            None => {
                let mut tracked = Tracked::new(observed.clone(), now);
                found_asleep |= tracked.hear_of_pause(&mut observed, sequence, may_sleep, now);
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
        if found_asleep {
            tracked.tell_asleep(&self.name, sink);
        }
        let sleeps = tracked.is_asleep();
        let ailment = ailment_of(&tracked.observed.state);
        let ailment = ailment.filter(|it| !(sleeps && *it == Ailment::Paused))?;
        let fall = tracked.fail(&self.name, ailment, now, sink);
        fall.filter(|_| count_failure)
    }

    pub(in crate::control) fn probed(
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
        if tracked.is_asleep() {
            // It was said before.
            return;
        }
        let ailment = match verdict {
            Verdict::Healthy { address } => {
                // What was said before it was told to stop, or had other addresses, comes late.
                let late = tracked.stop.is_some() || !tracked.observed.addresses.contains(&address);
                let may_recover = tracked.is_address || tracked.is_unwell();
                if !late && (may_recover || !matches!(tracked.health, Health::Failed(_))) {
                    let is_new = self.version.as_ref().map(|version| &version.hash)
                        == Some(&tracked.observed.spec);
                    if let Some(began) = tracked.began {
                        self.started_in = now.since(began);
                        self.start_time = learn(self.start_time, self.started_in);
                        if let Some(rollout) = self.rollout.as_mut().filter(|_| is_new) {
                            rollout.ready(now);
                        }
                    }
                    tracked.ready(&self.name, address, &self.load, writer, now, sink);
                }
                return;
            }
            Verdict::NotYet {
                after,
                why,
                is_slow,
            } => {
                tracked.not_yet(&self.name, is_slow.then_some(after), why, sink);
                return;
            }
            Verdict::Unhealthy { why } => Ailment::Unhealthy { why },
            Verdict::NeverHealthy { after, why } => Ailment::NeverHealthy { after, why },
        };
        if let Some(fall) = tracked.fail(&self.name, ailment, now, sink) {
            self.fell(fall, now, sink);
        }
    }

    /// Draws the conclusions from a failure, for the brake and for what is being rolled out.
    pub(in crate::control) fn fell(&mut self, fall: Fall, now: Moment, sink: &Sink) {
        let Fall {
            id,
            slot,
            generation,
            spec,
            why,
            ready_since,
            blames_image,
        } = fall;
        if blames_image {
            self.slow_down(generation, slot, why.clone(), now);
        }
        let is_new = self.version.as_ref().is_some_and(|new| new.hash == spec);
        let Some(rollout) = self.rollout.as_mut().filter(|_| is_new) else {
            return;
        };
        let is_watched = ready_since.is_some_and(|since| rollout.watches(since, now));
        if !blames_image && !is_watched {
            return;
        }
        let remedy = rollout.failure(id, slot, &why, self.wanted, now);
        if remedy == Remedy::None {
            return;
        }
        let (from, to) = (rollout.from().clone(), rollout.to().to_string());
        sink(&Event::RolloutFailed {
            service: self.name.clone(),
            to,
            why: rollout.failed_with().unwrap_or_default().to_owned(),
            back_to: (remedy == Remedy::GoBack).then(|| from.to_string()),
        });
        // The way back is not held up by what failed on the way there.
        self.backoff = Backoff::new(self.name.as_str());
        self.make_from(from);
    }

    /// Notes a failure for the brake.
    pub(in crate::control) fn slow_down(
        &mut self,
        generation: u64,
        slot: Slot,
        why: String,
        now: Moment,
    ) {
        self.backoff.failed(generation, now);
        self.last_failure = Some(Reason::LastFailure { slot, why });
    }

    pub(in crate::control) fn stopped(
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
                if tracked.is_stuck(now) {
                    self.taken.insert(slot, FREE_WHEN_NEEDED);
                }
                tracked.dismiss(Duration::ZERO);
                self.replicas.remove(&id);
                sink(&Event::Stopped { service, slot, id });
            }
            Err(error) => {
                let why = error.to_string();
                if tracked.stop_failed(why.clone(), now) {
                    sink(&Event::StopFailed {
                        service,
                        slot,
                        id,
                        why,
                    });
                }
            }
        }
    }

    /// Closes connections to replicas that nobody uses any more.
    pub(in crate::control) fn sweep(&self) {
        let replicas = self.replicas.values();
        for replica in replicas.filter_map(|tracked| tracked.replica.as_ref()) {
            replica.connections.idle_pool.sweep();
        }
    }

    // === what is decided ===

    pub(in crate::control) fn seen(&mut self, now: Moment) -> Vec<Seen> {
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
                current: !tracked.is_to_go && self.is_current(&tracked.observed.spec),
                condition: tracked.condition(now),
            })
            .collect()
    }

    pub(in crate::control) fn containers(&self) -> impl Iterator<Item = &Tracked> {
        let replicas = self.replicas.values();
        replicas.filter(|tracked| !tracked.is_address)
    }

    pub(in crate::control) fn input<'a>(
        &'a self,
        replicas: &'a [Seen],
        permits: &Permits,
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
            hanging: self.hanging(now),
            image: self.image(),
            taken: self.taken.keys().copied().collect(),
            first_slot: template.map_or(0, |template| template.first_port),
            wanted: self
                .managed
                .as_ref()
                .map(|_| template.map_or(0, |_| self.wanted)),
            depth: self.depth(now),
            stop_grace_period: self.stop_grace_period,
            roll: self.roll(),
            check_round: self.check_round(),
            backoff: &self.backoff,
            starts_left: permits.share(),
            reserve: permits.has_reserve(),
            engine_up,
            now,
        }
    }

    /// When something is due that no event tells of: a failed stop, again; a request for those
    /// that are the least bad; the end of a rollout.
    pub(in crate::control) fn next_turn(&self, now: Moment) -> Option<Moment> {
        let retries = self
            .replicas
            .values()
            .filter_map(|tracked| match tracked.stop {
                Some(Stop::RetryAt(at) | Stop::UnderWay { hangs_at: at }) => Some(at),
                None => None,
            });
        let unwell = self.replicas.values().filter(|tracked| tracked.is_unwell());
        let patience = self.patience();
        let serves = unwell.map(|tracked| tracked.since + patience);
        let rollout = self.rollout.as_ref().and_then(|rollout| rollout.wake(now));
        let turns = retries.chain(serves).chain(rollout).chain(self.hangs_at());
        turns.filter(|at| *at > now).min()
    }

    // === what is done about it ===

    pub(in crate::control) fn drain(
        &mut self,
        id: &ReplicaId,
        because: Reason,
        now: Moment,
        sink: &Sink,
    ) {
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

    pub(in crate::control) fn take_back(&mut self, id: &ReplicaId, because: Reason, sink: &Sink) {
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

    pub(in crate::control) fn is_first_stop(&self, id: &ReplicaId) -> bool {
        let tracked = self.replicas.get(id);
        tracked.is_some_and(|tracked| tracked.stop_failures == 0)
    }

    /// Returns the slot of what is stopped.
    pub(in crate::control) fn stopping(
        &mut self,
        id: &ReplicaId,
        because: &Reason,
        grace: Duration,
        now: Moment,
        sink: &Sink,
    ) -> Option<Slot> {
        let tracked = self.replicas.get_mut(id)?;
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
        tracked.sleep = None;
        tracked.stop_begins(grace, now);
        tracked.prober = None;
        tracked.since = now;
        tracked.because = Some(because.to_string());
        Some(tracked.observed.slot)
    }

    /// What a replica that failed has written before it is removed.
    pub(in crate::control) fn said_last(
        &mut self,
        slot: Slot,
        id: &ReplicaId,
        words: Vec<String>,
        sink: &Sink,
    ) {
        if words.is_empty() {
            return;
        }
        if let Some(rollout) = &mut self.rollout {
            rollout.said_last(id, &words);
        }
        self.last_words = Some(Arc::new(LastWords {
            slot,
            lines: words.clone(),
        }));
        let last = words.len().saturating_sub(WORDS_LOGGED);
        sink(&Event::SaidLast {
            service: self.name.clone(),
            slot,
            id: id.clone(),
            words: words[last..].to_vec(),
        });
    }

    /// Sees to it that every replica that runs is asked after its health.
    pub(in crate::control) fn probe_all(&mut self, report: &mpsc::Sender<LoopInput>, sink: &Sink) {
        let Some(check) = self.check() else {
            return;
        };
        for tracked in self.replicas.values_mut() {
            if tracked.prober.is_some() || !tracked.is_alive() {
                continue;
            }
            let former = self.former_checks.get(&tracked.observed.spec);
            let Check { probe, timing } = former.unwrap_or(&check).clone();
            let target = probing::Target {
                service: self.name.clone(),
                id: tracked.observed.id.clone(),
                addresses: tracked.observed.addresses.clone(),
                doubt: Arc::clone(&tracked.doubt),
            };
            tracked.prober = Some(probing::spawn(
                target,
                tracked.healthy_at(),
                probe,
                timing,
                report.clone(),
                Arc::clone(sink),
            ));
        }
    }
}
