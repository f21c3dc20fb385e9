//! The JSON Schema of the configuration, held against files that are right and files that are not.

use crate::documents::{documents, snippets};
use crate::support::edge::tidegate;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tidegate::config::{self, Env, Flags, Overrides, Text};
use tidegate::service::store;

fn validator() -> jsonschema::Validator {
    let schema = config::schema(tidegate::plugins::standard().names());
    jsonschema::draft202012::new(&schema).expect("a schema")
}

fn shipped() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let files = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|found| found == "yaml"));
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).expect("readable");
        let value = serde_yaml::from_str(&text).expect("YAML");
        (path.display().to_string(), value)
    };
    files.map(read).collect()
}

/// Problems that `check` finds, as text.
fn check(value: &Value) -> Result<(), String> {
    let text = Text {
        name: "a file".to_owned(),
        content: value.to_string(),
    };
    let (_writer, reader) = store::store();
    let overrides = Overrides::new(Flags::default(), Env::new(|_| None));
    let registry = tidegate::plugins::standard();
    let checked = config::load(&text, &overrides, &registry, reader, None);
    checked.map(drop).map_err(|problems| problems.to_string())
}

#[tokio::test]
async fn the_command_prints_it() {
    let printed = tidegate(&["schema"]).await;
    assert_eq!(printed.code, Some(0));
    assert_eq!(
        printed.json(),
        config::schema(tidegate::plugins::standard().names())
    );
    assert!(jsonschema::meta::is_valid(&printed.json()));
}

#[test]
fn every_shipped_file_is_as_it_says() {
    let validator = validator();
    let shipped = shipped();
    assert!(shipped.len() >= 3);
    for (name, value) in shipped {
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn every_yaml_snippet_of_the_documents_is_as_it_says() {
    // The plugin that plugins/README.md writes.
    let registry = tidegate::plugins::standard();
    let schema = config::schema(registry.names().chain(["geo"]));
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let mut refused = Vec::new();
    let mut count = 0;
    for (path, text) in documents() {
        for (name, content) in snippets(&path, &text) {
            let value: Value = serde_yaml::from_str(&content).expect("YAML");
            let errors = validator.iter_errors(&value);
            refused.extend(errors.map(|it| format!("{name}: {}: {it}", it.instance_path())));
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn an_unknown_key_is_refused_here_as_by_check_wherever_it_stands() {
    let validator = validator();
    let (_, whole) = shipped()
        .into_iter()
        .find(|(name, _)| name.ends_with("tidegate.yaml"))
        .unwrap();
    assert_eq!(check(&whole), Ok(()));
    for place in [
        "",
        "/admin",
        "/timeouts",
        "/limits",
        "/services/web",
        "/services/web/routes/0",
        "/services/web/update_config",
        "/services/web/hold",
        "/services/web/retries",
        "/services/web/outlier_detection",
    ] {
        let mut file = whole.clone();
        file.pointer_mut(place).expect(place)["surprise"] = json!(1);
        assert!(!validator.is_valid(&file), "{place}");
        let problems = check(&file).unwrap_err();
        assert!(problems.contains("surprise"), "{place}: {problems}");
    }
}

#[test]
fn a_wrong_value_is_refused_here_as_by_check() {
    let validator = validator();
    let (_, whole) = shipped()
        .into_iter()
        .find(|(name, _)| name.ends_with("tidegate.yaml"))
        .unwrap();
    for (place, value) in [
        ("/timeouts/header", json!("soon")),
        ("/max_header_size", json!("much")),
        ("/max_concurrent_starts", json!(0)),
        ("/listen", json!(["everywhere"])),
        ("/services/web/first_port", json!(70_000)),
        ("/services/web/pull", json!("sometimes")),
        ("/services/web/update_config/order", json!("any")),
        ("/services/web/retries/budget", json!("a few")),
        ("/services/web/scale/max", json!("many")),
        ("/services/web/routes/0", json!("www.example.com")),
        ("/plugins/0", json!({ "request-ids": {} })),
    ] {
        let mut file = whole.clone();
        *file.pointer_mut(place).expect(place) = value;
        assert!(!validator.is_valid(&file), "{place}");
        assert!(check(&file).is_err(), "{place}");
    }
    // A key that is null counts as left out.
    let mut file = whole.clone();
    file["services"]["web"]["pull"] = Value::Null;
    assert!(validator.is_valid(&file));
    assert_eq!(check(&file), Ok(()));
}

#[test]
fn every_key_says_what_it_does() {
    let schema = config::schema(tidegate::plugins::standard().names());
    let service = "/properties/services/anyOf/0/additionalProperties/properties";
    for (place, key) in [
        ("/properties", "listen"),
        (service, "hold"),
        (service, "image"),
    ] {
        let keys = schema.pointer(place).expect(place);
        if key != "hold" {
            assert!(
                keys[key]["description"]
                    .as_str()
                    .is_some_and(|it| it.len() > 10),
                "{key}"
            );
        }
    }
    let hold = schema
        .pointer(&format!("{service}/hold/anyOf/0/properties/max"))
        .unwrap();
    assert!(
        hold["description"]
            .as_str()
            .unwrap()
            .contains("Default: `1000`")
    );
}
