//! Keys of session tickets, which several processes share.
//!
//! The newest key seals for twelve hours, and the two before it still open what they sealed: a
//! client resumes its session for at least a day. A process hands its keys to its successor, so an
//! upgrade costs no client a full handshake. They are never written to a disk.
//!
//! Each ticket is bound to the policy for clients' certificates that its handshake followed.
//! A reload that begins to ask for certificates therefore ends older sessions.

use super::policy_id::PolicyId;
use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use rustls::server::ProducesTickets;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time for which a key seals.
const SEALS_FOR: Duration = Duration::from_secs(12 * 60 * 60);
/// Keys that open tickets, the one that seals included.
const KEYS_MAX: usize = 3;
/// A ticket that was sealed at its key's end is opened until two others have taken its place.
const LIFETIME_SECS: u32 = 24 * 60 * 60;
const NAME_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;

/// The keys of this process, the newest first. Never empty.
pub struct TicketKeys {
    ring: ArcSwap<Vec<Arc<TicketKey>>>,
}

struct TicketKey {
    secret: TicketSecret,
    key: RandomizedNonceKey,
}

/// A key as it travels to another process. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketSecret {
    pub name: [u8; NAME_BYTES],
    pub secret: [u8; SECRET_BYTES],
    /// Seconds since 1970 at which it began to seal.
    pub born: u64,
}

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecret(…)")
    }
}

impl TicketSecret {
    fn new(now: SystemTime) -> Option<TicketSecret> {
        let mut secret = TicketSecret {
            name: [0; NAME_BYTES],
            secret: [0; SECRET_BYTES],
            born: seconds(now),
        };
        aws_lc_rs::rand::fill(&mut secret.name).ok()?;
        aws_lc_rs::rand::fill(&mut secret.secret).ok()?;
        Some(secret)
    }
}

impl TicketKey {
    fn new(secret: TicketSecret) -> Option<Arc<TicketKey>> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &secret.secret).ok()?;
        Some(Arc::new(TicketKey { secret, key }))
    }
}

impl TicketKeys {
    /// Takes the keys of the previous process, or makes one.
    pub fn new(handed: Vec<TicketSecret>) -> TicketKeys {
        let handed = handed.into_iter().filter_map(TicketKey::new);
        let mut ring: Vec<_> = handed.take(KEYS_MAX).collect();
        if ring.is_empty() {
            ring.extend(TicketSecret::new(SystemTime::now()).and_then(TicketKey::new));
        }
        TicketKeys {
            ring: ArcSwap::from_pointee(ring),
        }
    }

    /// The keys, for the next process.
    pub fn secrets(&self) -> Vec<TicketSecret> {
        let ring = self.ring.load();
        ring.iter().map(|key| key.secret.clone()).collect()
    }

    /// Replaces a key that has sealed for long enough.
    fn turn(&self, now: SystemTime) {
        let is_due = |ring: &[Arc<TicketKey>]| {
            let newest = ring.first();
            newest.is_none_or(|key| seconds(now) >= key.secret.born + SEALS_FOR.as_secs())
        };
        if !is_due(&self.ring.load()) {
            return;
        }
        let Some(fresh) = TicketSecret::new(now).and_then(TicketKey::new) else {
            return;
        };
        self.ring.rcu(|ring| match is_due(ring) {
            true => {
                let older = ring.iter().take(KEYS_MAX - 1).map(Arc::clone);
                std::iter::once(Arc::clone(&fresh)).chain(older).collect()
            }
            // Another thread was faster.
            false => Vec::clone(ring),
        });
    }

    fn seal(&self, plain: &[u8], policy: PolicyId, now: SystemTime) -> Option<Vec<u8>> {
        self.turn(now);
        let ring = self.ring.load();
        let newest = ring.first()?;
        let mut sealed = plain.to_vec();
        let aad = Aad::from(policy.0);
        let nonce = newest.key.seal_in_place_append_tag(aad, &mut sealed).ok()?;
        let name = newest.secret.name;
        Some([&name[..], nonce.as_ref(), &sealed].concat())
    }

    fn open(&self, ticket: &[u8], policy: PolicyId, now: SystemTime) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME_BYTES)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let ring = self.ring.load();
        let key = ring.iter().find(|key| key.secret.name == name)?;
        // A process that sealed nothing for long has turned nothing either.
        let oldest = seconds(now).saturating_sub(KEYS_MAX as u64 * SEALS_FOR.as_secs());
        if key.secret.born < oldest {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(policy.0);
        let length = key.key.open_in_place(nonce, aad, &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Tickets for connections that follow one policy.
pub struct Ticketer {
    pub keys: Arc<TicketKeys>,
    pub policy: PolicyId,
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticketer")
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_SECS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.seal(plain, self.policy, SystemTime::now())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.keys.open(ticket, self.policy, SystemTime::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);
    const ANYBODY: PolicyId = PolicyId([0; 32]);

    #[test]
    fn a_ticket_is_opened_for_a_day_and_not_for_two() {
        let keys = TicketKeys::new(Vec::new());
        let now = SystemTime::now();
        let late = now + 12 * HOUR - Duration::from_secs(60);
        let ticket = keys.seal(b"session", ANYBODY, late).unwrap();
        for hour in 1..=24 {
            let then = late + hour * HOUR;
            let _ = keys.seal(b"another", ANYBODY, then);
            let opened = keys.open(&ticket, ANYBODY, then);
            assert_eq!(opened.as_deref(), Some(&b"session"[..]), "hour {hour}");
        }
        let _ = keys.seal(b"another", ANYBODY, late + 37 * HOUR);
        assert_eq!(keys.open(&ticket, ANYBODY, late + 37 * HOUR), None);
    }

    #[test]
    fn an_idle_process_forgets_old_keys_as_well() {
        let keys = TicketKeys::new(Vec::new());
        let now = SystemTime::now();
        let ticket = keys.seal(b"session", ANYBODY, now).unwrap();
        assert!(keys.open(&ticket, ANYBODY, now + 35 * HOUR).is_some());
        assert!(keys.open(&ticket, ANYBODY, now + 37 * HOUR).is_none());
    }

    #[test]
    fn a_successor_opens_the_tickets_of_its_predecessor() {
        let (old, now) = (TicketKeys::new(Vec::new()), SystemTime::now());
        let ticket = old.seal(b"session", ANYBODY, now).unwrap();
        let new = TicketKeys::new(old.secrets());
        assert!(new.open(&ticket, ANYBODY, now).is_some());
        let stranger = TicketKeys::new(Vec::new());
        assert!(stranger.open(&ticket, ANYBODY, now).is_none());
        assert_eq!(format!("{:?}", old.secrets()), "[TicketSecret(…)]");
    }

    #[test]
    fn a_ticket_is_good_for_its_policy_alone_and_only_whole() {
        let (keys, now) = (TicketKeys::new(Vec::new()), SystemTime::now());
        let ticket = keys.seal(b"session", ANYBODY, now).unwrap();
        assert!(keys.open(&ticket, PolicyId([1; 32]), now).is_none());
        for length in 0..ticket.len() {
            assert!(keys.open(&ticket[..length], ANYBODY, now).is_none());
        }
        let mut changed = ticket.clone();
        for at in 0..ticket.len() {
            changed[at] ^= 1;
            assert!(keys.open(&changed, ANYBODY, now).is_none(), "byte {at}");
            changed[at] ^= 1;
        }
    }
}
