//! The gate before certificates on demand: limits on questions to `ask`, and answers that are kept.

use crate::certs::CertName;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

/// Questions in a second, in all.
const ASKS_PER_SECOND: usize = 10;
/// Questions of one address in a minute.
const ASKS_PER_MINUTE: usize = 5;
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
/// Time for which a refusal is kept.
const REFUSED_FOR: Duration = Duration::from_secs(10 * 60);
/// Refusals that are kept; a scanner tries many names.
const REFUSALS_MAX: usize = 10_000;
/// IPv6 addresses of one client are counted together.
const IPV6_PREFIX: u128 = !0 << 64;

#[derive(Default)]
pub struct Gate {
    asked: VecDeque<Instant>,
    by_client: HashMap<IpAddr, VecDeque<Instant>>,
    refused: HashMap<CertName, Instant>,
}

/// Messages about `ask` that were logged already, so that each is logged once.
#[derive(Default)]
pub struct Warned {
    /// The URL that was tried with a name of nobody.
    pub tried: Option<String>,
    pub is_failing: bool,
}

/// Reasons not to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// Refused not long ago.
    Refused,
    /// Too many questions of all.
    Busy,
    /// Too many questions of this client.
    Client,
}

impl Gate {
    /// Counts a question of `client` for `name`, unless there must be none.
    pub fn pass(&mut self, name: &CertName, client: IpAddr, now: Instant) -> Result<(), Shut> {
        let expired = |at: &Instant, after: Duration| now.duration_since(*at) >= after;
        match self.refused.get(name) {
            Some(at) if !expired(at, REFUSED_FOR) => return Err(Shut::Refused),
            Some(_) => drop(self.refused.remove(name)),
            None => {}
        }
        self.asked.retain(|at| !expired(at, SECOND));
        if self.asked.len() >= ASKS_PER_SECOND {
            return Err(Shut::Busy);
        }
        // Bounded by the questions of a minute.
        self.by_client.retain(|_, asked| {
            asked.retain(|at| !expired(at, MINUTE));
            !asked.is_empty()
        });
        let own = self.by_client.entry(group(client)).or_default();
        if own.len() >= ASKS_PER_MINUTE {
            return Err(Shut::Client);
        }
        own.push_back(now);
        self.asked.push_back(now);
        Ok(())
    }

    /// Keeps a refusal.
    pub fn refuse(&mut self, name: CertName, now: Instant) {
        if self.refused.len() >= REFUSALS_MAX {
            self.refused
                .retain(|_, at| now.duration_since(*at) < REFUSED_FOR);
        }
        if self.refused.len() < REFUSALS_MAX {
            self.refused.insert(name, now);
        }
    }
}

fn group(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & IPV6_PREFIX).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: usize) -> CertName {
        format!("n{n}.example.com").parse().unwrap()
    }

    fn client(n: u8) -> IpAddr {
        [192, 0, 2, n].into()
    }

    #[test]
    fn a_client_has_five_questions_a_minute() {
        let (mut gate, start) = (Gate::default(), Instant::now());
        for n in 0..5 {
            let at = start + SECOND * n;
            gate.pass(&name(n as usize), client(1), at).unwrap();
        }
        let at = start + SECOND * 10;
        assert_eq!(gate.pass(&name(9), client(1), at), Err(Shut::Client));
        gate.pass(&name(9), client(2), at).unwrap();
        gate.pass(&name(9), client(1), start + MINUTE).unwrap();
        // One network of IPv6 is one client.
        for n in 0..5 {
            let address = format!("2001:db8::{n}").parse().unwrap();
            gate.pass(&name(n), address, start + MINUTE * 3).unwrap();
        }
        let address = "2001:db8::ffff:1".parse().unwrap();
        let asked = gate.pass(&name(9), address, start + MINUTE * 3);
        assert_eq!(asked, Err(Shut::Client));
    }

    #[test]
    fn all_clients_have_ten_questions_a_second() {
        let (mut gate, start) = (Gate::default(), Instant::now());
        for n in 0..10 {
            gate.pass(&name(n), client(n as u8), start).unwrap();
        }
        assert_eq!(gate.pass(&name(11), client(11), start), Err(Shut::Busy));
        gate.pass(&name(11), client(11), start + SECOND).unwrap();
    }

    #[test]
    fn a_refusal_is_kept_for_ten_minutes() {
        let (mut gate, start) = (Gate::default(), Instant::now());
        gate.refuse(name(1), start);
        let asked = gate.pass(&name(1), client(1), start + MINUTE * 9);
        assert_eq!(asked, Err(Shut::Refused));
        gate.pass(&name(1), client(1), start + MINUTE * 10).unwrap();
        for n in 0..20_000 {
            gate.refuse(name(n), start);
        }
        assert_eq!(gate.refused.len(), REFUSALS_MAX);
    }
}
