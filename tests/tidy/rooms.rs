//! Rooms: who may import whom, and who may name which crate.

use super::graph::Graph;
use super::source::library;

/// Rooms, each with those that it may import. `src/README.md` has the reasons.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("certs", &[]),
    ("acme", &["certs", "service"]),
    ("service", &[]),
    ("plan", &["service"]),
    ("plugin", &["log_writer", "plan", "service"]),
    ("log_writer", &[]),
    ("plugins", &["plugin"]),
    ("engine", &["service"]),
    ("control", &["engine", "plan", "plugin", "service"]),
    ("proxy", &["certs", "plugin", "service"]),
    ("config", &["certs", "plugin", "service"]),
    ("admin", &["certs", "service"]),
    ("simulate", &["plan", "service"]),
    ("labels", &[]),
    (
        "app",
        &[
            "acme", "admin", "certs", "config", "control", "engine", "plugin", "proxy", "service",
        ],
    ),
    (
        "cli",
        &[
            "admin",
            "app",
            "acme",
            "certs",
            "config",
            "control",
            "labels",
            "log_writer",
            "plan",
            "plugin",
            "service",
            "simulate",
        ],
    ),
];

/// Which rooms may name a crate that must not leak.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("instant_acme", &["acme"]),
    ("dns_update", &["acme"]),
    ("bollard", &["engine"]),
    ("pingora", &["proxy", "plugin", "plugins", "app"]),
    ("pingora_load_balancing", &["plugins"]),
    ("pingora_ketama", &["service"]),
    ("clap", &["cli"]),
    ("axum", &["admin", "app"]),
    ("ratatui", &["cli"]),
    ("schemars", &["admin"]),
];

#[test]
fn every_room_imports_only_whom_it_may() {
    let graph = Graph::new(library());
    let mut broken = Vec::new();
    for (at, file) in graph.files.iter().enumerate() {
        let Some(room) = file.module.first() else {
            continue;
        };
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| name == room) else {
            panic!(
                "{}: a new room; add it to MAY_IMPORT in tests/tidy/rooms.rs",
                file.name
            );
        };
        for other in graph.rooms(at) {
            let known = MAY_IMPORT.iter().any(|(name, _)| *name == other);
            if known && !allowed.contains(&other.as_str()) {
                broken.push(format!(
                    "{}: `{room}` must not import `{other}`; pass what it needs in from \
                     app/start.rs, or move the type to a room that both may import",
                    file.name
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn crates_that_must_not_leak_are_named_only_in_their_rooms() {
    let mut broken = Vec::new();
    for file in library() {
        let Some(room) = file.module.first() else {
            continue;
        };
        for (name, rooms) in MAY_NAME {
            let ways = ["{}::", "use {};", "use {} as"];
            let named = ways
                .iter()
                .any(|way| file.code.contains(&way.replace("{}", name)));
            if named && !rooms.contains(&room.as_str()) {
                broken.push(format!(
                    "{}: `{name}` belongs into {rooms:?} only",
                    file.name
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_running_process_knows_its_engines_in_one_file() {
    for file in library() {
        if file.module.first().is_some_and(|room| room == "app")
            && !file.name.ends_with("/engines.rs")
        {
            assert!(
                !file.code.contains("engine::docker") && !file.code.contains("Docker"),
                "{}: only app/engines.rs says Docker; give it a function for what is needed here",
                file.name
            );
        }
    }
}

#[test]
fn the_planner_knows_no_clock_no_log_and_no_task() {
    for file in library() {
        if file.module.first().is_none_or(|room| room != "plan") {
            continue;
        }
        for banned in [
            "async ",
            "Instant::",
            "SystemTime",
            "log::",
            "tokio",
            "std::env",
            "std::fs",
        ] {
            assert!(
                !file.code.contains(banned),
                "{}: `{banned}` in plan/; the planner is a pure function, give it what it needs \
                 as an argument",
                file.name
            );
        }
    }
}
