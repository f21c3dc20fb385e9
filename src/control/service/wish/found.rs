//! The version that running containers show to be in use.

use crate::service::replica::{Observed, Vouched};
use crate::service::spec::{Template, Version, changed_keys};

/// The version for new containers where it is not the declared one: that of the newest container,
/// if it was deployed by hand, or is the declared one by another name.
pub fn in_use(declared: &Template, newest: Option<&Observed>) -> Option<Version> {
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
pub fn version_of(observed: &Observed, declared: &Template) -> Option<Version> {
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

/// The values of secrets are in no label: `from` has those of now, and only its name tells.
pub fn changed_besides_image(from: &Version, to: &Version) -> Vec<&'static str> {
    let mut changed = changed_keys(&from.template, &to.template);
    changed.retain(|key| *key != "image");
    if !from.has_its_secrets() && !changed.contains(&"secrets") {
        changed.push("secrets");
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::replica::{Made, ReplicaId, RunState};
    use crate::service::spec::{ImageId, ServiceName, SpecHash};
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
