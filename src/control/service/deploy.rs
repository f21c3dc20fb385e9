//! The way of a service from one version to another.

use super::fleet::{ReplicaFailure, Tracked};
use super::state::ServiceState;
use super::wish::{RolloutProgress, in_use, version_of};
use crate::control::command::Deployed;
use crate::control::turn::Turn;
use crate::service::replica::{Observed, ReplicaId};
use crate::service::spec::{ManualDeploy, Slot, Spec, Template, Version};
use crate::service::time::Moment;

impl ServiceState {
    /// Template and spec of a deploy of this image, or of the configured one.
    pub fn to_deploy(&self, image: Option<String>) -> Result<(Template, Spec), String> {
        self.wish.to_deploy(image).ok_or_else(|| {
            let why = "has fixed `addresses`: there are no containers of it to deploy";
            format!("`{}` {why}", self.name)
        })
    }

    /// Rolls out what is made from this template.
    pub fn deploy(&mut self, template: Template, turn: &Turn) -> Deployed {
        // The file may have changed while the image was resolved.
        let declared = self.wish.declared().unwrap_or(&template).clone();
        let to = Version {
            manual: Some(ManualDeploy {
                file_image: declared.image.clone(),
                at: turn.clock.as_secs(),
            }),
            ..Version::of(Template {
                image: template.image.clone(),
                image_id: template.image_id.clone(),
                ..declared.clone()
            })
        };
        let name = to.to_string();
        let runs = self.runs(&to);
        if runs && !self.wish.is_rolling() {
            // The service went back to this version, which is wanted by now.
            if let Some(version) = self.wish.version().cloned()
                && version.manual.is_none()
                && version.template.image != declared.image
            {
                let manual = to.manual;
                self.wish.make_from(Version { manual, ..version });
            }
            return Deployed::Runs(name);
        }
        if !runs {
            self.roll_to(to, turn);
        }
        Deployed::Begun(name)
    }

    /// Whether every container runs this image already.
    fn runs(&self, to: &Version) -> bool {
        self.wish.version().is_some_and(|version| {
            let same_image = |observed: &Observed| {
                observed.spec == version.hash && observed.image == to.template.image_id
            };
            let mut containers = self.fleet.ours().peekable();
            let some = containers.peek().is_some();
            version.hash == to.hash
                || version.is_named_like(&to.template)
                    && some
                    && containers.all(|tracked| same_image(tracked.observed()))
        })
    }

    /// Has one replica replaced: another one starts first, and then takes its port.
    pub fn replace(&mut self, slot: Slot) -> Result<ReplicaId, String> {
        let name = &self.name;
        if self.wish.is_run_by_others() {
            let hint = "remove the address from the file and reload";
            return Err(format!("`{name}` has fixed `addresses`; {hint}"));
        }
        self.fleet.replace(slot).map_err(|slots| {
            if slots.is_empty() {
                return format!("`{name}` has no replica at all");
            }
            let slots: Vec<String> = slots.iter().map(Slot::to_string).collect();
            format!(
                "`{name}` has no replica on {slot}; it has some on {}",
                slots.join(", ")
            )
        })
    }

    pub(super) fn roll_to(&mut self, to: Version, turn: &Turn) {
        let before = self.wish.give_up_rollout();
        self.fleet.release_brake();
        if let Some(before) = before
            && self.wish.is_declared()
            && (self.fleet.ours().next().is_some() || self.is_asleep())
            && before.hash != to.hash
        {
            let from = self.pinned(before);
            self.wish.roll(from, to.clone(), turn);
        }
        self.wish.make_from(to);
    }

    /// The version with the very image that its containers run, so that going back to it means
    /// going back, whatever has become of the tag.
    fn pinned(&self, mut version: Version) -> Version {
        if version.template.image_id.is_none() {
            version.template.image_id = self.fleet.image_of(&version.hash);
        }
        version
    }

    /// Takes over what an earlier life, or another process, had made of it: a deploy by hand
    /// stays until the configuration changes, and an update that was under way goes on.
    pub fn adopt_version(&mut self, turn: &Turn) {
        let Some(declared) = self.wish.declared().cloned() else {
            return;
        };
        let running = self.fleet.running();
        if let Some(version) = in_use(&declared, running.first()) {
            self.wish.make_from(version);
        }
        let Some(to) = self.wish.version().cloned() else {
            return;
        };
        let mut others = running.iter().filter(|observed| observed.spec != to.hash);
        if let Some(from) = others.find_map(|observed| version_of(observed, &declared)) {
            let from = self.pinned(from);
            self.wish.roll(from, to, turn);
        }
    }

    /// Draws the conclusions from a failure, for the brake and for the rollout.
    pub(super) fn failed(&mut self, failure: ReplicaFailure, turn: &Turn) {
        if failure.blames_image {
            let (generation, slot) = (failure.generation, failure.slot);
            self.fleet
                .slow_down(generation, slot, failure.why.clone(), turn.now);
        }
        if let Some(from) = self.wish.failed(failure, self.count.wanted(), turn) {
            // The way back is not held up by what failed on the way there.
            self.fleet.release_brake();
            self.wish.make_from(from);
        }
    }

    /// Notices when everything is new, or old again.
    pub fn follow_rollout(&mut self, turn: &Turn) {
        let progress = self.progress(turn.now);
        self.wish.follow(&self.name, progress, turn);
    }

    pub(super) fn progress(&self, now: Moment) -> RolloutProgress {
        let mut progress = RolloutProgress {
            wanted: self.count.wanted(),
            ready: 0,
            others: 0,
        };
        let is_stuck = |tracked: &Tracked| tracked.removal().is_stuck(now);
        for tracked in self.fleet.ours() {
            if !self.wish.is_version(tracked.spec()) {
                // One that cannot be removed is out of rotation and ends no rollout.
                progress.others += u32::from(!is_stuck(tracked));
            } else if tracked.is_ready() {
                progress.ready += 1;
            }
        }
        progress
    }
}
