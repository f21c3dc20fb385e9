//! Conflicts over host ports.

use super::outline::Outline;
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

/// Reports ranges that exceed the last port, that overlap, or that contain a listener of Tidegate.
pub fn conflicts(at: &At<'_>, services: &[Outline], ours: &[SocketAddr]) {
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
    let (first, count) = service.ports?;
    let first = u32::from(first);
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
    ranges.find(|range| {
        range.last <= u32::from(LAST_PORT)
            && others().all(|other| !other.overlaps(range.first, range.last))
            && ours.iter().all(|address| !range.overlaps_ours(*address))
    })
}
