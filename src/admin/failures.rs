//! Wrong tokens by address.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens that an address may show before its answers are slow.
const FAILURES_MAX: u32 = 10;
/// Time of slow answers, counted from the last wrong token.
const SUSPECTED_FOR: Duration = Duration::from_secs(60);
/// Limit of remembered addresses; beyond, the one that failed longest ago is forgotten.
const ADDRESSES_MAX: usize = 1024;

/// Recent wrong tokens by address.
#[derive(Clone, Default)]
pub struct Failures(Arc<Mutex<BTreeMap<Option<IpAddr>, Guesses>>>);

#[derive(Clone, Copy)]
struct Guesses {
    count: u32,
    last: Instant,
}

impl Failures {
    pub fn are_many(&self, address: Option<IpAddr>, now: Instant) -> bool {
        let held = self.held();
        held.get(&whole(address)).is_some_and(|failed| {
            failed.count >= FAILURES_MAX && now.duration_since(failed.last) < SUSPECTED_FOR
        })
    }

    pub fn note(&self, address: Option<IpAddr>, now: Instant) {
        let mut held = self.held();
        held.retain(|_, failed| now.duration_since(failed.last) < SUSPECTED_FOR);
        let key = whole(address);
        if held.len() >= ADDRESSES_MAX && !held.contains_key(&key) {
            let oldest = held.iter().min_by_key(|(_, failed)| failed.last);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                held.remove(&oldest);
            }
        }
        let count = held.get(&key).map_or(0, |failed| failed.count);
        let failed = Guesses {
            count: count.saturating_add(1),
            last: now,
        };
        held.insert(key, failed);
    }

    pub fn forget(&self, address: Option<IpAddr>) {
        self.held().remove(&whole(address));
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Option<IpAddr>, Guesses>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network of an IPv6 address, because its owner has all 64 bits behind it.
fn whole(address: Option<IpAddr>) -> Option<IpAddr> {
    address.map(|address| match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 => v4,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_make_an_address_suspected_for_a_while_and_no_other() {
        let failures = Failures::default();
        let [a, b]: [Option<IpAddr>; 2] = ["10.0.0.1", "10.0.0.2"].map(|it| it.parse().ok());
        let began = Instant::now();
        for _ in 0..FAILURES_MAX {
            assert!(!failures.are_many(a, began));
            failures.note(a, began);
        }
        assert!(failures.are_many(a, began));
        assert!(!failures.are_many(b, began));
        assert!(!failures.are_many(a, began + SUSPECTED_FOR));
        failures.note(b, began);
        failures.forget(b);
        assert!(!failures.held().contains_key(&b));
    }

    #[test]
    fn an_ipv6_network_is_one_guesser_and_the_memory_has_an_end() {
        let failures = Failures::default();
        let now = Instant::now();
        for host in 0..u128::from(FAILURES_MAX) {
            let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) | host);
            failures.note(Some(address.into()), now);
        }
        assert!(failures.are_many("2001:db8::ffff".parse().ok(), now));
        for host in 0..2 * ADDRESSES_MAX as u32 {
            failures.note(Some(IpAddr::from(host.to_be_bytes())), now);
        }
        assert_eq!(failures.held().len(), ADDRESSES_MAX);
    }
}
