//! Names of labels, and the labels that everything of an instance carries.

use std::collections::HashMap;

pub type Labels = HashMap<String, String>;

pub const PREFIX: &str = "io.tidegate.";
pub const MANAGED: &str = "io.tidegate.managed";
pub const INSTANCE: &str = "io.tidegate.instance";
pub const SERVICE: &str = "io.tidegate.service";
pub const SLOT: &str = "io.tidegate.slot";
pub const SPEC: &str = "io.tidegate.spec";
pub const GENERATION: &str = "io.tidegate.generation";
/// Name of the configured template, and the template of the container as JSON. They differ after a
/// deploy by hand or a rollback, which a restart must not undo.
pub const DECLARED: &str = "io.tidegate.declared";
pub const TEMPLATE: &str = "io.tidegate.template";
/// The file's image when another one was deployed by hand, and the time of that, as JSON.
pub const DEPLOYED: &str = "io.tidegate.deployed";
/// Desired count when the container was created, so that a restart can tell surge replicas of a
/// rollout apart.
pub const WANTED: &str = "io.tidegate.wanted";
/// The port inside the container, so that a restart knows it without the configuration.
pub const PORT: &str = "io.tidegate.port";
/// Proof that this Tidegate wrote the other labels, and for which container.
pub const SEAL: &str = "io.tidegate.seal";

/// Labels of everything that this instance makes: containers, networks, volumes.
pub fn owned(instance: &str) -> Labels {
    HashMap::from([
        (MANAGED.into(), "true".into()),
        (INSTANCE.into(), instance.into()),
    ])
}

/// Filter for this instance's containers.
pub fn filter(instance: &str) -> (String, Vec<String>) {
    let labels = vec![format!("{MANAGED}=true"), format!("{INSTANCE}={instance}")];
    ("label".into(), labels)
}

pub fn is_ours(instance: &str, labels: &Labels) -> bool {
    owned(instance)
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

/// Drops the labels that are not Tidegate's.
pub fn only_ours(labels: &mut Labels) {
    labels.retain(|key, _| key.starts_with(PREFIX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_instance_is_not_ours() {
        assert!(is_ours("a", &owned("a")));
        assert!(!is_ours("a", &owned("b")));
        assert!(!is_ours("a", &HashMap::new()));
    }
}
