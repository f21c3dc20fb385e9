//! Labels for a container: what the replica is.

use super::names::{
    DECLARED, DEPLOYED, GENERATION, Labels, PORT, SEAL, SERVICE, SLOT, SPEC, TEMPLATE, WANTED,
    owned,
};
use super::seal::Seal;
use crate::service::spec::{Slot, Spec, SpecHash, Version};

/// All labels of a replica but the seal.
pub fn of_replica(
    instance: &str,
    spec: &Spec,
    version: &Version,
    slot: Slot,
    generation: u64,
    seal: Option<&Seal>,
) -> Labels {
    let mut labels = owned(instance);
    let declared = spec.declared().unwrap_or_else(|| version.hash.clone());
    let name = |hash: &SpecHash| match seal {
        Some(seal) => seal.encipher(hash.as_str()),
        None => hash.as_str().to_owned(),
    };
    labels.extend([
        (SERVICE.into(), spec.name.to_string()),
        (SLOT.into(), slot.to_string()),
        (SPEC.into(), name(&version.hash)),
        (GENERATION.into(), generation.to_string()),
        (PORT.into(), version.template.port.to_string()),
        (DECLARED.into(), name(&declared)),
        (TEMPLATE.into(), version.template.to_label()),
    ]);
    labels.extend(
        version
            .manual
            .as_ref()
            .map(|manual| (DEPLOYED.into(), manual.to_label())),
    );
    labels.extend(
        spec.wanted
            .map(|wanted| (WANTED.into(), wanted.to_string())),
    );
    labels
}

/// The labels with the seal for the container of this name.
pub fn sealed(labels: &Labels, container: &str, seal: Option<&Seal>) -> Labels {
    let mut labels = labels.clone();
    labels.extend(seal.map(|seal| (SEAL.into(), seal.of(container, &labels))));
    labels
}
