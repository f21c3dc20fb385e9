//! The command line's face, on real containers: counts by hand, logs of all replicas, and orders
//! as the API describes them.

use crate::containers::Acts;
use crate::openapi::Document;
use crate::support::client::send;
use crate::support::docker::docker;
use crate::support::edge::Edge;
use crate::support::until;
use http::Request;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_count_by_hand_holds_through_an_upgrade_until_the_policy_decides_again() {
    let acts = Acts::start(22500, "    scale: { max: 4 }\n").await;
    acts.shows(1).await;
    let scaled = acts.edge.tidegate(&["scale", "acts", "3"]).await;
    assert_eq!(scaled.code, Some(0), "{scaled:?}");
    assert_eq!(
        scaled.out,
        "acts: 3 replicas, until `tidegate scale acts auto`\n"
    );
    acts.shows(3).await;
    let status = acts.edge.tidegate(&["status"]).await.out;
    assert!(
        status.contains("3 by hand, until `tidegate scale acts auto`"),
        "{status}"
    );
    let too_many = acts.edge.tidegate(&["scale", "acts", "5"]).await;
    assert_eq!(too_many.code, Some(1));
    assert!(
        too_many
            .err
            .contains("1 to 4 replicas, not 5; change `scale.min`"),
        "{too_many:?}"
    );

    let new = acts.edge.upgraded().await;
    acts.edge.says("took over: finishing").await;
    let by_hand = new.service("acts").await["by_hand"].clone();
    assert_eq!(by_hand, 3);
    let auto = new.tidegate(&["scale", "acts", "auto", "--json"]).await;
    assert_eq!(auto.json()["by_hand"], Value::Null, "{auto:?}");
    assert_eq!(new.service("acts").await["by_hand"], Value::Null);
}

#[tokio::test]
async fn orders_over_http_are_answered_as_described() {
    let acts = Acts::start(22520, "    scale: { min: 2 }\n").await;
    acts.shows(2).await;
    let document = Document::of(&acts.edge).await;
    let token = std::fs::read_to_string(acts.edge.folder.path().join("admin-token")).unwrap();
    for (what, body, status) in [
        ("scale", r#"{"replicas":2}"#, 200),
        ("scale", r#"{"replicas":"auto"}"#, 200),
        ("deploy", "{}", 200),
        ("drain", r#"{"slot":22521}"#, 202),
    ] {
        let request = Request::post(format!("/api/v1/services/acts/{what}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let answer = send(acts.edge.admin, request, body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        document.allows(
            "post",
            &format!("/api/v1/services/{{name}}/{what}"),
            &answer,
        );
    }
    let service = acts.edge.service("acts").await;
    let age = service["replicas"][0]["age_seconds"].as_f64().unwrap();
    assert!(age > 0.0 && age < 120.0, "{service:#}");
    acts.shows(2).await;
    // Somebody kills one, and its slot remembers.
    let id = acts.ids().await[0].clone();
    docker(&["kill", &id]);
    let service = until("its successor is there", SOON, || async {
        let service = acts.edge.service("acts").await;
        let first = &service["replicas"][0];
        (first["restarts"] == 1 && first["state"] == "ready").then_some(service)
    })
    .await;
    document.fits(
        &serde_json::json!({ "$ref": "#/components/schemas/Service" }),
        &service,
    );
    assert_eq!(
        service["replicas"][0]["last_failure"]["why"],
        "exited with code 137"
    );
    let events = acts.edge.tidegate(&["events", "acts"]).await.out;
    assert!(events.contains("is sick: exited with code 137"), "{events}");
}

#[tokio::test]
async fn a_path_that_the_image_does_not_know_is_said_at_once_and_mended_by_a_reload() {
    let acts = Acts::start(22580, "    healthcheck: { path: /nowhere }\n").await;
    let why =
        "answered 404 to GET /nowhere; `healthcheck.path` or `--healthcheck` says what is asked";
    until("status says why it is not ready", SOON, || async {
        let status = acts.edge.tidegate(&["status"]).await.out;
        (status.contains("not healthy yet: ") && status.contains(why)).then_some(())
    })
    .await;
    until("and an event, for who looks later", SOON, || async {
        let events = acts.edge.tidegate(&["events", "acts"]).await.out;
        (events.contains("on 22580 is not healthy yet, 5.") && events.contains(why)).then_some(())
    })
    .await;
    let before = acts.ids().await;
    acts.write("");
    let reloaded = acts.edge.tidegate(&["reload"]).await;
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    acts.shows(1).await;
    assert_eq!(acts.ids().await, before, "only the question changed");
}

/// `tidegate logs acts --follow`; ends when it is dropped.
struct Following {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Following {
    fn start(edge: &Edge) -> Following {
        let mut command = edge.command(&["logs", "acts", "--follow", "--json", "-c"]);
        command.arg(edge.file()).stdout(Stdio::piped());
        let mut command = tokio::process::Command::from(command);
        let mut child = command.kill_on_drop(true).spawn().expect("the binary");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Following {
            lines,
            _child: child,
        }
    }

    /// The next line that is meant.
    async fn hears(&mut self, what: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        let heard = async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                let line: Value = serde_json::from_str(&line).expect("JSON");
                if is_meant(&line) {
                    return line;
                }
            }
            panic!("it ended before {what}");
        };
        let heard = tokio::time::timeout(SOON, heard).await;
        heard.unwrap_or_else(|_| panic!("it hears of {what}"))
    }
}

#[tokio::test]
async fn the_logs_of_all_replicas_come_with_their_slots_and_new_ones_join() {
    let acts = Acts::start(22540, "    scale: { min: 2, max: 4 }\n").await;
    acts.shows(2).await;
    let logs = acts.edge.tidegate(&["logs", "acts", "--tail", "all"]).await;
    assert_eq!(logs.code, Some(0), "{logs:?}");
    for slot in ["22540 | ", "22541 | "] {
        assert!(
            logs.out.lines().any(|line| line.starts_with(slot)),
            "{slot}: {logs:?}"
        );
    }
    let mut following = Following::start(&acts.edge);
    let scaled = acts.edge.tidegate(&["scale", "acts", "3"]).await;
    assert_eq!(scaled.code, Some(0), "{scaled:?}");
    let line = following.hears("the new one", |line| line["slot"] == 22542);
    let line = line.await;
    assert!(!line["line"].as_str().unwrap().is_empty(), "{line}");
    assert!(line["time"].as_str().unwrap().starts_with("20"), "{line}");

    let nobody = acts.edge.tidegate(&["logs", "nobody"]).await;
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.err.contains("there is `acts`"), "{nobody:?}");
}

#[tokio::test]
async fn a_log_is_followed_from_before_its_container_starts_and_after_it_starts_again() {
    let mut acts = Acts::start(22550, "").await;
    acts.shows(1).await;
    acts.edge.crash();
    let ours = format!("label=io.tidegate.instance={}", acts.edge.instance);
    let first = docker(&["ps", "-q", "--filter", &ours]);
    let labels = docker(&["inspect", "-f", "{{json .Config.Labels}}", &first]);
    let labels: BTreeMap<String, String> = serde_json::from_str(&labels).expect("JSON");
    let mut create = vec!["create".to_owned()];
    let generation = labels["io.tidegate.generation"].clone();
    create.push(format!("--name=tidegate-acts-22551-{generation}"));
    for (label, value) in labels {
        let value = match label.as_str() {
            "io.tidegate.slot" => "22551",
            _ => &value,
        };
        create.extend(["--label".to_owned(), format!("{label}={value}")]);
    }
    create.push("acts:latest".to_owned());
    let create: Vec<&str> = create.iter().map(String::as_str).collect();
    let second = docker(&create);

    let mut following = Following::start(&acts.edge);
    let mut starts = async |slot: u16| {
        let line = following.hears("a start", |line| {
            line["slot"] == slot && line["line"].as_str().unwrap().contains("listening on")
        });
        line.await["time"].as_str().unwrap().to_owned()
    };
    // By now the other one was looked at, too, and had nothing to say.
    starts(22550).await;
    docker(&["start", &second]);
    let once = starts(22551).await;
    docker(&["restart", "--time", "0", &second]);
    let again = starts(22551).await;
    assert!(again > once, "the line of {once} came twice");
}

#[tokio::test]
async fn an_image_that_is_looked_at_gets_a_file_that_starts() {
    let acts = Acts::prepare(22560, "");
    let written = acts.edge.folder.path().join("new.yaml");
    let out = written.to_str().unwrap();
    let mut init = acts.edge.command(&["init", "acts:latest", "--out", out]);
    let ran = init.output().expect("the binary");
    assert!(ran.status.success(), "{ran:?}");
    let text = std::fs::read_to_string(&written).unwrap();
    assert!(
        text.contains("image: acts:latest") && text.contains("port: 80 "),
        "{text}"
    );
    let checked = acts
        .edge
        .command(&["check", "-c", out])
        .output()
        .expect("the binary");
    assert!(checked.status.success(), "{checked:?}\n{text}");
    let again = init.output().expect("the binary");
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--force overwrites the file"));
}
