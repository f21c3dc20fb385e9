//! Tables of files, with the configuration or the messages that `load` returns.

mod balance;
mod claims;
mod containers;
mod default_scaling;
mod diffs;
mod failover;
mod foreign_words;
mod include;
mod mistakes;
mod overrides;
mod plugins;
mod properties;
mod services;
mod settings;
mod sleep;
mod stubs;
mod text;
mod tls;
mod top;
mod upstream;
mod variables;

use super::{Config, Env, Flags, Overrides, Problems, Text, load};
use crate::service::spec::Spec;
use crate::service::store::store;

pub const FILE: &str = "edge.yaml";

pub fn text(yaml: &str) -> Text {
    Text {
        name: FILE.to_owned(),
        content: yaml.to_owned(),
    }
}

/// An environment with `HOME` and one more variable.
pub fn env() -> Env {
    Env::new(|name| match name {
        "HOME" => Some("/home/someone".to_owned()),
        "GREETING" => Some("hello".to_owned()),
        _ => None,
    })
}

pub fn try_load(yaml: &str) -> Result<Config, Problems> {
    reload(yaml, None)
}

pub fn reload(yaml: &str, previous: Option<&Config>) -> Result<Config, Problems> {
    let overrides = Overrides::new(Flags::default(), env());
    let (_, reader) = store();
    load(
        &text(yaml),
        &overrides,
        &stubs::registry(),
        reader,
        previous,
    )
}

pub fn good(yaml: &str) -> Config {
    try_load(yaml).unwrap_or_else(|problems| panic!("{problems}\nin\n{yaml}"))
}

/// The only service of `yaml`.
pub fn spec(yaml: &str) -> Spec {
    let config = good(yaml);
    assert_eq!(config.services.len(), 1);
    config.services[0].spec.as_ref().clone()
}

/// `yaml` has exactly the problems of `expected`, in these words, the count line aside.
#[track_caller]
pub fn check(yaml: &str, expected: &str) {
    let Err(problems) = try_load(yaml) else {
        panic!("nothing is wrong with\n{yaml}");
    };
    compare(&problems, yaml, expected);
}

#[track_caller]
pub fn compare(problems: &Problems, yaml: &str, expected: &str) {
    let lines: Vec<String> = expected.trim().lines().map(unindented).collect();
    let found = problems.to_string();
    let (found, count) = found.rsplit_once('\n').expect("there is a count line");
    assert_eq!(found, lines.join("\n"), "\nin\n{yaml}");
    let is_one = problems.iter().count() == 1;
    assert_eq!(count.ends_with("problem"), is_one, "{count}");
}

/// Expectations stand at the indentation of their test.
fn unindented(line: &str) -> String {
    match line.trim() {
        hint if hint.starts_with("hint:") => format!("  {hint}"),
        line => line.to_owned(),
    }
}

/// A service with `keys` in it: the name is on line 2, the keys begin on line 4.
pub fn web(keys: &str) -> String {
    let keys = keys.trim_matches('\n').lines();
    let keys: Vec<String> = keys.map(|line| format!("    {line}\n")).collect();
    format!("services:\n  web:\n    image: web\n{}", keys.concat())
}
