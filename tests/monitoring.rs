//! The alerts and the Grafana dashboard in `conf/`: promtool accepts them, the alerts fire for what
//! they are about, and everything they ask for is at the `/metrics` of a Tidegate that runs.

use crate::support::client;
use crate::support::edge::Edge;
use crate::support::upstream::Upstream;
use crate::support::{free_port, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// Labels that a scrape adds, and the one of a histogram's buckets.
const OF_PROMETHEUS: [&str; 3] = ["instance", "job", "le"];

fn conf(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("conf")
        .join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(conf(file)).expect("readable")
}

/// Output of `promtool`; panics when it complains.
fn promtool(arguments: &[&str], file: &Path) -> String {
    let ours = conf("../target/promtool/usr/bin/promtool");
    let program = match ours.exists() {
        true => ours,
        false => "promtool".into(),
    };
    let output = Command::new(program).args(arguments).arg(file).output();
    let output = output.expect("promtool; `scripts/setup --test` installs it");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{}: {said}", file.display());
    said
}

#[test]
fn prometheus_accepts_the_alerts_and_each_fires_for_what_it_is_about() {
    let said = promtool(&["check", "config"], &conf("prometheus/prometheus.yaml"));
    let alerts = alerts();
    let found = format!("SUCCESS: {} rules found", alerts.len());
    assert!(said.contains(&found), "{said}");
    let stories = conf("prometheus/alerts_test.yaml");
    promtool(&["test", "rules"], &stories);
    let told = read("prometheus/alerts_test.yaml");
    for (name, _) in &alerts {
        assert!(
            told.contains(name),
            "alerts_test.yaml: no story about {name}"
        );
    }
}

#[test]
fn every_panel_of_the_dashboard_asks_what_prometheus_understands() {
    let dashboard = dashboard();
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, (_, query)) in queries(&dashboard).iter().enumerate() {
        let query = query
            .replace("$__rate_interval", "1m")
            .replace("$instance", ".*")
            .replace("$service", ".*");
        assert!(!query.contains('$'), "an unknown variable: {query}");
        let query = serde_json::to_string(&query).expect("text");
        rules += &format!("      - {{ record: \"panel:{number}\", expr: {query} }}\n");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("dashboard.yaml");
    fs::write(&file, rules).expect("written");
    promtool(&["check", "rules"], &file);
}

#[test]
fn the_dashboard_is_laid_out_without_overlaps() {
    let dashboard = dashboard();
    assert_eq!(dashboard["uid"], "tidegate");
    assert!(
        dashboard.get("id").is_none(),
        "an id belongs to one Grafana"
    );
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(
            ids.insert(panel["id"].as_u64()),
            "{title}: its id is another's"
        );
        let side = |name: &str| panel["gridPos"][name].as_u64().expect("a number");
        assert!(side("x") + side("w") <= 24, "{title}: beyond the edge");
        for x in side("x")..side("x") + side("w") {
            for y in side("y")..side("y") + side("h") {
                assert!(taken.insert((x, y)), "{title}: on top of another");
            }
        }
        let asks = panel["targets"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        assert!(asks || panel["type"] == "row", "{title}: asks nothing");
    }
}

#[tokio::test]
async fn what_alerts_and_dashboard_ask_for_is_at_the_metrics_of_a_running_tidegate() {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let full = Upstream::start("full").await;
    let edge = Edge::start(&format!(
        "services:\n  acts:\n    image: acts:latest\n    first_port: 26300\n    scale: {{ min: 2 }}\n  \
         full:\n    addresses: [\"{}\"]\n    routes: [{{ path: /held }}]\n    \
         container_concurrency: 1\n\
         tls: {{ listen: [\"127.0.0.1:{}\"], ca: local, hosts: [app.localhost], redirect: false }}\n\
         plugins: [access-log: {{ path: {} }}]\n",
        full.address,
        free_port(),
        log.path().display(),
    ))
    .await;
    // The second of two requests waits for the only place: holds have a histogram only then.
    let two = futures_util::future::join(edge.get("/held"), edge.get("/held"));
    let released = async {
        until("a request is held", SOON, || async {
            let held = edge
                .metric("tidegate_held_requests{service=\"full\"}")
                .await;
            (held == Some(1.0) && full.requests() == 1).then_some(())
        })
        .await;
        full.release();
        full.release();
    };
    let (answers, ()) = futures_util::future::join(two, released).await;
    assert_eq!([answers.0.status, answers.1.status], [200, 200]);
    assert_eq!(edge.get("/api/v1/categories").await.status, 200);
    edge.shows("acts", "26300=ready 26301=ready", SOON).await;
    assert_eq!(
        edge.tidegate(&["drain", "acts", "26300"]).await.code,
        Some(0)
    );
    let metrics = until("a replica has drained and is replaced", SOON, || async {
        let text = client::get(edge.admin, "/metrics").await.text();
        // Of the replaced replica, and of the extra one that went ahead of it.
        let drained = r#"tidegate_drain_duration_seconds_count{service="acts"} 2"#;
        let replaced = "tidegate_replacements_total{";
        let held = r#"tidegate_hold_duration_seconds_count{service="full"} "#;
        let ends = "tidegate_tls_certificate_expiry_seconds{";
        let all = [drained, replaced, held, ends];
        all.iter().all(|it| text.contains(it)).then_some(text)
    })
    .await;
    let there = labels(&metrics);

    let of_alerts = alerts().into_iter();
    let of_dashboard = queries(&dashboard());
    let mut asked = 0;
    for (who, query) in of_alerts.chain(of_dashboard) {
        for (name, wanted) in selectors(&query) {
            let Some(labels) = there.get(&name) else {
                panic!("{who}: there is no {name} at /metrics");
            };
            for label in wanted {
                let known = labels.contains(&label) || OF_PROMETHEUS.contains(&&*label);
                assert!(known, "{who}: {name} has no label {label}");
            }
            asked += 1;
        }
    }
    assert!(asked > 50, "{asked}");
}

fn dashboard() -> Value {
    serde_json::from_str(&read("grafana/tidegate.json")).expect("JSON")
}

/// Every query of the dashboard, with who asks it.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().expect("a list") {
        found.push((text(&annotation["name"]), text(&annotation["expr"])));
    }
    for variable in dashboard["templating"]["list"].as_array().expect("a list") {
        let query = text(&variable["query"]["query"]);
        if let Some(query) = query.strip_prefix("label_values(") {
            let metric = query.rsplit_once(',').expect("metric, label").0;
            found.push((text(&variable["name"]), metric.to_owned()));
        }
    }
    assert!(found.iter().all(|(_, query)| !query.is_empty()));
    found
}

/// The name and the query of each alert.
fn alerts() -> Vec<(String, String)> {
    let file: Value = serde_yaml::from_str(&read("prometheus/alerts.yaml")).expect("YAML");
    let groups = file["groups"].as_array().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().expect("rules").clone());
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    rules
        .map(|rule| (text(&rule["alert"]), text(&rule["expr"])))
        .collect()
}

/// The metrics that a query names, each with the labels that it is selected by.
fn selectors(query: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = query;
    while let Some(start) = rest.find(is_name) {
        rest = &rest[start..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        let ours = ["tidegate_", "process_"]
            .iter()
            .any(|ours| name.starts_with(ours));
        if !ours && name != "up" {
            // Text between quotes is no name.
            continue;
        }
        let braces = after
            .strip_prefix('{')
            .and_then(|inside| inside.split('}').next());
        let pairs = braces.unwrap_or_default().split(',');
        let labels = pairs.filter_map(|pair| pair.split_once('='));
        let labels = labels.map(|(label, _)| label.trim_end_matches('!').trim().to_owned());
        rest = after
            .get(braces.unwrap_or_default().len()..)
            .unwrap_or_default();
        if name != "up" {
            found.push((name.to_owned(), labels.collect()));
        }
    }
    found
}

/// The samples at `/metrics`, each with its labels.
fn labels(metrics: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut there = BTreeMap::<String, BTreeSet<String>>::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).expect("a sample"));
        let labels = there.entry(name.to_owned()).or_default();
        let inside = rest
            .strip_prefix('{')
            .and_then(|rest| rest.split('}').next());
        let pairs = inside.unwrap_or_default().split(',');
        labels.extend(pairs.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())));
    }
    there
}
