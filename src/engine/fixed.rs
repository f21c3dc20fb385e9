//! Fixed addresses, which others run: nothing is started or stopped, and health checks alone decide
//! whether they are used.

use crate::service::replica::{Observed, ReplicaId, RunState};
use crate::service::spec::{Slot, Source, Spec, SpecHash};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

/// Containers count generations in milliseconds since 1970, which leave this bit alone.
const NOT_A_TIME: u64 = 1 << 63;

/// Replicas for the addresses, in the order of the configuration; none for a container service.
pub fn observe(spec: &Spec) -> Vec<Observed> {
    let Source::Addresses(addresses) = &spec.source else {
        return Vec::new();
    };
    (0..=Slot::MAX)
        .zip(addresses)
        .map(|(slot, &address)| Observed {
            service: spec.name.clone(),
            id: ReplicaId::new(address.to_string()),
            slot,
            generation: generation(address),
            spec: SpecHash::new("fixed"),
            made: None,
            image: None,
            state: RunState::Running,
            addresses: vec![address],
        })
        .collect()
}

/// Generation of an address, whatever its position, so that a reload keeps its connections.
fn generation(address: SocketAddr) -> u64 {
    let digest = Sha256::digest(address.to_string());
    let first = digest.first_chunk().expect("a digest has 32 bytes");
    u64::from_be_bytes(*first) | NOT_A_TIME
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing;

    fn service(addresses: &[&str]) -> Spec {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        testing::service("legacy", Source::Addresses(addresses))
    }

    #[test]
    fn every_address_is_a_running_replica_in_its_own_slot() {
        let seen = observe(&service(&["10.0.0.7:8080", "[::1]:80"]));
        let seen: Vec<_> = seen
            .iter()
            .map(|replica| {
                (
                    replica.slot,
                    replica.id.to_string(),
                    replica.addresses[0].port(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (0, "10.0.0.7:8080".into(), 8080),
                (1, "[::1]:80".into(), 80)
            ]
        );
    }

    #[test]
    fn a_generation_belongs_to_the_address_and_is_never_a_time() {
        let before = observe(&service(&["10.0.0.7:80", "10.0.0.8:80"]));
        let after = observe(&service(&["10.0.0.8:80"]));
        assert_eq!(before[1].generation, after[0].generation);
        assert_ne!(before[0].generation, before[1].generation);
        assert!(
            before
                .iter()
                .all(|replica| replica.generation >= NOT_A_TIME)
        );
    }
}
