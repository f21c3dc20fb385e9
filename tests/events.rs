//! Events as a list and as they happen, and the state beside them.

use crate::support::client::{get, send};
use crate::support::edge::Edge;
use crate::support::sse::Stream;
use crate::support::until;
use crate::support::upstream::Upstream;
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

const SOON: Duration = Duration::from_secs(20);
const STREAM: &[(&str, &str)] = &[("accept", "text/event-stream")];

async fn edge(upstream: &Upstream) -> Edge {
    let edge = Edge::start(&services(upstream)).await;
    edge.ready().await;
    edge
}

fn services(upstream: &Upstream) -> String {
    format!(
        "services: {{ legacy: {{ addresses: [\"{}\"], healthcheck: {{ type: http, path: /api/v1/_health, interval: 100ms }} }} }}\n",
        upstream.address
    )
}

/// The words of the events in an answer.
fn words(list: &Value) -> Vec<String> {
    let events = list["events"].as_array().expect("a list");
    let words = events
        .iter()
        .map(|event| event["what"].as_str().unwrap().to_owned());
    words.collect()
}

#[tokio::test]
async fn the_list_says_what_happened_to_whom_when_and_why() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    a.set_healthy(false);
    edge.shows("legacy", "0=sick", SOON).await;
    let list = get(edge.admin, "/api/v1/events").await.json();
    assert_eq!(words(&list), ["ready", "sick"]);
    assert_eq!(list["missed"], false);
    let sick = &list["events"][1];
    assert_eq!(sick["service"], "legacy");
    assert_eq!(sick["slot"], 0);
    assert_eq!(sick["replica"], a.address.to_string());
    assert_eq!(sick["level"], "warn");
    assert_eq!(sick["reason"], "unhealthy");
    assert!(sick["why"].as_str().unwrap().starts_with("unhealthy: "));
    assert!(sick["text"].as_str().unwrap().contains("is sick"));
    let time = humantime::parse_rfc3339(sick["time"].as_str().unwrap()).unwrap();
    assert!(time.elapsed().unwrap() < SOON);

    let first = list["events"][0]["id"].as_u64().unwrap();
    let rest = get(edge.admin, &format!("/api/v1/events?after={first}"))
        .await
        .json();
    assert_eq!(words(&rest), ["sick"]);
    let newest = get(edge.admin, "/api/v1/events?last=1&service=legacy")
        .await
        .json();
    assert_eq!(words(&newest), ["sick"]);
    // Reading changed nothing.
    assert_eq!(get(edge.admin, "/api/v1/events").await.json(), list);
    // The failure is with the replica, too.
    let replica = &edge.service("legacy").await["replicas"][0];
    assert_eq!(replica["restarts"], 1);
    assert_eq!(replica["last_failure"]["why"], sick["why"]);
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_answered_with_what_does() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    for (path, status, says) in [
        (
            "/api/v1/events?service=nope",
            404,
            "there is no service `nope`",
        ),
        ("/api/v1/events?after=x", 400, "after"),
        ("/api/v1/events?follow=maybe", 400, "neither true nor false"),
        ("/api/v1/events?since=1", 400, "unknown field `since`"),
    ] {
        let answer = get(edge.admin, path).await;
        assert_eq!(answer.status, status, "{path}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(says), "{path}: {error}");
    }
    let headers = [STREAM[0], ("last-event-id", "yesterday")];
    let refused = Stream::open(edge.admin, "/api/v1/events", &headers).await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn a_stream_tells_what_was_and_what_comes_and_goes_on_where_it_broke() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    let mut stream = Stream::open(edge.admin, "/api/v1/events", STREAM).await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    let ready = stream.next().await.unwrap();
    assert_eq!(ready.json()["what"], "ready");
    assert_eq!(ready.json()["id"].to_string(), ready.id);
    a.set_healthy(false);
    let sick = stream.next().await.unwrap();
    assert_eq!(sick.json()["what"], "sick");
    drop(stream);

    a.set_healthy(true);
    edge.shows("legacy", "0=ready", SOON).await;
    let headers = [("last-event-id", sick.id.as_str())];
    let mut again = Stream::open(edge.admin, "/api/v1/events?follow", &headers).await;
    assert_eq!(again.next().await.unwrap().json()["what"], "ready");
}

#[tokio::test]
async fn a_stream_survives_a_reload_and_tells_of_it() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    let mut stream = Stream::open(edge.admin, "/api/v1/events", STREAM).await;
    edge.write("services: {}\n");
    assert_eq!(edge.tidegate(&["reload"]).await.code, Some(64));
    let failed = stream.find(|it| it.json()["what"] == "reload_failed").await;
    assert!(
        failed.json()["why"]
            .as_str()
            .unwrap()
            .contains("there is no service to run")
    );
    edge.write(&services(&a));
    assert_eq!(edge.tidegate(&["reload"]).await.code, Some(0));
    assert_eq!(stream.next().await.unwrap().json()["what"], "reloaded");
}

#[tokio::test]
async fn the_state_comes_whole_at_first_and_then_as_it_changes() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    let mut stream = Stream::open(edge.admin, "/api/v1/events?follow&state", &[]).await;
    let state = |it: &crate::support::sse::Message| it.name == "state";
    let first = stream.find(state).await.json();
    assert_eq!(first["full"], true);
    assert_eq!(first["services"][0]["name"], "legacy");
    assert_eq!(first["services"][0]["replicas"][0]["state"], "ready");
    a.set_healthy(false);
    let sick = |it: &crate::support::sse::Message| {
        state(it) && it.json()["services"][0]["replicas"][0]["state"] == "sick"
    };
    let changed = stream.find(sick).await.json();
    assert_eq!(changed["full"], false);
    // Nothing happens, and somebody says so.
    let alive = |it: &crate::support::sse::Message| state(it) && it.json()["services"] == json!([]);
    let alive = stream.find(alive).await.json();
    assert_eq!(alive["removed"], json!([]));

    let b = Upstream::start("B").await;
    let others = format!(
        "services: {{ other: {{ addresses: [\"{}\"] }} }}\n",
        b.address
    );
    edge.write(&others);
    assert_eq!(edge.tidegate(&["reload"]).await.code, Some(0));
    let gone = stream
        .find(|it| state(it) && it.json()["removed"] == json!(["legacy"]))
        .await;
    assert_eq!(gone.json()["services"][0]["name"], "other");
}

#[tokio::test]
async fn an_upgrade_ends_streams_cleanly_and_the_new_process_tells_the_rest() {
    let a = Upstream::start("A").await;
    let old = edge(&a).await;
    let mut stream = Stream::open(old.admin, "/api/v1/events", STREAM).await;
    let ready = stream.next().await.unwrap();
    let new = old.upgraded().await;
    while let Some(message) = stream.next().await {
        assert_ne!(message.json()["what"], "stopped");
    }
    let headers = [STREAM[0], ("last-event-id", ready.id.as_str())];
    let mut again = Stream::open(new.admin, "/api/v1/events", &headers).await;
    let mut next = again.next().await.unwrap();
    if next.name == "missed" {
        next = again.next().await.unwrap();
    }
    assert_eq!(next.json()["what"], "ready");
    assert!(next.id.parse::<u64>().unwrap() > ready.id.parse::<u64>().unwrap());
}

#[tokio::test]
async fn there_are_places_for_so_many_streams_and_who_leaves_makes_room() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        let stream = Stream::open(edge.admin, "/api/v1/events", STREAM).await;
        assert_eq!(stream.status, 200);
        streams.push(stream);
    }
    let refused = Stream::open(edge.admin, "/api/v1/events", STREAM).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers["retry-after"], "5");
    // Clients of the socket have places apart.
    let socket = edge.folder.path().join("admin.sock");
    let mut owner = tokio::net::UnixStream::connect(socket).await.unwrap();
    let head = b"GET /api/v1/events?follow HTTP/1.1\r\nhost: a\r\n\r\n";
    owner.write_all(head).await.unwrap();
    let mut answer = [0; 12];
    owner.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    // The list needs no place.
    assert_eq!(get(edge.admin, "/api/v1/events").await.status, 200);
    streams.clear();
    until("there is a place", SOON, || async {
        let stream = Stream::open(edge.admin, "/api/v1/events", STREAM).await;
        (stream.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_numbers_are_those_of_the_traffic() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    for _ in 0..20 {
        assert_eq!(edge.get("/x").await.status, 200);
    }
    a.set_failing(true);
    for _ in 0..20 {
        assert_eq!(edge.get("/x").await.status, 500);
    }
    let service = until("they are counted", SOON, || async {
        let service = edge.service("legacy").await;
        (service["error_rate"].as_f64() > Some(0.4)).then_some(service)
    })
    .await;
    assert!(
        service["requests_per_second"].as_f64() > Some(0.0),
        "{service}"
    );
    let (p50, p99) = (
        service["p50_seconds"].as_f64(),
        service["p99_seconds"].as_f64(),
    );
    assert!(p50 > Some(0.0) && p99 >= p50, "{service}");
    assert_eq!(service["held"], 0);
    assert_eq!(service["in_flight"], 0);
    assert_eq!(service["by_hand"], Value::Null);
    let replica = &service["replicas"][0];
    assert!(
        replica["requests_per_second"].as_f64() > Some(0.0),
        "{service}"
    );
    assert_eq!(replica["age_seconds"], Value::Null);
}

#[tokio::test]
async fn fixed_addresses_cannot_be_scaled_and_a_wrong_order_is_told_what_is_right() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    let token = std::fs::read_to_string(edge.folder.path().join("admin-token")).unwrap();
    for (path, body, status, says) in [
        (
            "legacy",
            r#"{"replicas": 2}"#,
            422,
            "`legacy` has fixed addresses; change `addresses`",
        ),
        (
            "legacy",
            r#"{"replicas": "many"}"#,
            422,
            "a number of replicas, or \"auto\"",
        ),
        ("legacy", "{}", 422, "missing field `replicas`"),
        (
            "nope",
            r#"{"replicas": 2}"#,
            404,
            "there is no service `nope`",
        ),
    ] {
        let request = Request::post(format!("/api/v1/services/{path}/scale"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let answer = send(edge.admin, request, body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(says), "{body}: {error}");
    }
    let scaled = edge.tidegate(&["scale", "legacy", "2"]).await;
    assert_eq!(scaled.code, Some(1));
    assert!(scaled.err.contains("fixed addresses"), "{scaled:?}");
    assert_eq!(
        edge.tidegate(&["scale", "legacy", "some"]).await.code,
        Some(2)
    );
}

#[tokio::test]
async fn whoever_follows_ends_with_its_reader_though_nothing_happens() {
    let a = Upstream::start("A").await;
    let edge = edge(&a).await;
    let file = edge.file();
    let mut command = edge.command(&["events", "--follow", "-c", file.to_str().unwrap()]);
    command.stdout(std::process::Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    let mut following = command.kill_on_drop(true).spawn().expect("the binary");
    let mut lines = BufReader::new(following.stdout.take().expect("piped")).lines();
    assert!(lines.next_line().await.unwrap().is_some());
    drop(lines);
    let ended = tokio::time::timeout(SOON, following.wait()).await;
    assert!(ended.expect("it ends").unwrap().success());
}

#[tokio::test]
async fn the_command_line_shows_what_happened_and_follows_over_an_upgrade() {
    let a = Upstream::start("A").await;
    let old = edge(&a).await;
    let shown = old.tidegate(&["events"]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let ready = format!("legacy: {} is ready\n", a.address);
    assert!(shown.out.contains(&ready), "{shown:?}");
    let shown = old
        .tidegate(&["events", "legacy", "-n", "1", "--json"])
        .await;
    assert_eq!(shown.json()[0]["what"], "ready");
    let nobody = old.tidegate(&["events", "nobody", "--follow"]).await;
    assert_eq!(nobody.code, Some(1));
    assert!(
        nobody.err.contains("there is no service `nobody`"),
        "{nobody:?}"
    );

    let mut command = old.command(&["events", "--follow", "--json", "-c"]);
    command.arg(old.file()).stdout(std::process::Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    let mut following = command.kill_on_drop(true).spawn().expect("the binary");
    let out = following.stdout.take().expect("piped");
    let mut lines = BufReader::new(out).lines();
    let mut find = async |what: &str| {
        let found = async {
            while let Ok(Some(line)) = lines.next_line().await {
                let line: Value = serde_json::from_str(&line).expect("JSON");
                if line["what"] == what {
                    return;
                }
            }
            panic!("it ended without {what}");
        };
        tokio::time::timeout(SOON, found).await.expect(what)
    };
    find("ready").await;
    let new = old.upgraded().await;
    old.says("took over: finishing").await;
    a.set_healthy(false);
    find("sick").await;
    drop(new);
}

#[tokio::test]
async fn shells_and_man_get_what_they_want() {
    for shell in ["bash", "zsh", "fish"] {
        let script = crate::support::edge::tidegate(&["completions", shell]).await;
        assert_eq!(script.code, Some(0), "{script:?}");
        assert!(
            script.out.contains("tidegate") && script.out.contains("scale"),
            "{shell}"
        );
    }
    let page = crate::support::edge::tidegate(&["man"]).await;
    assert!(page.out.contains(".TH tidegate 1"), "{page:?}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let written = crate::support::edge::tidegate(&["man", "--out", path]).await;
    assert_eq!(written.code, Some(0), "{written:?}");
    assert!(folder.path().join("tidegate-scale.1").exists());
}
