//! One name: its certificate, its attempts, and what is under way.

use super::due::{Because, Due, Standing, Validity, due};
use super::store::NameState;
use super::wanted::Authority;
use crate::certs::{CertName, CertificateSource, Held, NameReport};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Pause before something on this machine is tried again, such as writing to a full disk.
pub const LOCAL_AGAIN: Duration = Duration::from_secs(60);

/// A stopgap of the local CA is replaced when less than this is left of it.
const STOPGAP_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

pub struct Entry {
    pub authority: Authority,
    pub held: Option<Arc<Held>>,
    pub state: NameState,
    /// An order is under way.
    pub is_ordering: bool,
    /// The CA is being asked for its advice.
    pub is_advised: bool,
    /// A brake of our own, and until when it holds.
    pub braked: Option<(SystemTime, String)>,
    /// Key and chain as they are in the folder, which may get lost; not of names on demand.
    pub saved: Option<String>,
    /// Key and chain that could not be written yet.
    pub unsaved: Option<String>,
    /// Number that grows with each name on demand; `None`: the configuration wants it.
    pub on_demand: Option<u64>,
}

impl Entry {
    pub fn new(authority: Authority) -> Entry {
        Entry {
            authority,
            held: None,
            state: NameState::default(),
            is_ordering: false,
            is_advised: false,
            braked: None,
            saved: None,
            unsaved: None,
            on_demand: None,
        }
    }

    /// Time of the next order and its reason.
    pub fn due(&self, name: &CertName, now: SystemTime) -> (SystemTime, String) {
        let Due { at, because } = self.plain_due(name, now);
        match &self.braked {
            Some((until, why)) if *until > at.max(now) => (*until, why.clone()),
            _ => (at, because.to_string()),
        }
    }

    pub fn is_due(&self, name: &CertName, now: SystemTime) -> bool {
        let is_braked = self.braked.as_ref().is_some_and(|(until, _)| *until > now);
        let due = self.plain_due(name, now);
        !self.is_ordering && !is_braked && due.at <= now && due.because != Because::ClockBehind
    }

    fn plain_due(&self, name: &CertName, now: SystemTime) -> Due {
        // A local certificate in place of a public one is a stopgap, and no reason to wait.
        let is_stopgap = self.authority == Authority::Acme && self.is_local();
        let held = self.held.as_ref().filter(|_| !is_stopgap);
        let seed = match held {
            Some(held) => held.fingerprint,
            None => Sha256::digest(name.to_string()).into(),
        };
        let standing = Standing {
            held: held.map(|held| Validity {
                from: held.not_before,
                until: held.not_after,
            }),
            window: self.state.window,
            seed: seed[..8]
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            attempts: &self.state.attempts,
        };
        due(standing, now)
    }

    /// Whether the certificate is one of the local CA.
    pub fn is_local(&self) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| held.source == CertificateSource::Local)
    }

    /// Whether the local CA should help out: nothing else is served, and that many attempts failed.
    pub fn wants_stopgap(&self, failures: u32, now: SystemTime) -> bool {
        let is_served = self.held.as_ref().is_some_and(|held| {
            let left = held.not_after.duration_since(now).unwrap_or_default();
            !self.is_local() && !left.is_zero() || left > STOPGAP_AGAIN
        });
        self.authority == Authority::Acme && !is_served && self.state.attempts.failures >= failures
    }

    /// Whether a hello for the name is worth waiting for.
    pub fn is_awaited(&self, now: SystemTime) -> bool {
        let is_served = self.held.as_ref().is_some_and(|held| !held.is_expired(now));
        self.is_ordering && !is_served
    }

    /// Whether the CA may have advice about the certificate that is held.
    pub fn wants_advice(&self, now: SystemTime) -> bool {
        let is_of_ca = self
            .held
            .as_ref()
            .is_some_and(|held| matches!(held.source, CertificateSource::Acme { .. }));
        let is_time = self.state.ask_again.is_none_or(|at| at <= now);
        is_of_ca && is_time && !self.is_advised
    }

    pub fn report(&self, name: &CertName, ca: String, now: SystemTime, orders: bool) -> NameReport {
        let (at, because) = self.due(name, now);
        NameReport {
            name: name.clone(),
            held: self.held.clone(),
            ca,
            is_ordering: self.is_ordering,
            is_on_demand: self.on_demand.is_some(),
            next_try: orders.then_some(at),
            because,
            last_error: self.state.attempts.why.clone(),
        }
    }
}
