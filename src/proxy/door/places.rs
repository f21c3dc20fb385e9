//! How many connections there may be, in all and from one address.

use super::bounds::Bounds;
use crate::service::event::Barrier;
use http::StatusCode;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A line in the log when places run out, and no more often than this.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: u32,
    /// Only addresses that have any.
    by_address: HashMap<IpAddr, u32>,
    complained: Option<Instant>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    ForAll,
    ForThisAddress,
}

impl Full {
    pub fn status(self) -> StatusCode {
        match self {
            Full::ForAll => StatusCode::SERVICE_UNAVAILABLE,
            Full::ForThisAddress => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    pub fn barrier(self) -> Barrier {
        match self {
            Full::ForAll => Barrier::Full,
            Full::ForThisAddress => Barrier::FullForAddress,
        }
    }
}

/// How many clients are connected, whether they ask for something or not.
#[derive(Clone)]
pub struct Connected(Arc<Places>);

impl Connected {
    pub fn of(places: &Arc<Places>) -> Connected {
        Connected(Arc::clone(places))
    }

    pub fn count(&self) -> u32 {
        self.0.taken().all
    }
}

/// Kept for as long as the connection is.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
}

impl Places {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `address` is whom it is counted for, beside everybody.
    pub fn take(self: &Arc<Self>, address: Option<IpAddr>, bounds: &Bounds) -> Result<Place, Full> {
        let address = address.map(whose);
        let mut taken = self.taken();
        if taken.all >= bounds.connections {
            return Err(refuse(taken, Full::ForAll, address, bounds));
        }
        if let Some(address) = address {
            taken = count_for(taken, address, bounds)?;
        }
        taken.all += 1;
        Ok(Place {
            places: Arc::clone(self),
            address,
        })
    }
}

impl Place {
    /// Counts it for `address` as well, which was not known when it was taken.
    pub fn belongs_to(&mut self, address: IpAddr, bounds: &Bounds) -> Result<(), Full> {
        let address = whose(address);
        drop(count_for(self.places.taken(), address, bounds)?);
        self.address = Some(address);
        Ok(())
    }
}

fn count_for<'a>(
    mut taken: MutexGuard<'a, Taken>,
    address: IpAddr,
    bounds: &Bounds,
) -> Result<MutexGuard<'a, Taken>, Full> {
    let of_address = taken.by_address.get(&address).copied().unwrap_or(0);
    if of_address >= bounds.connections_per_address {
        return Err(refuse(taken, Full::ForThisAddress, Some(address), bounds));
    }
    *taken.by_address.entry(address).or_default() += 1;
    Ok(taken)
}

fn refuse(
    mut taken: MutexGuard<'_, Taken>,
    full: Full,
    address: Option<IpAddr>,
    bounds: &Bounds,
) -> Full {
    let now = Instant::now();
    let last = taken.complained;
    if last.is_none_or(|last| now.duration_since(last) >= COMPLAINT_EVERY) {
        taken.complained = Some(now);
        // Every connection takes this lock.
        drop(taken);
        let (key, limit) = match full {
            Full::ForAll => ("limits.connections", bounds.connections),
            Full::ForThisAddress => (
                "limits.connections_per_address",
                bounds.connections_per_address,
            ),
        };
        let who = address.map_or("a proxy".to_owned(), |address| address.to_string());
        log::warn!("refused a connection from {who}: `{key}` is {limit}");
    }
    full
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(address) = self.address
            && let Some(count) = taken.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

/// One who has an IPv6 address has 2^64 of them.
fn whose(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_for_all_and_for_each_and_given_back() {
        let places = Arc::new(Places::default());
        let bounds = Bounds {
            connections: 4,
            connections_per_address: 2,
            header_timeout: Duration::from_secs(1),
            min_rate_bytes: 0,
            proxy_protocol: Vec::new(),
        };
        let take = |address: &str| places.take(address.parse().ok(), &bounds);
        let kept = [take("10.0.0.1").unwrap(), take("10.0.0.1").unwrap()];
        assert_eq!(take("10.0.0.1").err(), Some(Full::ForThisAddress));
        let six = [take("2001:db8::1").unwrap(), take("2001:db8::2").unwrap()];
        assert_eq!(take("10.0.0.2").err(), Some(Full::ForAll));
        assert_eq!(take("proxy").err(), Some(Full::ForAll));
        drop(kept);
        assert_eq!(take("2001:db8::ffff").err(), Some(Full::ForThisAddress));
        assert!(take("2001:db8:0:1::1").is_ok());
        drop(six);
        let proxy: Vec<_> = (0..4).map(|_| take("proxy").unwrap()).collect();
        drop(proxy);
        let mut named: Vec<_> = (0..3).map(|_| take("proxy").unwrap()).collect();
        let names = named.iter_mut();
        let names = names.map(|place| place.belongs_to("10.0.0.1".parse().unwrap(), &bounds));
        let expected = [Ok(()), Ok(()), Err(Full::ForThisAddress)];
        assert_eq!(names.collect::<Vec<_>>(), expected);
        drop(named);
        let taken = places.0.lock().unwrap();
        assert_eq!((taken.all, taken.by_address.len()), (0, 0));
    }
}
