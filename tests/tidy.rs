//! The rules of the house, each failing with what to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tidegate::config::{self, Env, Flags, Overrides, Text};
use tidegate::service::store;

/// Who may import whom. `src/README.md` says why.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("service", &[]),
    ("plan", &["service"]),
    ("plugin", &["log_writer", "plan", "service"]),
    ("log_writer", &[]),
    ("plugins", &["plugin"]),
    ("engine", &["service"]),
    ("control", &["engine", "plan", "plugin", "service"]),
    ("proxy", &["plugin", "service"]),
    ("config", &["plugin", "service"]),
    ("admin", &["service"]),
    ("simulate", &["plan", "service"]),
    ("labels", &[]),
    (
        "app",
        &[
            "admin", "config", "control", "engine", "plugin", "proxy", "service",
        ],
    ),
    (
        "cli",
        &[
            "admin",
            "app",
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
    ("bollard", &["engine"]),
    ("pingora", &["proxy", "plugin", "plugins", "app"]),
    ("pingora_load_balancing", &["plugins"]),
    ("pingora_ketama", &["service"]),
    ("clap", &["cli"]),
    ("axum", &["admin", "app"]),
    ("ratatui", &["cli"]),
    ("schemars", &["admin"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found
}

/// The room of a source file, as in `proxy` for `src/proxy/route.rs`.
fn room(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root()).ok()?;
    let mut parts = inside
        .iter()
        .map(|part| part.to_string_lossy().into_owned());
    match parts.next()?.as_str() {
        "plugins" => Some("plugins".to_owned()),
        _ => {
            let name = parts.next()?;
            let name = name.strip_suffix(".rs").unwrap_or(&name).to_owned();
            (!["main", "lib"].contains(&name.as_str())).then_some(name)
        }
    }
}

/// Lines of code: tests may reach wherever they like, comments may name anything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("readable");
    let until_tests = text
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let lines = until_tests
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn sources() -> Vec<(PathBuf, String, String)> {
    let all = files("src", "rs").into_iter().chain(files("plugins", "rs"));
    all.filter(|path| !path.to_string_lossy().contains("tests"))
        .filter_map(|path| Some((path.clone(), room(&path)?, code(&path))))
        .collect()
}

/// The rooms that `crate::…` paths in `code` lead to, grouped imports included.
fn imports(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let group = after
            .strip_prefix('{')
            .and_then(|rest| rest.split('}').next());
        let names = group
            .unwrap_or(after)
            .split(',')
            .take(if group.is_some() { 99 } else { 1 });
        for name in names {
            let name: String = name
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            rooms.insert(name);
        }
    }
    rooms
}

#[test]
fn every_room_imports_only_whom_it_may() {
    let mut broken = Vec::new();
    for (path, room, code) in sources() {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
            panic!(
                "{}: a new room; add it to MAY_IMPORT in tests/tidy.rs",
                path.display()
            );
        };
        for other in imports(&code) {
            let known = MAY_IMPORT.iter().any(|(name, _)| *name == other);
            if known && other != room && !allowed.contains(&other.as_str()) {
                broken.push(format!(
                    "{}: `{room}` must not import `{other}`; pass what it needs in from app/start.rs, \
                     or move the type to a room that both may import",
                    path.display()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn crates_that_must_not_leak_are_named_only_in_their_rooms() {
    let mut broken = Vec::new();
    for (path, room, code) in sources() {
        for (name, rooms) in MAY_NAME {
            let ways = ["{}::", "use {};", "use {} as"];
            let named = ways
                .iter()
                .any(|way| code.contains(&way.replace("{}", name)));
            if named && !rooms.contains(&room.as_str()) {
                broken.push(format!(
                    "{}: `{name}` belongs into {rooms:?} only",
                    path.display()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_planner_knows_no_clock_no_log_and_no_task() {
    for (path, room, code) in sources() {
        if room != "plan" {
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
                !code.contains(banned),
                "{}: `{banned}` in plan/; the planner is a pure function, give it what it needs \
                 as an argument",
                path.display()
            );
        }
    }
}

#[test]
fn every_shipped_configuration_loads() {
    // What stands in its folders is for other programs.
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
