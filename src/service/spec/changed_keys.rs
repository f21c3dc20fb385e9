//! Keys in which two templates differ.

use super::template::Template;

/// Keys of a service whose values differ between two templates, the image first.
pub fn changed_keys(before: &Template, after: &Template) -> Vec<&'static str> {
    let variables = |template: &Template, of_files: bool| {
        let mut variables = template.environment.clone();
        variables.retain(|name, _| template.secrets.contains(name) == of_files);
        variables
    };
    let differs = |of_files| variables(before, of_files) != variables(after, of_files);
    let keys = [
        ("image", before.image != after.image),
        ("port", before.port != after.port),
        ("command", before.command != after.command),
        ("entrypoint", before.entrypoint != after.entrypoint),
        ("environment", differs(false)),
        ("secrets", differs(true)),
        ("volumes", before.volumes != after.volumes),
        ("networks", before.networks != after.networks),
        ("user", before.user != after.user),
        ("cpus", before.nano_cpus != after.nano_cpus),
        ("memory", before.memory_bytes != after.memory_bytes),
    ];
    let changed = keys.into_iter().filter(|(_, differs)| *differs);
    let changed = changed.map(|(key, _)| key);
    changed
        .chain(before.settings.changed(&after.settings))
        .collect()
}
