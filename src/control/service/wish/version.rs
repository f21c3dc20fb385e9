//! Which version of a service its containers are made from, and the way from one to the next.

use super::Sink;
use super::images::ImageNote;
use super::managed::State;
use super::rollout::{Count, Rollout};
use super::tracked::Tracked;
use crate::plan::Roll;
use crate::plan::backoff::Backoff;
use crate::service::event::Event;
use crate::service::replica::{Observed, Phase, ReplicaId, RunState, Vouched};
use crate::service::spec::ManualDeploy;
use crate::service::spec::{Slot, Source, Spec, SpecHash, Template, Update, Version};
use crate::service::time::Moment;
use std::sync::Arc;
use std::time::Duration;

/// What became of a wish to deploy something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployed {
    /// It is on its way; the version's name.
    Begun(String),
    /// It is what runs already.
    Runs(String),
}

impl State {
    /// What a deploy of this image, or of what is configured, would make containers from.
    pub(super) fn to_deploy(&self, image: Option<String>) -> Result<(Template, Spec), String> {
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
    pub(super) fn deploy(
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
    pub(super) fn replace(&mut self, slot: Slot) -> Result<ReplicaId, String> {
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

    pub(super) fn roll_to(&mut self, to: Version, now: Moment, sink: &Sink) {
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
    pub(super) fn make_from(&mut self, version: Version) {
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
    pub(super) fn image_note(&self, before: &Version, clock: Duration) -> Option<ImageNote> {
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
    pub(super) fn adopt_version(&mut self, now: Moment, sink: &Sink) {
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

    pub(super) fn is_current(&self, spec: &SpecHash) -> bool {
        let is = |version: &Version| version.hash == *spec;
        let paused = self.rollout.as_ref().filter(|rollout| rollout.is_paused());
        self.version.as_ref().is_some_and(is) || paused.is_some_and(|rollout| is(rollout.to()))
    }

    pub(super) fn roll(&self) -> Roll {
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
    pub(super) fn follow_rollout(&mut self, now: Moment, sink: &Sink) {
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

    pub(super) fn count(&self, now: Moment) -> Count {
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

/// What new containers are to be made from instead of what is declared: what the newest one was
/// made from, when that was wanted of it by hand, or when it is the same by another name.
pub(super) fn in_use(declared: &Template, newest: Option<&Observed>) -> Option<Version> {
    let newest = newest?;
    let version = version_of(newest, declared)?;
    let made = newest.made.as_ref()?;
    // With the key went the means to see whether a secret has changed; keeping what runs is safer
    // than replacing everything.
    let has_its_secrets = || made.vouched == Vouched::KeyLost || version.has_its_secrets();
    let is_same = version.is_named_like(declared) && has_its_secrets();
    if made.declared == declared.hash() || is_same {
        let manual = version.manual.clone();
        return Some(Version {
            manual: manual.filter(|manual| manual.file_image == declared.image),
            ..version
        });
    }
    // The file has changed since, but not its image.
    let edited = version.under(declared);
    edited.manual.is_some().then_some(edited)
}

/// The values of secrets are those of now, because no label has them. A record without a seal is
/// worth no more than the image that its container runs: nobody gets at a volume or a secret of
/// the service by writing labels.
pub(super) fn version_of(observed: &Observed, declared: &Template) -> Option<Version> {
    let made = observed.made.as_ref()?;
    let written = Template::from_label(&made.template, declared)?;
    let template = match made.vouched {
        Vouched::Sealed => written,
        Vouched::Unsealed | Vouched::KeyLost => {
            let is_plain = written.image.bytes().all(|byte| byte.is_ascii_graphic());
            let other_image = Template {
                image: Some(written.image.clone()).filter(|_| is_plain)?,
                image_id: Some(observed.image.clone()?),
                ..declared.clone()
            };
            let version = Version::of(other_image);
            version
                .is_named_like(&written)
                .then_some(version.template)?
        }
    };
    Some(Version {
        hash: observed.spec.clone(),
        template,
        // A forged one would bring a stranger's image to the service's volumes and secrets.
        manual: made
            .manual
            .clone()
            .filter(|_| made.vouched == Vouched::Sealed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::replica::Made;
    use crate::service::spec::{ImageId, ServiceName};
    use serde_json::json;

    fn template(password: &str) -> Template {
        let template = json!({
            "image": "web:1", "port": 80, "volumes": [], "networks": [],
            "environment": { "PASSWORD": password, "USER": "tide" }, "secrets": ["PASSWORD"],
        });
        serde_json::from_value(template).unwrap()
    }

    fn container(version: &Version, declared: &Template) -> Observed {
        Observed {
            service: ServiceName::new("web"),
            id: ReplicaId::new("c0ffee"),
            slot: 8000,
            generation: 1,
            spec: version.hash.clone(),
            made: Some(Made {
                declared: declared.hash(),
                template: version.template.to_label().into(),
                manual: version.manual.clone(),
                wanted: None,
                vouched: Vouched::Sealed,
            }),
            image: None,
            addresses: Vec::new(),
            state: RunState::Running,
        }
    }

    #[test]
    fn a_container_is_known_again_by_secrets_that_its_labels_do_not_have() {
        let declared = template("hunter2");
        let version = Version::of(declared.clone());
        let container = container(&version, &declared);
        let label = &container.made.as_ref().unwrap().template;
        assert!(
            label.contains("tide") && !label.contains("hunter2"),
            "{label}"
        );
        assert_eq!(in_use(&declared, Some(&container)), Some(version));
        // The file has another one since: what runs is to be replaced.
        assert_eq!(in_use(&template("hunter3"), Some(&container)), None);
        let without = Template {
            environment: [("USER".to_owned(), "tide".to_owned())].into(),
            secrets: Default::default(),
            ..declared
        };
        assert_eq!(in_use(&without, Some(&container)), None);
    }

    #[test]
    fn what_was_deployed_by_hand_keeps_its_secrets_over_a_restart() {
        let declared = template("hunter2");
        let by_hand = Version::of(Template {
            image: "web:2".to_owned(),
            image_id: Some(ImageId("sha256:5f2c1d0e9ab3".to_owned())),
            ..declared.clone()
        });
        let container = container(&by_hand, &declared);
        assert_eq!(in_use(&declared, Some(&container)), Some(by_hand));
    }

    /// As one without our seal shows it, running the image of this id.
    fn unsealed(version: &Version, declared: &Template, image: &str, vouched: Vouched) -> Observed {
        let mut observed = container(version, declared);
        observed.image = Some(ImageId(image.to_owned()));
        observed.made.as_mut().unwrap().vouched = vouched;
        observed
    }

    #[test]
    fn what_an_older_version_made_is_kept_over_an_update() {
        let declared = template("hunter2");
        let version = Version::of(declared.clone());
        let old = unsealed(&version, &declared, "sha256:1", Vouched::Unsealed);
        let found = in_use(&declared, Some(&old)).unwrap();
        assert_eq!(found.hash, version.hash);
        assert!(found.is_named_like(&declared));
        assert_eq!(in_use(&template("hunter3"), Some(&old)), None);
        // And so is what was deployed by hand.
        let by_hand = Version::of(Template {
            image: "web:2".to_owned(),
            image_id: Some(ImageId("sha256:2".to_owned())),
            ..declared.clone()
        });
        let old = unsealed(&by_hand, &declared, "sha256:2", Vouched::Unsealed);
        assert_eq!(in_use(&declared, Some(&old)), Some(by_hand));
    }

    #[test]
    fn labels_that_nobody_vouches_for_make_nothing_but_what_the_file_says() {
        let declared = template("hunter2");
        let changed = |change: fn(&mut Template)| {
            let mut template = declared.clone();
            change(&mut template);
            template
        };
        let forged = [
            changed(|it| it.volumes = vec!["/:/host".to_owned()]),
            changed(|it| it.command = Some(vec!["/bin/sh".to_owned()])),
            changed(|it| it.networks = vec!["admin".to_owned()]),
            changed(|it| it.user = Some("0".to_owned())),
            changed(|it| it.image = "\u{1b}[31mweb".to_owned()),
        ];
        for template in forged {
            let version = Version {
                hash: declared.hash(),
                template,
                manual: None,
            };
            for vouched in [Vouched::Unsealed, Vouched::KeyLost] {
                let stranger = unsealed(&version, &declared, "sha256:6", vouched);
                assert_eq!(in_use(&declared, Some(&stranger)), None, "{version:?}");
                assert_eq!(version_of(&stranger, &declared), None, "{version:?}");
            }
        }
        // The image is the one that the container runs, whatever its label says.
        let pinned = changed(|it| it.image_id = Some(ImageId("sha256:5".to_owned())));
        let other = Version::of(pinned);
        let stranger = unsealed(&other, &declared, "sha256:6", Vouched::Unsealed);
        let image = in_use(&declared, Some(&stranger)).and_then(|found| found.template.image_id);
        assert_ne!(image, other.template.image_id);
    }

    #[test]
    fn a_lost_key_replaces_nothing_that_is_the_same_as_far_as_names_tell() {
        let declared = template("hunter2");
        let unknown = |template: Template| Version {
            hash: SpecHash::new("5707a7ed0ff5"),
            template,
            manual: None,
        };
        let same = unknown(declared.clone());
        let old = unsealed(
            &same,
            &unknown_name(&declared),
            "sha256:1",
            Vouched::KeyLost,
        );
        let found = in_use(&declared, Some(&old)).unwrap();
        assert_eq!(found.hash, same.hash);
        assert_eq!(found.template.environment, declared.environment);
        // Whether that was wanted by hand cannot be told any more.
        let other_image = unknown(Template {
            image: "web:2".to_owned(),
            ..declared.clone()
        });
        let declared_then = unknown_name(&declared);
        let old = unsealed(&other_image, &declared_then, "sha256:2", Vouched::KeyLost);
        assert_eq!(in_use(&declared, Some(&old)), None);
    }

    /// A template of another name, as all are when the key is lost.
    fn unknown_name(declared: &Template) -> Template {
        Template {
            port: declared.port + 1,
            ..declared.clone()
        }
    }
}
