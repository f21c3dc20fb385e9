//! Promises: what must be true all the time, and once the faults have ceased.

use super::declared::Declared;
use super::state::Stage;
use crate::simulation::book::INTERVAL;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tidegate::service::replica::{Observed, ReplicaId, RunState};
use tidegate::service::snapshot::{RolloutStage, ServiceView};
use tidegate::service::spec::{ServiceName, Slot, SpecHash, Version};
use tokio::time::{Instant, sleep};

/// From the end of all faults until everything is as declared: the longest back-off, slow calls
/// that are still on their way, a start period, and a roll through all replicas.
const HEALED_WITHIN: Duration = Duration::from_secs(240);
/// Requests in flight, slow calls that are still on their way, and the longest pause after a
/// removal that failed.
const GONE_WITHIN: Duration = Duration::from_secs(150);
/// The control loop's own.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);
/// A start that nothing disturbs.
const WOKEN_WITHIN: Duration = Duration::from_secs(5);
/// After that nothing happens any more.
const QUIET_FOR: Duration = Duration::from_secs(30);

impl Stage {
    pub fn judge(&mut self) {
        let mut book = self.book.lock();
        if let Some(life) = &self.life {
            book.judge(&life.reader.load());
        }
        let mut staying: BTreeMap<ServiceName, usize> = BTreeMap::new();
        for replica in self.engine.replicas() {
            if replica.state == RunState::Running && book.stays(&replica.id) {
                *staying.entry(replica.service).or_default() += 1;
            }
        }
        for (service, staying) in staying {
            book.judge_count(&service, staying);
        }
    }

    /// The faults cease; everything comes to be as it was declared, and then nothing happens.
    pub async fn heal(&mut self) {
        self.calm();
        let began = Instant::now();
        loop {
            sleep(Duration::from_secs(1)).await;
            self.release(Instant::now());
            self.requests();
            self.judge();
            if self.book.lock().broken.is_some() {
                return;
            }
            let Err(missing) = self.is_healed() else {
                // Once more after a while: what was right must stay so.
                if self.is_quiet().await {
                    break;
                }
                continue;
            };
            if began.elapsed() > HEALED_WITHIN {
                let why: Vec<String> = self
                    .snapshot()
                    .services
                    .values()
                    .map(|view| format!("{}: {}", view.name, view.because.join("; ")))
                    .collect();
                return self.promise(false, || format!("not healed: {missing} ({why:?})"));
            }
        }
        self.note("-- healed");
    }

    /// A sleeping service wakes at its first request.
    pub async fn wake_all(&mut self) {
        if self.book.lock().broken.is_some() {
            return;
        }
        // Failures from before it fell asleep are forgotten.
        sleep(LONGEST_BACK_OFF).await;
        for (name, service) in self.services.clone() {
            if service.sleep.is_none() || service.fixed {
                continue;
            }
            let view = self.snapshot().service(name).cloned().expect("declared");
            self.promise(view.asleep && view.coming, || {
                format!("{name} is not asked for and does not sleep, or cannot be woken")
            });
            self.note(&format!("-- a request wakes {name}"));
            view.load.note(true);
            let mut reader = self.life.as_ref().expect("alive").reader.clone();
            let wakes = async {
                while reader
                    .load()
                    .service(name)
                    .is_none_or(|it| it.ready.is_empty())
                {
                    let _ = reader.changed().await;
                }
            };
            let woke = tokio::time::timeout(WOKEN_WITHIN, wakes).await;
            self.promise(woke.is_ok(), || format!("{name} does not wake"));
        }
    }

    pub fn calm(&mut self) {
        self.note("-- all faults cease");
        {
            let mut book = self.book.lock();
            book.slow = false;
            book.hanging.clear();
            book.stuck.clear();
        }
        self.health.sick.lock().clear();
        self.engine.reachable(true);
    }

    pub async fn is_quiet(&mut self) -> bool {
        let counts = |stage: &Stage| {
            let book = stage.book.lock();
            (book.actions, book.observations, book.publications_total)
        };
        let (actions, observations, publications) = counts(self);
        // The last holders of requests, and the scaler's last interval.
        let settling = self.held.iter().any(|_| true);
        sleep(QUIET_FOR).await;
        self.release(Instant::now());
        let after = counts(self);
        let healed = self.is_healed();
        if after.0 != actions || healed.is_err() || settling {
            self.note(&format!("-- not quiet yet: {healed:?}"));
            return false;
        }
        let seconds = QUIET_FOR.as_secs();
        self.promise(after.1 - observations <= seconds / 5 + 2, || {
            format!("{} listings while nothing happens", after.1 - observations)
        });
        self.promise(after.2 - publications <= seconds * 3, || {
            format!("{} snapshots while nothing happens", after.2 - publications)
        });
        true
    }

    pub fn is_healed(&self) -> Result<(), String> {
        let snapshot = self.snapshot();
        let names: Vec<&str> = snapshot.services.keys().map(ServiceName::as_str).collect();
        let declared: Vec<&str> = self.services.keys().copied().collect();
        if names != declared {
            return Err(format!("services are {names:?}, declared {declared:?}"));
        }
        let replicas = self.engine.replicas();
        for (name, service) in &self.services {
            let view = snapshot.service(name).expect("just seen");
            let there: Vec<&Observed> = replicas
                .iter()
                .filter(|replica| replica.service.as_str() == *name)
                .collect();
            self.is_as_declared(name, service, view, &there)
                .map_err(|why| format!("{name}: {why}"))?;
        }
        // An engine that no service needs is not spoken to, whatever an earlier life left there.
        let needed = self.services.values().any(|service| !service.fixed);
        let strays: Vec<&Observed> = replicas
            .iter()
            .filter(|replica| {
                let service = self.services.get(replica.service.as_str());
                needed && service.is_none_or(|service| service.fixed)
            })
            .collect();
        if !strays.is_empty() {
            return Err(format!("left behind: {strays:?}"));
        }
        let mut views = snapshot.services.values();
        let is_pulled =
            |view: &&Arc<ServiceView>| view.because.iter().any(|it| it.starts_with("pulling "));
        if let Some(view) = views.find(is_pulled) {
            return Err(format!("{}: {:?}", view.name, view.because));
        }
        let open = self.book.lock().open_starts();
        match open.is_empty() {
            true => Ok(()),
            false => Err(format!("starts without an outcome: {open:?}")),
        }
    }

    pub fn is_as_declared(
        &self,
        name: &'static str,
        service: &Declared,
        view: &ServiceView,
        there: &[&Observed],
    ) -> Result<(), String> {
        let spec = service.spec(name);
        let slots: Vec<Slot> = view.ready.iter().map(|replica| replica.slot).collect();
        let Some(template) = spec.template() else {
            return match (slots.len(), view.replicas.len()) {
                (2, 2) => Ok(()),
                counts => Err(format!("ready and known: {counts:?}")),
            };
        };
        let ids = |ids: &mut dyn Iterator<Item = &ReplicaId>| -> BTreeSet<ReplicaId> {
            ids.cloned().collect()
        };
        let real = ids(&mut there.iter().map(|replica| &replica.id));
        let known = ids(&mut view.replicas.iter().map(|replica| &replica.id));
        let ready = ids(&mut view.ready.iter().map(|replica| &replica.id));
        // Replicas that sleep are paused, or gone.
        let awake = match view.asleep {
            true => ids(&mut there
                .iter()
                .filter(|it| it.state != RunState::Paused)
                .map(|it| &it.id)),
            false => known.clone(),
        };
        if real != known || awake != ready || slots.len() as u32 != view.desired {
            return Err(format!(
                "{real:?} exist, {known:?} are known, {ready:?} ready, {} wanted",
                view.desired
            ));
        }
        // Ports that were somebody else's may be skipped still, others may not.
        let skipped = |slot: &Slot| {
            !slots.contains(slot)
                && !self.book.lock().taken.contains(slot)
                && !self.taken.contains(slot)
        };
        let last = slots.last().copied().unwrap_or(template.first_port);
        let out_of_place = (template.first_port..last).find(skipped);
        if out_of_place.is_some()
            || slots
                .first()
                .is_some_and(|slot| *slot < template.first_port)
        {
            return Err(format!("on {slots:?}, skipped {out_of_place:?}"));
        }
        let hash: SpecHash = template.hash();
        // A rollout that went back, or was told to stay, stays so, also after a restart.
        let newest = there.iter().max_by_key(|replica| replica.generation);
        let made = newest.and_then(|newest| newest.made.as_ref());
        let settled = view.rollout.as_ref().map(|rollout| rollout.stage);
        let gave_up = matches!(settled, Some(RolloutStage::WentBack | RolloutStage::Paused))
            || made.is_some_and(|made| {
                let made_from = serde_json::from_str(&made.template).expect("a template");
                made.declared == hash || Version::of(made_from).is_named_like(template)
            });
        let is_wrong = |replica: &&&Observed| replica.spec != hash && !gave_up;
        if let Some(wrong) = there
            .iter()
            .find(|replica| is_wrong(replica) || replica.state != RunState::Running && !view.asleep)
        {
            return Err(format!("wrong: {wrong:?}"));
        }
        // Without requests for two intervals, the fewest.
        let fewest = match service.sleep {
            Some(_) => 0,
            None => (service.min + service.spare).min(service.max),
        };
        if (view.load.counted() > 0 || fewest == 0) && view.desired != fewest {
            return Err(format!("{} wanted after {INTERVAL:?} idle", view.desired));
        }
        Ok(())
    }

    /// Everything goes, and is gone.
    pub async fn leave(&mut self) {
        if self.book.lock().broken.is_some() {
            return;
        }
        self.note("-- everything is removed");
        let began = Instant::now();
        let needed = self.services.values().any(|service| !service.fixed);
        if self.book.lock().rng.percent(50) {
            self.book.lock().configuring(BTreeMap::new());
            let life = self.life.as_ref().expect("alive");
            let removal = life.handle.remove_all(2 * GONE_WITHIN);
            if tokio::time::timeout(GONE_WITHIN, removal).await.is_err() {
                return self.promise(false, || "remove_all does not end".to_owned());
            }
        } else {
            // A configuration without containers is not looked after, so this life must have seen
            // once what earlier ones left.
            sleep(QUIET_FOR).await;
            self.services.clear();
            self.configure().await;
            sleep(GONE_WITHIN).await;
        }
        let strangers = self.engine.strangers().len();
        self.promise(strangers == self.strangers, || {
            format!("{strangers} of {} strangers are left", self.strangers)
        });
        let mut left = self.engine.replicas();
        // Calls of an earlier life may come through when nobody looks any more.
        left.retain(|replica| {
            let known = self.book.lock().replicas[&replica.id].clone();
            needed && (known.life == self.book.lock().life || known.made < began)
        });
        self.promise(left.is_empty(), || format!("left behind: {left:?}"));
    }
}
