//! The wish: the declared service, the version that its replicas are made from, and the way from
//! one version to the next.

mod checks;
mod found;
mod rollout;

pub use checks::{Check, Checks, Rechecked};
pub use found::{changed_besides_image, in_use, version_of};
pub use rollout::{Remedy, Rollout, RolloutProgress};

use super::fleet::ReplicaFailure;
use crate::control::declared::Managed;
use crate::control::image_note::{ImageNote, Images};
use crate::control::turn::Turn;
use crate::plan::Roll;
use crate::plugin::Scaler;
use crate::service::event::Event;
use crate::service::replica::ReplicaId;
use crate::service::snapshot::RolloutView;
use crate::service::spec::{
    ServiceName, SleepTerms, Source, Spec, SpecHash, Template, Update, Version,
};
use crate::service::time::Moment;
use std::sync::Arc;
use std::time::Duration;

/// For containers whose service nobody configures any more, so nobody says otherwise.
const ORPHAN_GRACE: Duration = Duration::from_secs(10);

pub struct Wish {
    /// `None` once the service left the configuration.
    managed: Option<Managed>,
    /// Template that the configuration declares.
    declared: Option<Template>,
    /// Version in use: the declared one, unless it was deployed by hand, or failed.
    version: Option<Version>,
    rollout: Option<Rollout>,
    checks: Checks,
    stop_grace_period: Duration,
}

/// Consequence of a change of the configuration.
pub enum VersionChange {
    /// No containers at all.
    Nothing,
    /// The version in use, perhaps under another record.
    Same(Version),
    /// Another one, with a rollout.
    Roll(Version),
}

impl Default for Wish {
    fn default() -> Wish {
        Wish {
            managed: None,
            declared: None,
            version: None,
            rollout: None,
            checks: Checks::default(),
            stop_grace_period: ORPHAN_GRACE,
        }
    }
}

impl Wish {
    // === the configuration ===

    pub fn is_declared(&self) -> bool {
        self.managed.is_some()
    }

    pub fn spec(&self) -> Option<&Arc<Spec>> {
        self.managed.as_ref().map(|managed| &managed.spec)
    }

    pub fn scaler(&self) -> Option<&Arc<dyn Scaler>> {
        self.managed.as_ref()?.scaler.as_ref()
    }

    pub fn declared(&self) -> Option<&Template> {
        self.declared.as_ref()
    }

    pub fn sleep_terms(&self) -> Option<&SleepTerms> {
        self.spec()?.sleep.as_ref()
    }

    pub fn stop_grace_period(&self) -> Duration {
        self.stop_grace_period
    }

    /// Somebody else runs its replicas.
    pub fn is_run_by_others(&self) -> bool {
        self.is_declared() && !self.runs_containers()
    }

    pub fn runs_containers(&self) -> bool {
        self.spec().is_some_and(|spec| spec.template().is_some())
    }

    /// Takes over what the configuration declares now. Returns whether other containers are
    /// asked for, or other ports.
    pub fn declare(&mut self, managed: Managed, images: Images) -> (VersionChange, bool) {
        self.stop_grace_period = managed.spec.stop_grace_period;
        if let Some(rollout) = &mut self.rollout {
            rollout.update(&managed.spec.update);
        }
        let declared = managed.spec.template().cloned();
        self.managed = Some(managed);
        let changed = match (&self.declared, &declared) {
            (Some(old), Some(new)) => old.hash() != new.hash(),
            (old, new) => old.is_some() != new.is_some(),
        };
        let first_port = |template: &Option<Template>| template.as_ref().map(|it| it.first_port);
        let moved = changed || first_port(&self.declared) != first_port(&declared);
        self.declared = declared;
        let next = match (&self.declared, &self.version) {
            (None, _) => {
                self.version = None;
                self.rollout = None;
                VersionChange::Nothing
            }
            (Some(declared), None) => VersionChange::Same(Version::of(declared.clone())),
            (Some(declared), Some(version)) if changed || images == Images::FromFile => {
                let to = images.under(version, declared);
                match version.is_named_like(&to.template) {
                    true => VersionChange::Same(Version {
                        manual: to.manual,
                        ..version.clone()
                    }),
                    false => VersionChange::Roll(to),
                }
            }
            (Some(_), Some(version)) => VersionChange::Same(version.clone()),
        };
        (next, moved)
    }

    /// The service left the configuration.
    pub fn end(&mut self) {
        self.managed = None;
        self.rollout = None;
        self.checks.end();
    }

    // === health checks ===

    pub fn check_of(&self, version: &SpecHash) -> Option<&Check> {
        self.checks.of(version)
    }

    /// After a change of the configuration; containers were made from `before` until then.
    pub fn recheck(&mut self, before: Option<SpecHash>) -> Rechecked {
        let Some(check) = self.managed.as_ref().map(Check::from) else {
            return Rechecked::default();
        };
        let now = self.version.as_ref().map(|version| &version.hash);
        self.checks.change(check, before, now)
    }

    /// Forgets the checks of versions that nothing is made from any more.
    pub fn forget_checks(&mut self, is_made_from: impl Fn(&SpecHash) -> bool) {
        let rollout = self.rollout.as_ref().filter(|rollout| !rollout.is_over());
        let version = self.version.as_ref();
        self.checks.keep(|hash| {
            version.is_some_and(|it| it.hash == *hash)
                || rollout.is_some_and(|rollout| rollout.from().hash == *hash)
                || is_made_from(hash)
        });
    }

    /// A cause that all replicas share shows on each of them within this time.
    pub fn check_round(&self) -> Duration {
        self.spec().map_or(Duration::ZERO, |spec| {
            spec.health.interval + spec.health.timeout
        })
    }

    // === the version ===

    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    pub fn is_version(&self, hash: &SpecHash) -> bool {
        self.version.as_ref().is_some_and(|it| it.hash == *hash)
    }

    pub fn is_current(&self, spec: &SpecHash) -> bool {
        let paused = self.rollout.as_ref().filter(|rollout| rollout.is_paused());
        self.is_version(spec) || paused.is_some_and(|rollout| rollout.to().hash == *spec)
    }

    /// Containers are made from this from now on.
    pub fn make_from(&mut self, version: Version) {
        let (Some(managed), Some(declared)) = (&mut self.managed, &self.declared) else {
            return;
        };
        let template = Template {
            first_port: declared.first_port,
            ..version.template.clone()
        };
        let spec = Spec {
            source: Source::Container(template),
            alias: Some(version.hash.clone()),
            declared: Some(declared.hash()),
            manual: version.manual.clone(),
            ..Spec::clone(&managed.spec)
        };
        managed.spec = Arc::new(spec);
        self.version = Some(version);
    }

    /// Template and spec of a deploy of this image, or of the configured one.
    pub fn to_deploy(&self, image: Option<String>) -> Option<(Template, Spec)> {
        let (spec, declared) = (self.spec()?, self.declared.as_ref()?);
        let mut template = declared.clone();
        if let Some(image) = image {
            template.image = image;
        }
        Some((template, Spec::clone(spec)))
    }

    /// Says when a change of the file left another image, or left one deployed by hand.
    pub fn image_note(&self, before: &Version, turn: &Turn) -> Option<ImageNote> {
        let (spec, declared) = (self.spec()?, self.declared.as_ref()?);
        let version = self.version.as_ref()?;
        ImageNote::of(&spec.name, before, version, declared, turn.clock)
    }

    /// The file's image, where another one is in use.
    pub fn configured_image(&self) -> Option<String> {
        let (declared, version) = (self.declared.as_ref()?, self.version.as_ref()?);
        let differs = declared.image != version.template.image;
        differs.then(|| declared.image.clone())
    }

    // === the rollout ===

    pub fn is_rolling(&self) -> bool {
        self.rollout.as_ref().is_some_and(|it| !it.is_over())
    }

    /// There was one since the last change of the configuration, over or not.
    pub fn has_rollout(&self) -> bool {
        self.rollout.is_some()
    }

    /// Ends the rollout under way. Returns the version to go back to: what is under way has not
    /// proven itself.
    pub fn give_up_rollout(&mut self) -> Option<Version> {
        match self.rollout.take() {
            Some(rollout) if !rollout.is_over() => Some(rollout.from().clone()),
            _ => self.version.clone(),
        }
    }

    pub fn roll(&mut self, from: Version, to: Version, turn: &Turn) {
        let Some(spec) = self.spec() else {
            return;
        };
        turn.emit(Event::Rolling {
            service: spec.name.clone(),
            from: from.to_string(),
            to: to.to_string(),
            changed: changed_besides_image(&from, &to),
        });
        self.rollout = Some(Rollout::new(from, to, spec.update.clone(), turn.now));
    }

    /// A replica that was made from `version` is ready.
    pub fn ready(&mut self, version: &SpecHash, now: Moment) {
        let is_new = self.is_version(version);
        if let Some(rollout) = self.rollout.as_mut().filter(|_| is_new) {
            rollout.ready(now);
        }
    }

    /// A replica failed. Returns the version to go back to, when that is one failure too many.
    pub fn failed(&mut self, failure: ReplicaFailure, wanted: u32, turn: &Turn) -> Option<Version> {
        let service = self.spec()?.name.clone();
        let is_new = self.is_version(&failure.spec);
        let rollout = self.rollout.as_mut().filter(|_| is_new)?;
        let ready_since = failure.ready_since;
        let is_watched = ready_since.is_some_and(|since| rollout.watches(since, turn.now));
        if !failure.blames_image && !is_watched {
            return None;
        }
        let remedy = rollout.failure(failure.id, failure.slot, &failure.why, wanted, turn.now);
        if remedy == Remedy::None {
            return None;
        }
        let from = rollout.from().clone();
        turn.emit(Event::RolloutFailed {
            service,
            to: rollout.to().to_string(),
            why: rollout.failed_with().unwrap_or_default().to_owned(),
            back_to: (remedy == Remedy::GoBack).then(|| from.to_string()),
        });
        Some(from)
    }

    /// The last lines of a replica that failed.
    pub fn read_last_logs(&mut self, id: &ReplicaId, lines: &[String]) {
        if let Some(rollout) = &mut self.rollout {
            rollout.read_last_logs(id, lines);
        }
    }

    /// Notices when everything is new, or old again.
    pub fn follow(&mut self, service: &ServiceName, progress: RolloutProgress, turn: &Turn) {
        let Some(rollout) = &mut self.rollout else {
            return;
        };
        if !rollout.follow(progress, turn.now) {
            return;
        }
        let service = service.clone();
        let view = rollout.view(progress, turn.now);
        turn.emit(match view.why {
            None => Event::RolledOut {
                service,
                to: view.to,
                took: view.took,
            },
            Some(_) => Event::RolledBack {
                service,
                to: view.from,
            },
        });
    }

    pub fn rollout_view(&self, progress: RolloutProgress, now: Moment) -> Option<RolloutView> {
        let rollout = self.rollout.as_ref()?;
        Some(rollout.view(progress, now))
    }

    /// When the rollout may end by itself.
    pub fn rollout_wake(&self, now: Moment) -> Option<Moment> {
        self.rollout.as_ref()?.wake(now)
    }

    /// How old replicas make way, for the planner.
    pub fn roll_terms(&self) -> Roll {
        let default = Update::default();
        let update = self.spec().map_or(&default, |spec| &spec.update);
        Roll {
            parallelism: update.parallelism,
            order: update.order,
            not_before: self.rollout.as_ref().and_then(Rollout::not_before),
        }
    }
}
