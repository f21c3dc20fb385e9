//! Nothing that is typed makes `load` panic, and every problem points into the file.

use super::{FILE, try_load};
use proptest::prelude::*;

/// Lines that look like configuration, in any order and at any depth.
fn line() -> impl Strategy<Value = String> {
    let keys = vec![
        "services",
        "web",
        "image",
        "addresses",
        "listen",
        "admin",
        "scale",
        "min",
        "max",
        "first_port",
        "routes",
        "host",
        "path",
        "healthcheck",
        "type",
        "environment",
        "volumes",
        "memory",
        "command",
        "plugins",
        "timeouts",
        "tls",
        "certificates",
        "client_auth",
        "hsts",
        "<<",
        "a.b[0]",
    ];
    let key = prop_oneof![
        6 => prop::sample::select(keys).prop_map(str::to_owned),
        1 => "[a-z_]{1,8}",
    ];
    let value = prop_oneof![
        Just(String::new()),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
        Just("[{path: /a}, {host: b}]".to_owned()),
        Just("&x {a: 1}".to_owned()),
        Just("*x".to_owned()),
        Just("!t v".to_owned()),
        Just("|".to_owned()),
        Just("1s".to_owned()),
        Just("-0.5".to_owned()),
        Just(".nan".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("\"10.0.0.1:80\"".to_owned()),
        ".{0,12}",
    ];
    let dash = prop_oneof![4 => Just(""), 1 => Just("- ")];
    (0usize..4, dash, key, value)
        .prop_map(|(depth, dash, key, value)| format!("{}{dash}{key}: {value}", "  ".repeat(depth)))
}

fn holds(text: &str) -> Result<(), TestCaseError> {
    let Err(problems) = try_load(text) else {
        return Ok(());
    };
    let lines = text.lines().count();
    for problem in problems.iter() {
        prop_assert_eq!(&problem.origin, FILE);
        match problem.line {
            Some(line) => prop_assert!((1..=lines).contains(&line), "{}", problem),
            None => prop_assert_eq!(text, ""),
        }
        prop_assert!(!problem.message.is_empty());
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::cases(1500))]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        holds(&text)?;
    }

    #[test]
    fn any_mixture_of_keys_and_values_is_answered(lines in prop::collection::vec(line(), 0..25)) {
        holds(&lines.join("\n"))?;
    }

    #[test]
    fn any_damage_to_a_good_file_is_answered(
        at in 0usize..1000,
        cut in 0usize..20,
        put in ".{0,10}",
    ) {
        let mut text: Vec<char> = GOOD.chars().collect();
        let start = at % text.len();
        let end = (start + cut).min(text.len());
        text.splice(start..end, put.chars());
        holds(&text.into_iter().collect::<String>())?;
    }
}

const GOOD: &str = r#"listen: ["0.0.0.0:80"]
admin: { listen: "127.0.0.1:9180" }
timeouts: { keepalive: 60s }
services:
  acts: &acts
    image: acts:latest
    port: 80
    volumes: ["acts-data:/data"]
    environment: { KEY: value, GREETING: }
    routes: [ { host: "acts.example.com", path: /api/v1 } ]
    healthcheck: { path: /up, interval: 1s, retries: 1 }
    scale:
      min: 1
      max: 10
      exclude: [/up]
    memory: 256m
    cpus: 0.5
  other:
    <<: *acts
    first_port: 9000
    routes: [path: /other]
  legacy:
    addresses: ["10.0.0.7:8080"]
    plugins:
    - limit: { requests: 5 }
plugins: [access-log, clock]
"#;

#[test]
fn the_file_that_gets_damaged_is_good() {
    super::good(GOOD);
}
