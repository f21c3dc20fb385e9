//! The documents, held against the program: snippets load, metrics exist, links lead somewhere.

use crate::support::tls::Authority;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tidegate::config::{self, Config, Env, Flags, Overrides, Text};
use tidegate::plugin::prelude::*;
use tidegate::service::store::{self, Writer};

/// Above a ```yaml block that is not a file of its own: the keys beside `services`.
const FRAGMENT: &str = "<!-- fragment -->";
/// Stands behind fragments, so that they are files.
const ANY_SERVICE: &str = "\nservices: { any: { image: any } }\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file of the repository, by its path in it.
pub fn documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || ["target", "node_modules"].contains(&&*name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".md") {
                let text = fs::read_to_string(&path).expect("readable");
                let inside = path.strip_prefix(root()).expect("found there");
                found.push((inside.to_path_buf(), text));
            }
        }
    }
    found
}

/// The plugin that plugins/README.md writes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Geo {
    #[serde(rename = "country")]
    _country: String,
}

impl Plugin for Geo {
    const NAME: &'static str = "geo";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        hooks.filter(self);
        Ok(())
    }
}

impl Filter for Geo {}

fn load(name: String, content: String) -> (Config, Writer) {
    let text = Text { name, content };
    let (writer, reader) = store::store();
    let overrides = Overrides::new(Flags::default(), Env::new(|_| None));
    let registry = tidegate::plugins::standard().with::<Geo>();
    match config::load(&text, &overrides, &registry, reader, None) {
        Ok(config) => (config, writer),
        Err(problems) => panic!("{problems}"),
    }
}

/// The ```yaml blocks of a document as files, each named by its first line.
pub fn snippets(path: &Path, text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if line.trim() != "```yaml" {
            continue;
        }
        let block = lines[index + 1..].iter();
        let block: Vec<&str> = block.take_while(|line| **line != "```").copied().collect();
        let before = lines[..index].iter().rev().find(|line| !line.is_empty());
        let is_fragment = before.is_some_and(|line| *line == FRAGMENT);
        let mut content = block.join("\n");
        if is_fragment {
            content += ANY_SERVICE;
        }
        found.push((format!("{}:{}", path.display(), index + 2), content));
    }
    found
}

#[test]
fn every_yaml_snippet_loads() {
    // Files that snippets name, beside which they are loaded.
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("root");
    authority.write(folder.path(), "example", &["example.com"]);
    authority.write(folder.path(), "tidegate", &["tidegate.internal"]);
    for name in ["clients.pem", "ca.pem"] {
        fs::write(folder.path().join(name), &authority.pem).expect("written");
    }
    let mut count = BTreeMap::new();
    for (path, text) in documents() {
        for (name, content) in snippets(&path, &text) {
            let name = format!("the snippet at {}", name.replace('/', " "));
            load(folder.path().join(name).display().to_string(), content);
            *count.entry(path.clone()).or_insert(0) += 1;
        }
    }
    for document in ["README.md", "conf/README.md", "plugins/README.md"] {
        assert!(count.contains_key(Path::new(document)), "{document}");
    }
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let mut broken = Vec::new();
    for (path, text) in documents() {
        for after in text.split("](").skip(1) {
            let target = after.split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            let folder = root().join(path.parent().unwrap_or(Path::new("")));
            if !target.contains("://") && !folder.join(file).exists() {
                broken.push(format!("{}: there is no {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Plain English: a sentence begins with the thing that it is about.
#[test]
fn no_sentence_begins_with_a_pronoun() {
    let mut wrong = Vec::new();
    for (path, text) in documents() {
        let mut is_code = false;
        for (index, line) in text.lines().enumerate() {
            if line.starts_with("```") {
                is_code = !is_code;
            }
            let sentences = line.split(['.', ':', '!', '?', '|']).filter(|_| !is_code);
            let first = sentences.filter_map(|sentence| {
                let mut words = sentence.split(|c: char| !c.is_alphanumeric());
                words.find(|word| !word.is_empty() && word.parse::<u32>().is_err())
            });
            for word in first {
                if ["What", "Who", "Whoever", "It"].contains(&word) {
                    wrong.push(format!("{}:{}: {word} …", path.display(), index + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_words_for_events_in_the_documents_are_those_that_there_are() {
    let words = |text: &str, before: &str, end: char| -> BTreeSet<String> {
        let found = text.split(before).skip(1);
        let found = found.filter_map(|after| after.split(end).next());
        found.map(str::to_owned).collect()
    };
    let told = fs::read_to_string(root().join("src/admin/event_json.rs")).expect("readable");
    let there: BTreeSet<String> = ["plain(\"", "on(\"", "of_one(\"", "=> \""]
        .iter()
        .flat_map(|before| words(&told, before, '"'))
        .collect();
    let page = fs::read_to_string(root().join("docs/observing.md")).expect("readable");
    let mut lines = page.lines();
    let line = lines.find_map(|line| line.strip_prefix("The field `what` is one of "));
    let promised = words(line.expect("a line"), " `", '`');
    assert!(there.len() > 20, "{there:?}");
    let first = "starting".to_owned();
    assert_eq!(
        promised.iter().chain([&first]).collect::<BTreeSet<_>>(),
        there.iter().collect()
    );
}

#[test]
fn the_metrics_in_the_documents_are_those_that_there_are() {
    let promised = promised();
    let there = there();
    for (name, labels) in &there {
        let Some(said) = promised.get(name) else {
            panic!("docs/metrics.md: add a line for the metric {name}, labels {labels:?}");
        };
        assert_eq!(said, labels, "docs/metrics.md: the labels of {name}");
    }
    for name in promised.keys() {
        assert!(
            there.contains_key(name),
            "docs/metrics.md: there is no {name}"
        );
    }
}

type Metrics = BTreeMap<String, BTreeSet<String>>;

/// Names and labels in the table of docs/metrics.md.
fn promised() -> Metrics {
    let page = fs::read_to_string(root().join("docs/metrics.md")).expect("readable");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let quoted = |cell: &str| -> BTreeSet<String> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let named = |row: &Vec<&str>| {
        let name = quoted(row[1]).pop_first()?;
        let is_metric = name.starts_with("tidegate_") || name == "process_*";
        is_metric.then(|| (name, quoted(row[2])))
    };
    rows.filter_map(|row| named(&row)).collect()
}

/// Metrics that are no plugin's; stories read them from the real binary.
const WITHOUT_PLUGIN: [(&str, &[&str]); 2] = [
    ("tidegate_tls_handshakes_total", &["result", "version"]),
    ("tidegate_tls_certificate_expiry_seconds", &["host"]),
];

/// Names and labels at `/metrics` once everything that is counted has happened.
fn there() -> Metrics {
    let content = "plugins: [access-log, otlp]".to_owned() + ANY_SERVICE;
    let (config, mut writer) = load("every metric".to_owned(), content);
    everything_happens(&config, &mut writer);
    let registries = || config.plugged().flat_map(|plugged| &plugged.metrics);
    // The first look makes the counters that begin at zero.
    registries().for_each(|registry| drop(registry.gather()));
    let known = WITHOUT_PLUGIN.map(|(name, labels)| {
        let labels = labels.iter().map(|label| (*label).to_owned());
        (name.to_owned(), labels.collect())
    });
    let mut there = Metrics::from(known);
    for family in registries().flat_map(prometheus::Registry::gather) {
        let name = match family.name() {
            name if name.starts_with("process_") => "process_*",
            name => name,
        };
        let labels = there.entry(name.to_owned()).or_default();
        for metric in family.get_metric() {
            labels.extend(
                metric
                    .get_label()
                    .iter()
                    .map(|label| label.name().to_owned()),
            );
        }
    }
    there
}

fn everything_happens(config: &Config, writer: &mut Writer) {
    let service = ServiceName::new("any");
    let id = ReplicaId::new("one");
    let slot = 8000;
    let observers: Vec<_> = config
        .plugged()
        .flat_map(|plugged| &plugged.observers)
        .collect();
    let took = Duration::from_millis(5);
    for event in [
        Event::Ready {
            service: service.clone(),
            slot,
            id: id.clone(),
            after: Some(took),
        },
        Event::Drained {
            service: service.clone(),
            slot,
            id: id.clone(),
            took,
            left: 0,
        },
    ] {
        observers.iter().for_each(|observer| observer.event(&event));
    }
    let exchange = testing::routed();
    let record = Record {
        held: took,
        ..testing::record(&exchange)
    };
    observers
        .iter()
        .for_each(|observer| observer.request(&record));

    let address = ([127, 0, 0, 1], slot).into();
    let replica = Arc::new(writer.new_replica(
        service.clone(),
        id.clone(),
        slot,
        1,
        address,
        Arc::default(),
    ));
    let view = ServiceView {
        ready: vec![Arc::clone(&replica)],
        replicas: vec![ReplicaView {
            id,
            slot,
            generation: 1,
            phase: Phase::Ready,
            since: Moment::default(),
            address: Some(address),
            because: None,
            live: Some(replica),
        }],
        min: 1,
        max: 1,
        desired: 1,
        ..ServiceView::new(service.clone(), Arc::new(writer.new_load()))
    };
    writer.publish(Snapshot {
        services: [(service, Arc::new(view))].into(),
        engine_up: true,
        taken: Moment::default(),
    });
}

/// The rows of a Markdown table, below a marker, that have as many cells as it has columns.
fn rows_below(marker: &str, document: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join(document)).expect("readable");
    let (_, below) = text.split_once(marker).expect(marker);
    let table = below.lines().skip_while(|line| !line.starts_with("|---"));
    let rows = table.skip(1).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect()
    };
    rows.map(cells).collect()
}

#[test]
fn failures_in_the_comparison_are_those_that_were_measured() {
    let measured = rows_below("<!-- chaos: written by", "bench/README.md");
    let claimed = rows_below("<!-- chaos, in short: written by", "docs/comparison.md");
    let of = |edge: &str, event: &str| {
        let row = measured
            .iter()
            .find(|row| row[0] == edge && row[1] == event)?;
        let number = |column: usize| row[column].parse::<u64>().expect("a number");
        let failed = format!("{} of {}", number(3) + number(4), number(2));
        Some((failed, row[6].clone(), row[7].clone(), row[8].clone()))
    };
    let source = root().join("bench/chaos/src/events.rs");
    let source = fs::read_to_string(source).expect("readable");
    for row in &claimed {
        let event = &row[0];
        assert!(source.contains(&format!("\"{event}\"")), "{event}");
        let (failed, p99, longest, strength) = of("tidegate", event).expect(event);
        assert_eq!(row[1..5], [failed, p99, longest, strength], "{event}");
        let peer =
            of("haproxy", event).map_or(["-".to_owned(), "-".to_owned()], |peer| [peer.0, peer.1]);
        assert_eq!(row[5..], peer, "{event}");
    }
    let ours = measured.iter().filter(|row| row[0] == "tidegate");
    assert_eq!(claimed.len(), ours.count());
    assert!(claimed.len() > 20);
}
