//! Which version of a service its containers are made from, and the way from one to the next.

use super::found::{in_use, version_of};
use crate::control::command::Deployed;
use crate::control::image_note::ImageNote;
use crate::control::input::Sink;
use crate::control::service::fleet::tracked::Tracked;
use crate::control::service::state::State;
use crate::control::service::wish::rollout::{Count, Rollout};
use crate::plan::Roll;
use crate::plan::backoff::Backoff;
use crate::service::event::Event;
use crate::service::replica::{Observed, Phase, ReplicaId, RunState};
use crate::service::spec::ManualDeploy;
use crate::service::spec::{Slot, Source, Spec, SpecHash, Template, Update, Version};
use crate::service::time::Moment;
use std::sync::Arc;
use std::time::Duration;

impl State {
    /// What a deploy of this image, or of what is configured, would make containers from.
    pub(in crate::control) fn to_deploy(
        &self,
        image: Option<String>,
    ) -> Result<(Template, Spec), String> {
        let (Some(managed), Some(declared)) = (&self.managed, &self.declared) else {
            let why = "has fixed `addresses`: there are no containers of it to deploy";
            return Err(format!("`{}` {why}", self.name));
        };
        let mut template = declared.clone();
        if let Some(image) = image {
            template.image = image;
        }
        Ok((template, Spec::clone(&managed.spec)))
    }

    /// Rolls out what is made from this template.
    pub(in crate::control) fn deploy(
        &mut self,
        template: Template,
        now: Moment,
        clock: Duration,
        sink: &Sink,
    ) -> Deployed {
        // The file may have changed while the image was resolved.
        let declared = self.declared.as_ref().unwrap_or(&template);
        let to = Version {
            manual: Some(ManualDeploy {
                file_image: declared.image.clone(),
                at: clock.as_secs(),
            }),
            ..Version::of(Template {
                image: template.image.clone(),
                image_id: template.image_id.clone(),
                ..declared.clone()
            })
        };
        let name = to.to_string();
        let under_way = self.rollout.as_ref().filter(|rollout| !rollout.is_over());
        let runs = self.version.as_ref().is_some_and(|version| {
            let same_image = |observed: &Observed| {
                observed.spec == version.hash && observed.image == to.template.image_id
            };
            let mut containers = self.containers().peekable();
            let some = containers.peek().is_some();
            version.hash == to.hash
                || version.is_named_like(&to.template)
                    && some
                    && containers.all(|tracked| same_image(&tracked.observed))
        });
        if runs && under_way.is_none() {
            // The service went back to this version, which is wanted by now.
            if let Some(version) = self.version.clone()
                && version.manual.is_none()
                && version.template.image != declared.image
            {
                let manual = to.manual;
                self.make_from(Version { manual, ..version });
            }
            return Deployed::Runs(name);
        }
        if !runs {
            self.roll_to(to, now, sink);
        }
        Deployed::Begun(name)
    }

    /// Has one replica replaced: another one starts first, and then takes its port.
    pub(in crate::control) fn replace(&mut self, slot: Slot) -> Result<ReplicaId, String> {
        if self.is_fixed() {
            let hint = "remove the address from the file and reload";
            return Err(format!("`{}` has fixed `addresses`; {hint}", self.name));
        }
        let containers = self.containers();
        let is_there = |tracked: &Tracked| tracked.is_alive() || tracked.is_asleep();
        let alive = containers.filter(|tracked| is_there(tracked));
        let slots: Vec<String> = alive.map(|t| t.observed.slot.to_string()).collect();
        let mut found = self.replicas.values_mut();
        let found = found.find(|tracked| {
            !tracked.is_address && is_there(tracked) && tracked.observed.slot == slot
        });
        let Some(tracked) = found else {
            return Err(match slots.as_slice() {
                [] => format!("`{}` has no replica at all", self.name),
                slots => format!(
                    "`{}` has no replica on {slot}; it has some on {}",
                    self.name,
                    slots.join(", ")
                ),
            });
        };
        tracked.is_to_go = true;
        Ok(tracked.observed.id.clone())
    }

    pub(in crate::control) fn roll_to(&mut self, to: Version, now: Moment, sink: &Sink) {
        let before = match self.rollout.take() {
            // What is under way has not proven itself.
            Some(rollout) if !rollout.is_over() => Some(rollout.from().clone()),
            _ => self.version.clone(),
        };
        // A new version deserves a new try.
        self.backoff = Backoff::new(self.name.as_str());
        let update = self.managed.as_ref().map(|managed| &managed.spec.update);
        if let (Some(before), Some(update)) = (before, update)
            && (self.containers().next().is_some() || self.is_asleep())
            && before.hash != to.hash
        {
            let from = self.pinned(before);
            sink(&Event::Rolling {
                service: self.name.clone(),
                from: from.to_string(),
                to: to.to_string(),
            });
            self.rollout = Some(Rollout::new(from, to.clone(), update.clone(), now));
        }
        self.make_from(to);
    }

    /// Containers are made from this from now on.
    pub(in crate::control) fn make_from(&mut self, version: Version) {
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

    /// Says when a change of the file left another image, or left one deployed by hand.
    pub(in crate::control) fn image_note(
        &self,
        before: &Version,
        clock: Duration,
    ) -> Option<ImageNote> {
        let (declared, version) = (self.declared.as_ref()?, self.version.as_ref()?);
        ImageNote::of(&self.name, before, version, declared, clock)
    }

    /// The version with the very image that its containers run, so that going back to it means
    /// going back, whatever has become of the tag.
    fn pinned(&self, version: Version) -> Version {
        let mut version = version;
        if version.template.image_id.is_none() {
            let of_it = self
                .containers()
                .filter(|tracked| tracked.observed.spec == version.hash);
            let newest = of_it.max_by_key(|tracked| tracked.observed.generation);
            version.template.image_id = newest.and_then(|tracked| tracked.observed.image.clone());
        }
        version
    }

    /// Takes over what an earlier life, or another process, had made of it: what was deployed by
    /// hand stays deployed until the configuration changes, and an update that was under way
    /// goes on.
    pub(in crate::control) fn adopt_version(&mut self, now: Moment, sink: &Sink) {
        let Some(declared) = &self.declared else {
            return;
        };
        let running = self
            .containers()
            .filter(|tracked| tracked.observed.state == RunState::Running || tracked.is_asleep());
        let mut running: Vec<Observed> = running.map(|tracked| tracked.observed.clone()).collect();
        running.sort_by_key(|observed| std::cmp::Reverse(observed.generation));
        if let Some(version) = in_use(declared, running.first()) {
            self.make_from(version);
        }
        let (Some(to), Some(declared)) = (self.version.clone(), &self.declared) else {
            return;
        };
        let mut others = running.iter().filter(|observed| observed.spec != to.hash);
        let update = self.managed.as_ref().map(|managed| &managed.spec.update);
        let from = others.find_map(|observed| version_of(observed, declared));
        if let (Some(from), Some(update)) = (from, update) {
            let from = self.pinned(from);
            sink(&Event::Rolling {
                service: self.name.clone(),
                from: from.to_string(),
                to: to.to_string(),
            });
            self.rollout = Some(Rollout::new(from, to, update.clone(), now));
        }
    }

    pub(in crate::control) fn is_current(&self, spec: &SpecHash) -> bool {
        let is = |version: &Version| version.hash == *spec;
        let paused = self.rollout.as_ref().filter(|rollout| rollout.is_paused());
        self.version.as_ref().is_some_and(is) || paused.is_some_and(|rollout| is(rollout.to()))
    }

    pub(in crate::control) fn roll(&self) -> Roll {
        let default = Update::default();
        let managed = self.managed.as_ref();
        let update = managed.map_or(&default, |managed| &managed.spec.update);
        Roll {
            parallelism: update.parallelism,
            order: update.order,
            not_before: self.rollout.as_ref().and_then(Rollout::not_before),
        }
    }

    /// Notices when everything is new, or old again.
    pub(in crate::control) fn follow_rollout(&mut self, now: Moment, sink: &Sink) {
        let count = self.count(now);
        let Some(rollout) = &mut self.rollout else {
            return;
        };
        if !rollout.follow(count, now) {
            return;
        }
        let service = self.name.clone();
        let view = rollout.view(count, now);
        sink(&match view.why {
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

    pub(in crate::control) fn count(&self, now: Moment) -> Count {
        let version = self.version.as_ref();
        let is_new = |spec: &SpecHash| version.is_some_and(|version| version.hash == *spec);
        let mut count = Count {
            wanted: self.wanted,
            ready: 0,
            others: 0,
        };
        for tracked in self.containers() {
            if !is_new(&tracked.observed.spec) {
                // One that cannot be removed is out of rotation and ends no rollout.
                count.others += u32::from(!tracked.is_stuck(now));
            } else if tracked.phase() == Phase::Ready {
                count.ready += 1;
            }
        }
        count
    }
}
