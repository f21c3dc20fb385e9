//! Host ports: the choice of those that no key names, and conflicts.

use super::outline::{Outline, Ports};
use crate::config::checked::Config;
use crate::config::report::At;
use crate::service::spec::{LAST_PORT, ServiceName};
use std::net::SocketAddr;

/// Host ports of a service, from `first` to `last`, which may exceed the last port.
#[derive(Clone, Copy)]
struct PortRange<'s> {
    service: &'s ServiceName,
    first: u32,
    last: u32,
}

impl PortRange<'_> {
    fn count(self) -> u32 {
        self.last - self.first + 1
    }

    fn overlaps(self, first: u32, last: u32) -> bool {
        self.first <= last && first <= self.last
    }
}

/// First port that is chosen.
const FIRST_PORT: u32 = 8000;
/// Distance of chosen ranges, so that a larger `max` moves no other service.
const STEP: usize = 100;

/// Chooses the first port of each service that names none: the one that it has had, or the next
/// range from 8000 that is free.
///
/// Services take their turn in the order of the file, so a service that is added at the end moves
/// no other one.
pub fn choose(services: &mut [Outline], ours: &[SocketAddr], previous: Option<&Config>) {
    let before = |name: &ServiceName| {
        let mut services = previous?.services.iter();
        let service = services.find(|service| service.spec.name == *name)?;
        Some(service.spec.template()?.first_port)
    };
    for index in 0..services.len() {
        let first = before(&services[index].name);
        choose_one(services, index, ours, first.map(u32::from).into_iter());
    }
    for index in 0..services.len() {
        let aligned = (FIRST_PORT..=u32::from(LAST_PORT)).step_by(STEP);
        let any = FIRST_PORT..=u32::from(LAST_PORT);
        choose_one(services, index, ours, aligned.chain(any));
    }
}

/// Takes the first of `starts` at which the ports of one service are free, if it has none yet.
fn choose_one(
    services: &mut [Outline],
    index: usize,
    ours: &[SocketAddr],
    starts: impl Iterator<Item = u32>,
) {
    let Some(Ports { first: None, count }) = services[index].ports else {
        return;
    };
    let taken: Vec<PortRange<'_>> = services.iter().filter_map(ports).collect();
    let mut ranges = starts.map(|first| PortRange {
        service: &services[index].name,
        first,
        last: first + count - 1,
    });
    let free = ranges.find(|range| range.is_free(taken.iter(), ours));
    let first = free.and_then(|range| u16::try_from(range.first).ok());
    services[index].ports = Some(Ports { first, count });
}

/// Reports ranges that exceed the last port, that overlap, or that contain a listener of Tidegate.
pub fn conflicts(at: &At<'_>, services: &[Outline], ours: &[SocketAddr]) {
    for service in services {
        if let Some(Ports { first: None, count }) = service.ports {
            at.key(service.name.as_str()).error_hint(
                format!("{count} host ports in a row are free nowhere"),
                "lower `scale.max` of some services",
            );
        }
    }
    let taken: Vec<PortRange<'_>> = services.iter().filter_map(ports).collect();
    // With what hints give away, so that no two give the same.
    let mut promised = taken.clone();
    for (index, ports) in taken.iter().enumerate() {
        let service = at.key(ports.service.as_str());
        if ports.last > u32::from(LAST_PORT) {
            let room = u32::from(LAST_PORT) - ports.first + 1;
            service.error_on(
                &["first_port"],
                format!(
                    "the port range is too small: {room} ports from `first_port` {}, \
                     but `scale.max` is {}",
                    ports.first,
                    ports.count()
                ),
                format!(
                    "lower `first_port` to at most {}, or `max` to at most {room}",
                    u32::from(LAST_PORT) + 1 - ports.count()
                ),
            );
            continue;
        }
        let others = taken[..index].iter();
        let other = others
            .copied()
            .find(|other| other.overlaps(ports.first, ports.last));
        let message = match other {
            Some(other) => format!(
                "host ports {} to {} overlap with those of `{}`, {} to {}",
                ports.first, ports.last, other.service, other.first, other.last
            ),
            None => match ours.iter().find(|ours| ports.overlaps_ours(**ours)) {
                Some(address) => format!(
                    "host ports {} to {} overlap with `{address}`, where Tidegate listens",
                    ports.first, ports.last
                ),
                None => continue,
            },
        };
        let hint = match next_free(*ports, &promised, ours) {
            Some(free) => {
                promised.push(free);
                format!("the next free range: `first_port: {}`", free.first)
            }
            None => "lower `max` of one of the two".to_owned(),
        };
        service.error_on(&["first_port"], message, hint);
    }
}

fn ports(service: &Outline) -> Option<PortRange<'_>> {
    let Ports { first, count } = service.ports?;
    let first = u32::from(first?);
    Some(PortRange {
        service: &service.name,
        first,
        last: first + count - 1,
    })
}

impl PortRange<'_> {
    /// Whether a listener at `address` occupies one of these ports on 127.0.0.1.
    fn overlaps_ours(self, address: SocketAddr) -> bool {
        let is_here = address.ip().is_unspecified() || address.ip().is_loopback();
        let port = u32::from(address.port());
        is_here && self.overlaps(port, port)
    }

    fn is_free<'p>(
        self,
        mut others: impl Iterator<Item = &'p PortRange<'p>>,
        ours: &[SocketAddr],
    ) -> bool {
        self.last <= u32::from(LAST_PORT)
            && others.all(|other| !other.overlaps(self.first, self.last))
            && ours.iter().all(|address| !self.overlaps_ours(*address))
    }
}

/// First free range above `wanted`.
fn next_free<'s>(
    wanted: PortRange<'s>,
    taken: &[PortRange<'_>],
    ours: &[SocketAddr],
) -> Option<PortRange<'s>> {
    let others = || taken.iter().filter(|other| other.service != wanted.service);
    let ends = others().map(|other| other.last);
    let mut starts: Vec<u32> = ends
        .chain(ours.iter().map(|address| u32::from(address.port())))
        .map(|end| end + 1)
        .filter(|start| *start > wanted.first)
        .collect();
    starts.sort_unstable();
    let mut ranges = starts.into_iter().map(|first| PortRange {
        first,
        last: first + wanted.count() - 1,
        ..wanted
    });
    ranges.find(|range| range.is_free(others(), ours))
}
