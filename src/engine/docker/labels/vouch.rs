//! Whether the labels of a container are its own, and whether this Tidegate wrote them.
//!
//! A container carries the labels of its image as well: one that is run from a `docker commit` of
//! a replica looks like that replica. Labels therefore count when they bear the seal, or when the
//! container is older than the seal and its image and its name do not speak against them.

use super::names::{self, Labels};
use super::seal::Seal;
use crate::service::replica::Vouched;

/// A container with our labels, and facts from the daemon.
pub struct Found<'a> {
    pub name: &'a str,
    pub labels: &'a Labels,
    /// In seconds since 1970.
    pub created: Option<u64>,
    /// Our labels on the image itself; `None`: the image cannot be inspected.
    pub image: Option<&'a Labels>,
}

/// Trust in the labels of a container; an error: they are not ours, with the reason.
pub fn vouched(found: &Found<'_>, seal: Option<&Seal>) -> Result<Vouched, String> {
    let inherits = |key| {
        let value = found.labels.get(key);
        value.is_some() && found.image.is_some_and(|image| image.get(key) == value)
    };
    if inherits(names::GENERATION) || inherits(names::SEAL) {
        return Err("its image brings them along, as one made by `docker commit` does".to_owned());
    }
    if seal.is_some_and(|seal| seal.is_on(found.name, found.labels)) {
        return Ok(Vouched::Sealed);
    }
    if found.image.is_none() {
        return Err("it is not sealed, and its image cannot be looked at".to_owned());
    }
    let may_lack_it = |seal: &Seal| found.created.is_some_and(|at| seal.may_lack_it(at));
    if !seal.is_none_or(may_lack_it) {
        return Err("it is not sealed, so somebody else made it".to_owned());
    }
    if !is_named_by_us(found) {
        return Err("it is not sealed, and its name is not one of ours".to_owned());
    }
    Ok(match found.labels.contains_key(names::SEAL) {
        true => Vouched::KeyLost,
        false => Vouched::Unsealed,
    })
}

fn is_named_by_us(found: &Found<'_>) -> bool {
    let label = |key| found.labels.get(key).map(String::as_str);
    let (Some(service), Some(slot)) = (label(names::SERVICE), label(names::SLOT)) else {
        return false;
    };
    let plain = format!("tidegate-{service}-{slot}");
    let unique = || Some(format!("{plain}-{}", label(names::GENERATION)?));
    found.name == plain || unique().is_some_and(|unique| found.name == unique)
}

/// Refuses an image whose labels would be taken for a replica's.
pub fn without_our_labels(image: &str, labels: Option<&Labels>) -> Result<(), String> {
    let ours = labels.and_then(|labels| {
        let mut ours = labels.keys().filter(|key| key.starts_with(names::PREFIX));
        ours.next()
    });
    match ours {
        None => Ok(()),
        Some(key) => Err(format!(
            "image `{image}` carries the label `{}`, which only containers have: a `docker commit` \
             of a replica makes such an image; build it from its Dockerfile instead",
            key.escape_debug()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::docker::labels::KEY_BYTES;

    const MADE_AT: u64 = 1_767_225_600;
    const NAME: &str = "tidegate-web-8001";

    fn labels() -> Labels {
        let pairs = [
            (names::MANAGED, "true"),
            (names::SERVICE, "web"),
            (names::SLOT, "8001"),
            (names::GENERATION, "1767225600000"),
        ];
        pairs.map(|(k, v)| (k.to_string(), v.to_string())).into()
    }

    fn sealed(by: u8) -> Labels {
        let mut labels = labels();
        let seal = Seal::new([by; KEY_BYTES], 0).of(NAME, &labels);
        labels.insert(names::SEAL.into(), seal);
        labels
    }

    /// Trust of a process whose key is so many seconds younger than the container.
    fn judged(name: &str, labels: &Labels, image: Option<&Labels>, after: i64) -> Option<Vouched> {
        let found = Found {
            name,
            labels,
            created: Some(MADE_AT),
            image,
        };
        let seal = Seal::new([7; KEY_BYTES], MADE_AT.saturating_add_signed(after));
        vouched(&found, Some(&seal)).ok()
    }

    #[test]
    fn labels_count_when_they_are_sealed_or_older_than_the_seal() {
        const LATER: i64 = 3_600;
        const EARLIER: i64 = -3_600;
        let none = Labels::new();
        let none = Some(&none);
        let sealed_by_us = Some(Vouched::Sealed);
        let (ours, lost, plain) = (sealed(7), sealed(8), labels());
        for (case, name, labels, image, key_made, expected) in [
            ("ours", NAME, &ours, none, EARLIER, sealed_by_us),
            ("image is gone", NAME, &ours, None, EARLIER, sealed_by_us),
            ("a copy", "debug", &ours, none, EARLIER, None),
            ("a commit", "debug", &ours, Some(&ours), EARLIER, None),
            ("a named commit", NAME, &ours, Some(&ours), EARLIER, None),
            (
                "an old one",
                NAME,
                &plain,
                none,
                LATER,
                Some(Vouched::Unsealed),
            ),
            ("another's", NAME, &plain, none, EARLIER, None),
            ("an old commit", NAME, &plain, Some(&plain), LATER, None),
            ("unknown image", NAME, &plain, None, LATER, None),
            ("a stranger's name", "debug", &plain, none, LATER, None),
            ("key lost", NAME, &lost, none, LATER, Some(Vouched::KeyLost)),
            ("another key", NAME, &lost, none, EARLIER, None),
        ] {
            assert_eq!(judged(name, labels, image, key_made), expected, "{case}");
        }
        let unique = format!("{NAME}-1767225600000");
        let old = judged(&unique, &plain, none, LATER);
        assert_eq!(old, Some(Vouched::Unsealed));
    }

    #[test]
    fn an_image_with_our_labels_is_refused_by_name() {
        let labels = labels();
        let error = without_our_labels("x:1", Some(&labels)).unwrap_err();
        for part in ["`x:1`", "io.tidegate.", "docker commit"] {
            assert!(error.contains(part), "{error}");
        }
        let others = Labels::from([("org.example".into(), "1".into())]);
        for harmless in [None, Some(&Labels::new()), Some(&others)] {
            assert_eq!(without_our_labels("x:1", harmless), Ok(()));
        }
    }
}
