//! Shipped configurations, and what every crate begins with.

use super::source::{files, root};
use std::fs;
use tidegate::config::{self, Env, Flags, Overrides, Text};
use tidegate::service::store;

#[test]
fn every_shipped_configuration_loads() {
    // Files in its folders are for other programs.
    let conf = root().join("conf");
    let mut shipped = files("conf", "yaml");
    let ours = [conf.clone(), conf.join("deb")];
    shipped.retain(|path| {
        path.parent()
            .is_some_and(|parent| ours.iter().any(|our| our == parent))
    });
    assert!(shipped.len() >= 3, "conf/ holds the shipped configurations");
    for path in shipped {
        let text = Text {
            name: path.display().to_string(),
            content: fs::read_to_string(&path).expect("readable"),
        };
        let (_writer, reader) = store::store();
        let overrides = Overrides::new(Flags::default(), Env::new(|_| None));
        let registry = tidegate::plugins::standard();
        if let Err(problems) = config::load(&text, &overrides, &registry, reader, None) {
            panic!("{problems}");
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_in_every_crate() {
    for path in [
        "src/lib.rs",
        "bench/attack/src/main.rs",
        "bench/chaos/src/main.rs",
        "bench/replay/src/main.rs",
        "bench/replay/work/src/main.rs",
        "bench/compare/src/lib.rs",
        "bench/kit/src/lib.rs",
        "examples/acts/load/src/lib.rs",
        "examples/acts/load/src/main.rs",
        "bench/micro/benches/main.rs",
        "examples/acts/src/main.rs",
        "tests/outsider/src/main.rs",
    ] {
        let text = fs::read_to_string(root().join(path)).expect("readable");
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "{path}: add #![forbid(unsafe_code)]"
        );
    }
}
