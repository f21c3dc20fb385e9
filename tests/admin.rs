//! The admin API of the real binary, over TCP and over its socket.

use crate::support::client::{get, raw, send};
use crate::support::edge::Edge;
use crate::support::until;
use crate::support::upstream::Upstream;
use http::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

async fn edge(upstream: &Upstream) -> Edge {
    let services = format!(
        "services: {{ legacy: {{ addresses: [\"{}\"], healthcheck: {{ type: http, path: /api/v1/_health, interval: 100ms }} }} }}\n",
        upstream.address
    );
    let edge = Edge::start(&services).await;
    edge.ready().await;
    edge
}

#[tokio::test]
async fn each_address_answers_in_its_own_format() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    for (path, status, kind) in [
        ("/", 200, "text/html; charset=utf-8"),
        ("/healthz", 200, "text/plain; charset=utf-8"),
        ("/readyz", 200, "text/plain; charset=utf-8"),
        ("/metrics", 200, "text/plain; version=0.0.4"),
        ("/api/v1/services", 200, "application/json"),
        ("/api/v1/services/legacy", 200, "application/json"),
        ("/api/v1/services/nope", 404, "application/json"),
        ("/api/v1/services/%ff", 400, "application/json"),
        ("/api/v1/services/legacy/decisions", 200, "application/json"),
        ("/api/v1/services/nope/decisions", 404, "application/json"),
        ("/api/v1/events", 200, "application/json"),
        ("/api/v1/version", 200, "application/json"),
        ("/api/v1/numbers", 200, "application/json"),
        ("/dashboard/main.js", 200, "text/javascript; charset=utf-8"),
        ("/dashboard/style.css", 200, "text/css; charset=utf-8"),
        ("/dashboard/nope", 404, "application/json"),
        ("/dashboard/%ff", 400, "application/json"),
        ("/nope", 404, "application/json"),
    ] {
        let answer = get(edge.admin, path).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("content-type"), kind, "{path}");
    }
    let nope = get(edge.admin, "/api/v1/services/nope").await.json();
    let error = "there is no service `nope`; there is `legacy`";
    assert_eq!(nope["error"], error);
    let version = get(edge.admin, "/api/v1/version").await.json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let services = get(edge.admin, "/api/v1/services").await.json();
    assert_eq!(services["services"][0]["name"], "legacy");
}

#[tokio::test]
async fn every_answer_is_hardened() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    for (path, fresh) in [
        ("/", "no-cache"),
        ("/dashboard/main.js", "no-cache"),
        ("/metrics", "no-store"),
        ("/api/v1/services", "no-store"),
        ("/dashboard/nope", "no-store"),
        ("/nope", "no-store"),
    ] {
        let answer = get(edge.admin, path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cache-control", fresh),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{path}: {name}");
        }
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self' 'sha256-",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
    }
}

#[tokio::test]
async fn the_dashboards_files_are_sent_again_only_when_they_are_others() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    let page = get(edge.admin, "/").await.text();
    let files: BTreeSet<&str> = page
        .split('"')
        .filter(|word| word.starts_with("dashboard/"))
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    for path in ["/".to_owned()]
        .into_iter()
        .chain(files.iter().map(|file| format!("/{file}")))
    {
        let whole = get(edge.admin, &path).await;
        assert_eq!(whole.status, 200, "{path}");
        assert!(!whole.body.is_empty(), "{path}");
        let tag = whole.header("etag").to_owned();
        for (known, status) in [
            (tag.clone(), 304),
            (format!("\"other\", {tag}"), 304),
            ("\"other\"".to_owned(), 200),
        ] {
            let request = Request::get(&path).header("if-none-match", &known);
            let answer = send(edge.admin, request, "").await;
            assert_eq!(answer.status, status, "{path}: {known}");
            assert_eq!(answer.body.is_empty(), status == 304, "{path}: {known}");
            assert_eq!(answer.header("etag"), tag, "{path}: {known}");
        }
    }
}

#[tokio::test]
async fn what_services_were_like_lately_is_kept() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    let ready = |lately: &serde_json::Value| lately["services"]["legacy"]["ready"].clone();
    let lately = until("two points", SOON, || async {
        let lately = get(edge.admin, "/api/v1/numbers").await.json();
        let points = ready(&lately).as_array().map_or(0, Vec::len);
        (points > 1).then_some(lately)
    })
    .await;
    assert_eq!(lately["every_seconds"], 2.0);
    let series = lately["services"]["legacy"].as_object().unwrap();
    let points = ready(&lately).as_array().unwrap().len();
    for (name, numbers) in series {
        assert_eq!(numbers.as_array().unwrap().len(), points, "{name}");
    }
    assert_eq!(ready(&lately).as_array().unwrap().last().unwrap(), 1);
    let time = humantime::parse_rfc3339(lately["time"].as_str().unwrap()).unwrap();
    assert!(time.elapsed().unwrap() < SOON);
}

#[tokio::test]
async fn whether_a_token_is_right_can_be_asked_and_changes_nothing() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    let token = fs::read_to_string(edge.folder.path().join("admin-token")).unwrap();
    let events = get(edge.admin, "/api/v1/events").await.json();
    for (token, status) in [("wrong", 401), (token.as_str(), 200)] {
        let value = format!("Bearer {token}");
        let request = Request::post("/api/v1/token").header("authorization", value);
        assert_eq!(send(edge.admin, request, "").await.status, status);
    }
    assert_eq!(get(edge.admin, "/api/v1/token").await.status, 405);
    assert_eq!(get(edge.admin, "/api/v1/events").await.json(), events);
}

#[tokio::test]
async fn a_wrong_method_is_405_and_malformed_requests_are_400() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    for (method, path, allow) in [
        ("POST", "/metrics", "GET,HEAD"),
        ("DELETE", "/api/v1/services/legacy", "GET,HEAD"),
        ("GET", "/api/v1/reload", "POST"),
    ] {
        let request = Request::builder().method(method).uri(path);
        let answer = send(edge.admin, request, "").await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
        assert_ne!(answer.json()["error"], "");
    }
    let answer = raw(edge.admin, b"nonsense\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(get(edge.admin, "/healthz").await.status, 200);
}

#[tokio::test]
async fn writing_needs_the_token_or_the_socket() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    let folder = edge.folder.path();
    let token = fs::read_to_string(folder.join("admin-token")).unwrap();
    assert!(token.len() >= 32);
    let reload = |authorization: Option<String>| async {
        let mut request = Request::post("/api/v1/reload");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        send(edge.admin, request, "").await
    };
    for wrong in [
        None,
        Some(String::new()),
        Some(token.clone()),
        Some("Bearer ".to_owned()),
        Some(format!("Bearer {}", &token[1..])),
        Some(format!("Bearer {token}x")),
        Some(format!("Basic {token}")),
    ] {
        let answer = reload(wrong.clone()).await;
        assert_eq!(answer.status, 401, "{wrong:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(answer.text().contains("TIDEGATE_ADMIN_TOKEN"));
        assert!(!answer.text().contains(&token));
    }
    let reloads = "tidegate_config_reloads_total{result=\"success\"}";
    assert_eq!(edge.metric(reloads).await, Some(0.0));
    let answer = reload(Some(format!("Bearer {token}"))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["changed"], "nothing changed");
    // The command line comes over the socket, and sends no token.
    assert_eq!(edge.tidegate(&["reload"]).await.code, Some(0));
    edge.counts(reloads, 2.0).await;

    edge.write("services: {}\n");
    let answer = reload(Some(format!("Bearer {token}"))).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("there is no service to run"));
}

#[tokio::test]
async fn the_token_of_the_environment_beats_the_one_in_the_folder() {
    let edge = Edge::prepare("services: { legacy: { addresses: [\"127.0.0.1:1\"] } }\n")
        .with("TIDEGATE_ADMIN_TOKEN", "of-my-own");
    let edge = edge.spawned().await;
    let request = Request::post("/api/v1/reload").header("authorization", "Bearer of-my-own");
    assert_eq!(send(edge.admin, request, "").await.status, 200);
    assert!(!edge.folder.path().join("admin-token").exists());
}

#[tokio::test]
async fn what_is_in_the_state_folder_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("deep/state");
    let edge = Edge::prepare("services: { legacy: { addresses: [\"127.0.0.1:1\"] } }\n")
        .with("TIDEGATE_STATE_DIR", state.to_str().unwrap());
    let mut edge = edge.spawned().await;
    let mode = |path: &str| {
        let metadata = fs::symlink_metadata(state.join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    for file in ["admin.sock", "admin-token", "lock"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    // Somebody was careless; the token stays, and is closed again.
    edge.crash();
    let token = state.join("admin-token");
    let before = fs::read_to_string(&token).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let _edge = edge.spawned().await;
    assert_eq!(fs::read_to_string(&token).unwrap(), before);
    assert_eq!(mode("admin-token"), 0o600);
}

#[tokio::test]
async fn metrics_can_be_read_line_by_line() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    edge.get("/x").await;
    // A request is counted once it is over, which is after its answer; its duration comes last.
    let text = until("the request is counted", SOON, || async {
        let text = get(edge.admin, "/metrics").await.text();
        text.contains("\ntidegate_http_request_duration_seconds_count{")
            .then_some(text)
    })
    .await;
    let exposition = Exposition::read(&text);
    for (name, kind) in [
        ("tidegate_http_requests_total", "counter"),
        ("tidegate_http_request_duration_seconds", "histogram"),
        ("tidegate_http_requests_in_flight", "gauge"),
        ("tidegate_replica_up", "gauge"),
        ("tidegate_replicas", "gauge"),
        ("tidegate_replicas_desired", "gauge"),
        ("tidegate_health_checks_total", "counter"),
        ("tidegate_config_reloads_total", "counter"),
        ("tidegate_config_last_reload_successful", "gauge"),
        ("tidegate_engine_up", "gauge"),
        ("tidegate_build_info", "gauge"),
        ("process_cpu_seconds_total", "counter"),
    ] {
        let found = exposition.kinds.get(name).map(String::as_str);
        assert_eq!(found, Some(kind), "{name} in\n{text}");
    }
    for label in exposition.labels {
        let known = [
            "service",
            "code",
            "method",
            "slot",
            "state",
            "reason",
            "direction",
            "result",
            "version",
            "le",
        ];
        assert!(known.contains(&label.as_str()), "a label `{label}`");
    }
}

#[tokio::test]
async fn no_other_page_may_read_it_and_no_body_is_too_large_for_it() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    for method in ["GET", "OPTIONS"] {
        let request = Request::builder()
            .method(method)
            .uri("/api/v1/services")
            .header("origin", "https://evil.example")
            .header("access-control-request-method", "GET");
        let answer = send(edge.admin, request, "").await;
        let mut names = answer.headers.keys();
        assert!(!names.any(|name| name.as_str().starts_with("access-control-")));
    }
    // Nobody waits for the end of a body that nobody wants.
    let head = b"POST /api/v1/reload HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999999\r\n\r\n";
    let asked = raw(edge.admin, head);
    let answer = tokio::time::timeout(SOON, asked).await.expect("it waits");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_page_of_another_origin_may_not_write_even_with_the_token() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    let token = fs::read_to_string(edge.folder.path().join("admin-token")).unwrap();
    let here = format!("http://{}", edge.admin);
    for (name, value, status) in [
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("origin", here.as_str(), 200),
    ] {
        let request = Request::post("/api/v1/reload")
            .header("authorization", format!("Bearer {token}"))
            .header(name, value);
        let answer = send(edge.admin, request, "").await;
        assert_eq!(answer.status, status, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_name_that_anybody_could_have_lead_here_is_none_of_ours() {
    let a = Upstream::start("A").await;
    let services = format!(
        "services: {{ legacy: {{ addresses: [\"{}\"] }} }}\n",
        a.address
    );
    // A line's end behind it is none of the token's.
    let edge = Edge::prepare(&services).with("TIDEGATE_ADMIN_TOKEN", "of-my-own\n");
    let edge = edge.spawned().await;
    for (host, path, status) in [
        ("evil.example:9180", "/api/v1/events", 403),
        ("evil.example:9180", "/", 403),
        ("evil.example:9180", "/metrics", 200),
        ("evil.example:9180", "/healthz", 200),
        ("edge.example.com:9180", "/api/v1/events", 200),
        ("localhost:9180", "/", 200),
    ] {
        let answer = send(edge.admin, Request::get(path).header("host", host), "").await;
        assert_eq!(answer.status, status, "{host}{path}");
    }
    for (host, status) in [("evil.example", 403), ("edge.example.com", 200)] {
        let request = Request::post("/api/v1/token")
            .header("host", host)
            .header("origin", format!("http://{host}"))
            .header("authorization", "Bearer of-my-own");
        assert_eq!(send(edge.admin, request, "").await.status, status, "{host}");
    }
}

#[tokio::test]
async fn guesses_are_answered_slowly_and_the_right_token_and_the_command_line_get_in() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    let token = fs::read_to_string(edge.folder.path().join("admin-token")).unwrap();
    let reload = |token: &str| {
        let value = format!("Bearer {token}");
        let request = Request::post("/api/v1/reload").header("authorization", value);
        send(edge.admin, request, "")
    };
    for _ in 0..10 {
        assert_eq!(reload("guess").await.status, 401);
    }
    // Right and wrong are told apart late.
    for (token, status) in [("guess", 401), (&token, 200)] {
        let began = std::time::Instant::now();
        assert_eq!(reload(token).await.status, status);
        assert!(began.elapsed() >= std::time::Duration::from_secs(3));
    }
    assert_eq!(get(edge.admin, "/api/v1/services").await.status, 200);
    assert_eq!(edge.tidegate(&["reload"]).await.code, Some(0));
}

#[tokio::test]
async fn the_token_is_in_no_log_however_much_is_logged() {
    let a = Upstream::start("A").await;
    let services = format!(
        "services: {{ legacy: {{ addresses: [\"{}\"] }} }}\nplugins: [access-log]\n",
        a.address
    );
    let token = "of-my-own-4711";
    let edge = Edge::prepare(&services)
        .with("TIDEGATE_ADMIN_TOKEN", token)
        .with("TIDEGATE_LOG", "trace");
    let edge = edge.spawned().await;
    edge.ready().await;
    for wrong in ["", "x"] {
        let value = format!("Bearer {token}{wrong}");
        let request = Request::post("/api/v1/reload").header("authorization", value);
        send(edge.admin, request, "").await;
    }
    edge.logs("nothing changed").await;
    assert!(!edge.log().contains(token));
    for path in ["/", "/metrics", "/api/v1/services", "/api/v1/version"] {
        assert!(
            !get(edge.admin, path).await.text().contains(token),
            "{path}"
        );
    }
}

#[tokio::test]
async fn no_route_leads_to_it() {
    let edge = Edge::prepare("");
    let services = format!(
        "services: {{ web: {{ addresses: [\"{}\"] }} }}\n",
        edge.admin
    );
    edge.write(&services);
    let checked = edge.tidegate(&["check"]).await;
    assert_eq!(checked.code, Some(64));
    assert!(
        checked.err.contains("Tidegate itself listens"),
        "{checked:?}"
    );
}

/// The metrics that Prometheus reads in a text; panics where it would complain.
#[derive(Default)]
struct Exposition {
    kinds: BTreeMap<String, String>,
    labels: BTreeSet<String>,
}

impl Exposition {
    fn read(text: &str) -> Exposition {
        let mut read = Exposition::default();
        let mut samples = BTreeSet::new();
        let mut family = String::new();
        assert!(text.ends_with('\n'));
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect(line);
                assert!(!help.is_empty(), "{line}");
                family = name.to_owned();
                continue;
            }
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect(line);
                assert_eq!(name, family, "{line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                let twice = read.kinds.insert(name.to_owned(), kind.to_owned());
                assert_eq!(twice, None, "{line}");
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect(line);
            value.parse::<f64>().expect(line);
            assert!(samples.insert(series), "twice: {line}");
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}').expect(line)),
                None => (series, ""),
            };
            let parts = ["", "_bucket", "_sum", "_count"];
            let parts = match read.kinds[&family].as_str() {
                "histogram" => &parts[1..],
                _ => &parts[..1],
            };
            let of_family = |part: &&str| name == format!("{family}{part}");
            assert!(parts.iter().any(of_family), "{line}");
            for pair in labels.split(',').filter(|pair| !pair.is_empty()) {
                let (label, value) = pair.split_once('=').expect(line);
                assert!(value.starts_with('"') && value.ends_with('"'), "{line}");
                read.labels.insert(label.to_owned());
            }
        }
        assert!(!samples.is_empty());
        read
    }
}
