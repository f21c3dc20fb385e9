//! Consistent hashing: the same client gets the same replica, as far as that goes.

use super::replica::Replica;
use pingora_ketama::{Bucket, Continuum};
use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

/// A hash ring as in libketama and nginx: each replica has 160 points on it, and a key belongs to
/// the next point.
pub struct Ring {
    points: Continuum,
    positions: HashMap<SocketAddr, usize>,
}

/// A ring that is built at its first use. A clone builds its own, because its replicas may differ.
#[derive(Debug, Default)]
pub struct LazyRing(OnceLock<Ring>);

impl LazyRing {
    /// The ring of `ready`.
    pub fn of(&self, ready: &[Arc<Replica>]) -> &Ring {
        self.0.get_or_init(|| Ring::of(ready))
    }
}

impl Clone for LazyRing {
    fn clone(&self) -> LazyRing {
        LazyRing::default()
    }
}

/// Points of one replica.
const POINTS_EACH: usize = 160;

impl Ring {
    fn of(ready: &[Arc<Replica>]) -> Ring {
        let seats = ready.iter().map(|replica| seat(replica));
        let positions: HashMap<_, _> = seats.zip(0..).collect();
        let buckets: Vec<_> = positions.keys().map(|seat| Bucket::new(*seat, 1)).collect();
        Ring {
            points: Continuum::new(&buckets),
            positions,
        }
    }

    /// Positions of replicas, the best for `key` first; each may come several times.
    pub fn from(&self, key: &[u8]) -> impl Iterator<Item = usize> {
        let points = self.points.node_iter(key);
        let all = points.take(POINTS_EACH * self.positions.len());
        all.filter_map(|seat| self.positions.get(seat).copied())
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}

/// The identity that outlives a replacement: the slot, or the address of a fixed one.
fn seat(replica: &Replica) -> SocketAddr {
    let fixed = replica.id.0.parse();
    fixed.unwrap_or_else(|_| (Ipv4Addr::LOCALHOST, replica.slot).into())
}
