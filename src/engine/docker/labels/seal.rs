//! The seal on our labels, and the names of templates that only its key can read.
//!
//! Labels are neither secret nor proof: a container inherits those of its image, and every user of the
//! daemon can set any. A seal is an HMAC over a container's name and all its
//! `io.tidegate.` labels. The hash of a template covers the values of secrets, so a label has it
//! enciphered: by the plain hash, a short password is guessed in a second.

use super::names::{self, Labels};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};
use subtle::ConstantTimeEq;

pub const KEY_BYTES: usize = 32;
/// Parts of an enciphered name: a tag that is checked, and the masked hash.
const TAG_BYTES: usize = 8;
const HASH_BYTES: usize = 6;

/// Tolerance between the clocks of the daemon and of this process.
const CLOCKS_DIFFER_SECS: u64 = 60;

/// Key of the seal, and the time before which containers without a seal may be ours.
pub struct Seal {
    key: [u8; KEY_BYTES],
    /// In seconds since 1970.
    unsealed_until: AtomicU64,
}

impl Seal {
    /// `unsealed_until`: containers that are not younger may lack the seal, because an older Tidegate
    /// or one whose key is lost may have created them.
    pub fn new(key: [u8; KEY_BYTES], unsealed_until: u64) -> Seal {
        Seal {
            key,
            unsealed_until: AtomicU64::new(unsealed_until),
        }
    }

    pub fn believe_unsealed_until(&self, seconds: u64) {
        self.unsealed_until.store(seconds, Ordering::Relaxed);
    }

    /// Whether a container of this age may lack the seal.
    pub fn may_lack_it(&self, created: u64) -> bool {
        let until = self.unsealed_until.load(Ordering::Relaxed);
        created <= until.saturating_add(CLOCKS_DIFFER_SECS)
    }

    pub fn of(&self, container: &str, labels: &Labels) -> String {
        hex(&self.mac_of(container, labels))
    }

    pub fn is_on(&self, container: &str, labels: &Labels) -> bool {
        let found = labels.get(names::SEAL).and_then(|seal| bytes(seal));
        found.is_some_and(|found| found.ct_eq(&self.mac_of(container, labels)).into())
    }

    fn mac_of(&self, container: &str, labels: &Labels) -> [u8; 32] {
        let mut ours: Vec<(&String, &String)> = labels
            .iter()
            .filter(|(name, _)| name.starts_with(names::PREFIX) && *name != names::SEAL)
            .collect();
        ours.sort_unstable();
        let parts = ours.into_iter().flat_map(|(name, value)| [name, value]);
        let parts = parts.map(String::as_str);
        self.mac("labels", std::iter::once(container).chain(parts))
    }

    /// A template's name as a label has it. The same name gives the same label.
    pub fn encipher(&self, name: &str) -> String {
        let hash = bytes(name).and_then(|hash| <[u8; HASH_BYTES]>::try_from(hash).ok());
        // Only a stranger's odd label makes a name of another shape.
        let hash = hash.unwrap_or_else(|| digest(name));
        let mac = self.mac("name", [hex(&hash).as_str()]);
        let tag = &mac[..TAG_BYTES];
        hex(&[tag, &self.masked(tag, &hash)].concat())
    }

    /// The name that a label stands for; `None`: it was not enciphered with this key.
    pub fn decipher(&self, label: &str) -> Option<String> {
        let both = bytes(label).filter(|both| both.len() == TAG_BYTES + HASH_BYTES)?;
        let (tag, masked) = both.split_at(TAG_BYTES);
        let name = hex(&self.masked(tag, masked));
        (self.encipher(&name) == label).then_some(name)
    }

    /// Masks a hash; masking twice gives the hash.
    fn masked(&self, tag: &[u8], hash: &[u8]) -> Vec<u8> {
        let mask = self.mac("mask", [hex(tag).as_str()]);
        hash.iter()
            .zip(mask)
            .map(|(byte, mask)| byte ^ mask)
            .collect()
    }

    /// MAC of a list. Each part follows its length, so that no two lists are the same bytes.
    fn mac<'a>(&self, purpose: &'a str, parts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length will do");
        for part in std::iter::once(purpose).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

/// Stand-in for the name in a label that cannot be deciphered, because the key is lost.
pub fn stand_in(label: &str) -> String {
    hex(&digest(label))
}

/// Whether this has the shape of an enciphered name, with whatever key.
pub fn is_enciphered(label: &str) -> bool {
    bytes(label).is_some_and(|bytes| bytes.len() == TAG_BYTES + HASH_BYTES)
}

fn digest(text: &str) -> [u8; HASH_BYTES] {
    let digest = Sha256::digest(text);
    std::array::from_fn(|at| digest[at])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of lower-case hexadecimal digits only, so that no two texts are the same bytes.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |c: &u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal() -> Seal {
        Seal::new([7; KEY_BYTES], 1_000)
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let pairs = pairs.iter();
        pairs.map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn a_seal_is_on_the_very_labels_and_the_container_that_it_was_made_for() {
        let ours = [("io.tidegate.slot", "8000"), ("io.tidegate.service", "web")];
        let sealed = |container: &str, pairs: &[(&str, &str)], by: &Seal| {
            let mut labels = labels(pairs);
            let seal = seal().of("tidegate-web-8000", &self::labels(&ours));
            labels.insert(names::SEAL.into(), seal);
            by.is_on(container, &labels)
        };
        let name = "tidegate-web-8000";
        assert!(sealed(name, &ours, &seal()));
        let more = [&ours[..], &[("org.example.version", "1")]].concat();
        assert!(sealed(name, &more, &seal()), "labels of others are theirs");
        assert!(!sealed("debug", &ours, &seal()), "another container");
        assert!(!sealed(name, &ours[..1], &seal()), "one label less");
        let more = [&ours[..], &[("io.tidegate.wanted", "1")]].concat();
        assert!(!sealed(name, &more, &seal()), "one label more");
        let other = [("io.tidegate.slot", "8001"), ours[1]];
        assert!(!sealed(name, &other, &seal()), "another value");
        let other = Seal::new([8; KEY_BYTES], 1_000);
        assert!(!sealed(name, &ours, &other), "another key");
        assert!(!seal().is_on(name, &labels(&ours)), "no seal");
    }

    #[test]
    fn names_are_read_by_those_who_have_the_key_alone() {
        let label = seal().encipher("00c0ffee1234");
        assert_eq!(label, seal().encipher("00c0ffee1234"));
        assert!(is_enciphered(&label) && !label.contains("c0ffee"));
        assert_eq!(seal().decipher(&label).as_deref(), Some("00c0ffee1234"));
        let other = Seal::new([8; KEY_BYTES], 1_000);
        assert_eq!(other.decipher(&label), None);
        assert_eq!(seal().decipher(&label.to_uppercase()), None);
        for odd in ["00c0ffee1234", "", "web", "é"] {
            assert_eq!(seal().decipher(odd), None, "{odd}");
            assert!(!is_enciphered(odd), "{odd}");
            assert!(seal().decipher(&seal().encipher(odd)).is_some(), "{odd}");
        }
    }

    #[test]
    fn only_what_is_old_may_lack_a_seal() {
        let seal = seal();
        assert!(seal.may_lack_it(0) && seal.may_lack_it(1_000));
        assert!(!seal.may_lack_it(1_000 + CLOCKS_DIFFER_SECS + 1));
        seal.believe_unsealed_until(2_000);
        assert!(seal.may_lack_it(1_500));
        seal.believe_unsealed_until(u64::MAX);
        assert!(seal.may_lack_it(u64::MAX));
    }
}
