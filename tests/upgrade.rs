//! A new process in place of the running one: nothing is refused, nothing is lost, and one of
//! the two controls the containers.

use crate::support::client::{Connection, get};
use crate::support::docker::{self, docker};
use crate::support::edge::Edge;
use crate::support::load::Load;
use crate::support::upstream::Upstream;
use crate::support::{free_port, until};
use nix::sys::signal::Signal;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(30);
const HAND_OVER: &str = "--upgrade=on-quit";

fn fixed(upstream: &Upstream, more: &str) -> String {
    format!(
        "services:\n  legacy:\n    addresses: [\"{}\"]\n    healthcheck: {{ type: http, path: /api/v1/_health, interval: 100ms }}\n{more}",
        upstream.address
    )
}

/// A request that the upstream answers when it is told to.
async fn held(edge: &Edge, upstream: &Upstream) -> JoinHandle<u16> {
    let before = upstream.requests();
    let address = edge.address;
    let held = tokio::spawn(async move { get(address, "/held").await.status.as_u16() });
    until("the request is inside", SOON, || async {
        (upstream.requests() > before).then_some(())
    })
    .await;
    held
}

#[tokio::test]
async fn three_upgrades_in_a_row_lose_no_request() {
    let a = Upstream::start("A").await;
    let mut edge = Edge::start(&fixed(&a, "")).await;
    edge.ready().await;
    let load = Load::start(edge.address, "/x");
    let mut gone = Vec::new();
    for _ in 0..3 {
        let next = edge.upgraded().await;
        edge.says("took over: finishing requests in flight").await;
        gone.push(std::mem::replace(&mut edge, next));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    for old in &mut gone {
        assert_eq!(old.ended(SOON).await, Some(0), "{}", old.log());
    }
    until("the last one is alone", SOON, || async {
        edge.log().contains("is gone").then_some(())
    })
    .await;
    let (sent, failed) = load.stop().await;
    assert!(sent > 1000, "{sent}");
    assert_eq!(failed, Vec::<String>::new(), "of {sent}");
}

#[tokio::test]
async fn what_is_in_flight_finishes_and_everything_new_goes_to_the_new_one() {
    let a = Upstream::start("A").await;
    let mut old = Edge::start(&fixed(&a, "")).await;
    old.ready().await;
    let held = held(&old, &a).await;
    let mut kept = Connection::open(old.address).await.unwrap();
    assert_eq!(kept.get("/x").await.unwrap().status, 200);

    old.write(&fixed(&a, "    routes: [{ path: /new }]\n"));
    let new = old.upgraded().await;
    old.says("took over: finishing").await;
    for _ in 0..20 {
        assert_eq!(new.get("/new").await.status, 200);
        assert_eq!(new.get("/x").await.status, 404);
    }
    // A connection that was open is answered as before, and told that this was the last time.
    let answer = kept.get("/x").await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), "close");

    // Commands and the admin API mean the new one.
    assert_eq!(new.tidegate(&["status"]).await.code, Some(0));
    let pid_file = fs::read_to_string(new.folder.path().join("lock")).unwrap();
    assert_eq!(pid_file.trim(), new.pid().to_string());
    let process = "process_start_time_seconds";
    let started = new.metric(process).await;
    assert!(started.is_some());
    new.write(&fixed(&a, "    routes: [{ path: /newer }]\n"));
    let reloaded = new.tidegate(&["reload"]).await;
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    assert_eq!(new.get("/newer").await.status, 200);

    // A process without --upgrade is refused, as ever.
    let (code, said) = new.successor().refused().await;
    assert_eq!(code, Some(1), "{said}");
    let running = format!("another tidegate (process {})", new.pid());
    assert!(said.contains(&running), "{said}");

    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(!held.is_finished());
    assert!(!new.log().contains("is gone"));
    a.release();
    assert_eq!(held.await.unwrap(), 200);
    assert_eq!(old.ended(SOON).await, Some(0));
    new.says("is gone").await;
    assert_eq!(new.get("/newer").await.status, 200);
}

#[tokio::test]
async fn quit_hands_over_to_whoever_waits_for_it_and_does_nothing_else() {
    let a = Upstream::start("A").await;
    let mut old = Edge::start(&fixed(&a, "")).await;
    old.ready().await;
    let load = Load::start(old.address, "/x");
    old.signal(Signal::SIGQUIT);
    old.says("QUIT: no new process waits to take over").await;

    let mut dead = old.successor();
    dead.spawn(&[HAND_OVER]);
    dead.says("waiting until the running process gets QUIT")
        .await;
    old.says(&format!("process {} takes over at QUIT", dead.pid()))
        .await;
    // One at a time.
    let mut second = old.successor();
    second.spawn(&["--upgrade"]);
    assert_eq!(second.ended(SOON).await, Some(1));
    assert!(
        second.log().contains("another process is about to"),
        "{}",
        second.log()
    );
    dead.crash();
    old.says("does not wait for QUIT any more").await;
    old.signal(Signal::SIGQUIT);

    let mut new = old.successor();
    new.spawn(&[HAND_OVER]);
    new.says("waiting until the running process gets QUIT")
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(old.tidegate(&["reload"]).await.code, Some(0));
    assert!(!new.log().contains("took over"));
    old.signal(Signal::SIGQUIT);
    new.says("took over from process").await;
    assert_eq!(old.ended(SOON).await, Some(0));
    let (sent, failed) = load.stop().await;
    assert_eq!(failed, Vec::<String>::new(), "of {sent}");
    assert_eq!(new.get("/x").await.status, 200);
}

#[tokio::test]
async fn a_successor_that_cannot_do_it_changes_nothing() {
    let a = Upstream::start("A").await;
    let old = Edge::start(&fixed(&a, "")).await;
    old.ready().await;
    let load = Load::start(old.address, "/x");

    let refused = async |code: i32, said: &str| {
        let mut next = old.successor();
        next.spawn(&["--upgrade"]);
        assert_eq!(next.ended(SOON).await, Some(code), "{}", next.log());
        assert!(next.log().contains(said), "{}", next.log());
    };
    // Its configuration is wrong.
    old.write(&fixed(&a, "    nonsense: true\n"));
    refused(64, "unknown key `nonsense`").await;
    // An address that it wants belongs to somebody else.
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap();
    let listen = format!("[\"{}\", \"{taken}\"]", old.address);
    old.write(&fixed(&a, ""));
    let file = fs::read_to_string(old.file()).unwrap();
    let own = format!("[\"{}\"]", old.address);
    fs::write(old.file(), file.replace(&own, &listen)).unwrap();
    refused(1, "another program listens on port").await;
    // Nothing that works here works there.
    let dead = format!("127.0.0.1:{}", free_port());
    old.write(&fixed(&a, "").replace(&a.address.to_string(), &dead));
    refused(1, "no replica of `legacy` was ready here within 10s").await;
    old.write(&fixed(&a, ""));

    // The new process ends amid the upgrade, once before and once after it was given control.
    let name = |pid: u32| format!("process {pid}");
    for (pid, last_words) in [(1, "does not take over after all"), (2, "ended before it")] {
        let mut wire = successor_by_hand(&old, pid).await;
        if pid == 2 {
            wire.write_all(b"\"ready\"\n").await.unwrap();
            let mut yours = String::new();
            wire.read_line(&mut yours).await.unwrap();
            assert!(yours.contains("\"wanted\":{\"legacy\":1}"), "{yours}");
        }
        drop(wire);
        old.says(&format!("{} {last_words}", name(pid))).await;
    }
    let (sent, failed) = load.stop().await;
    assert_eq!(failed, Vec::<String>::new(), "of {sent}");
    assert_eq!(old.tidegate(&["reload"]).await.code, Some(0));

    // And one that can still does.
    let new = old.upgraded().await;
    assert_eq!(new.get("/x").await.status, 200);
}

/// Says hello like a successor, and reads what it is shown; the sockets are lost on the way.
async fn successor_by_hand(old: &Edge, pid: u32) -> BufReader<UnixStream> {
    let path = old.folder.path().join("upgrade.sock");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut wire = BufReader::new(UnixStream::connect(path).await.unwrap());
    let hello = json!({ "hello": { "protocol": 1, "pid": pid, "when": "now" } });
    let hello = format!("{hello}\n");
    wire.write_all(hello.as_bytes()).await.unwrap();
    let mut shown = String::new();
    wire.read_line(&mut shown).await.unwrap();
    assert!(shown.contains(&old.address.to_string()), "{shown}");
    wire
}

#[tokio::test]
async fn another_version_of_the_conversation_is_refused() {
    let a = Upstream::start("A").await;
    let old = Edge::start(&fixed(&a, "")).await;
    let path = old.folder.path().join("upgrade.sock");
    let mut wire = BufReader::new(UnixStream::connect(path).await.unwrap());
    let hello = json!({ "hello": { "protocol": 0, "pid": 1, "when": "now" } });
    wire.write_all(format!("{hello}\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    wire.read_line(&mut answer).await.unwrap();
    assert!(
        answer.contains("cannot hand over to each other"),
        "{answer}"
    );
}

#[tokio::test]
async fn without_a_running_one_it_starts_as_usual() {
    let a = Upstream::start("A").await;
    let mut edge = Edge::prepare(&fixed(&a, ""));
    edge.spawn(&["--upgrade"]);
    edge.says("to take over from: starting as usual").await;
    edge.listening().await;
    edge.ready().await;
    // A crash leaves its sockets behind.
    edge.crash();
    edge.spawn(&["--upgrade"]);
    edge.listening().await;
    edge.ready().await;
    assert_eq!(edge.get("/x").await.status, 200);
}

#[tokio::test]
async fn listeners_that_changed_are_opened_and_closed() {
    let a = Upstream::start("A").await;
    let mut old = Edge::start(&fixed(&a, "")).await;
    old.ready().await;
    let mut new = old.successor();
    new.address.set_port(free_port());
    new.admin.set_port(free_port());
    new.write(&fixed(&a, ""));
    new.spawn(&["--upgrade"]);
    new.says("took over from process").await;
    new.ready().await;
    assert_eq!(new.get("/x").await.status, 200);
    for address in [old.address, old.admin] {
        until("nobody listens there any more", SOON, || async {
            Connection::open(address).await.is_err().then_some(())
        })
        .await;
    }
    // TERM does not wait for idle clients.
    old.signal(Signal::SIGTERM);
    assert_eq!(old.ended(Duration::from_secs(3)).await, Some(0));
    assert_eq!(new.get("/x").await.status, 200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_left_at_the_drain_timeout() {
    let a = Upstream::start("A").await;
    let timeouts = "timeouts: { drain: 2s }\n";
    let mut old = Edge::start(&fixed(&a, timeouts)).await;
    old.ready().await;
    let held = held(&old, &a).await;
    let new = old.upgraded().await;
    assert_eq!(old.ended(Duration::from_secs(10)).await, Some(0));
    let log = old.log();
    assert!(log.contains("1 requests were still in flight"), "{log}");
    assert!(held.await.is_err());
    assert_eq!(new.get("/x").await.status, 200);
}

// === containers ===

/// The example service with a volume of its own, below `first_port`.
struct Acts {
    edge: Edge,
    first_port: u16,
}

impl Acts {
    async fn start(first_port: u16, more: &str) -> Acts {
        let mut acts = Acts {
            edge: Edge::prepare(""),
            first_port,
        };
        acts.write(more);
        acts.edge.spawn(&[]);
        acts.edge.listening().await;
        acts
    }

    fn write(&self, more: &str) {
        self.edge.write(&format!(
            "services:\n  acts:\n    image: acts:latest\n    first_port: {}\n    \
             volumes: [\"{}-data:/data\"]\n    routes: [{{ path: /api/v1 }}]\n{more}",
            self.first_port, self.edge.instance,
        ));
    }

    async fn shows(edge: &Edge, first_port: u16, count: u16) {
        let ready = (first_port..first_port + count).map(|port| format!("{port}=ready"));
        let picture = ready.collect::<Vec<_>>().join(" ");
        edge.shows("acts", &picture, SOON).await;
    }

    fn containers(&self) -> BTreeSet<String> {
        let label = format!("label=io.tidegate.instance={}", self.edge.instance);
        let format = "{{.ID}} {{.CreatedAt}}";
        let all = docker(&["ps", "-a", "--filter", &label, "--format", format]);
        all.lines().map(str::to_owned).collect()
    }
}

impl Drop for Acts {
    fn drop(&mut self) {
        let volume = format!("{}-data", self.edge.instance);
        self.edge.stop_now();
        docker::clean(&format!(
            "label=io.tidegate.instance={}",
            self.edge.instance
        ));
        let _ = docker::run(&["volume", "rm", "-f", &volume]);
    }
}

#[tokio::test]
async fn containers_go_on_and_none_is_started_or_stopped() {
    let mut acts = Acts::start(26000, "    scale: { min: 3 }\n").await;
    Acts::shows(&acts.edge, acts.first_port, 3).await;
    let before = acts.containers();
    let load = Load::start(acts.edge.address, "/api/v1/categories");
    for _ in 0..3 {
        let new = acts.edge.upgraded().await;
        // Its own idea of how many there should be comes later.
        assert_eq!(new.service("acts").await["ready"], 3);
        let mut old = std::mem::replace(&mut acts.edge, new);
        assert_eq!(old.ended(SOON).await, Some(0));
        acts.edge.says("is gone").await;
        for log in [old.log(), acts.edge.log()] {
            assert!(!log.contains("draining"), "{log}");
        }
        assert!(!acts.edge.log().contains("starting a replica"));
    }
    let (sent, failed) = load.stop().await;
    assert_eq!(failed, Vec::<String>::new(), "of {sent}");
    assert_eq!(acts.containers(), before);

    // The last one is in control.
    let first = acts.edge.service("acts").await["replicas"][0]["id"].clone();
    docker(&["kill", first.as_str().unwrap()]);
    until("it is replaced", SOON, || async {
        let service = acts.edge.service("acts").await;
        (service["ready"] == 3 && service["replicas"][0]["id"] != first).then_some(())
    })
    .await;
}

#[tokio::test]
async fn replicas_are_replaced_only_when_the_old_process_is_gone() {
    let mut acts = Acts::start(26020, "").await;
    Acts::shows(&acts.edge, acts.first_port, 1).await;
    let before = acts.containers();
    let address = acts.edge.address;
    let slow = tokio::spawn(async move { get(address, "/api/v1/_sleep?ms=9000").await.status });
    until("the request is inside", SOON, || async {
        let service = acts.edge.service("acts").await;
        (service["replicas"][0]["in_flight"] == 1).then_some(())
    })
    .await;
    acts.write(
        "    environment: { ANY: thing }\n    stop_grace_period: 1s\n    \
         update_config: { monitor: 10ms }\n",
    );
    let new = acts.edge.upgraded().await;
    let mut old = std::mem::replace(&mut acts.edge, new);
    // The new template's replica is ready beside it, and still the old one stays.
    Acts::shows(&acts.edge, acts.first_port, 2).await;
    until("the old one waits for the process before", SOON, || async {
        let because = acts.edge.service("acts").await["because"].to_string();
        because
            .contains("waiting for the old process")
            .then_some(())
    })
    .await;
    assert!(!slow.is_finished());
    assert!(before.is_subset(&acts.containers()));
    assert_eq!(slow.await.unwrap(), 200);
    assert_eq!(old.ended(SOON).await, Some(0));
    until("only the new template is left", SOON, || async {
        let now = acts.containers();
        (now.len() == 1 && now.is_disjoint(&before)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_not_in_the_new_configuration_goes_with_the_old_process() {
    let mut acts = Acts::start(26080, "").await;
    Acts::shows(&acts.edge, acts.first_port, 1).await;
    let before = acts.containers();
    acts.edge.write(
        "services:\n  other:\n    image: acts:latest\n    first_port: 26090\n    \
         routes: [{ path: /api/v1 }]\n",
    );
    let new = acts.edge.upgraded().await;
    let mut old = std::mem::replace(&mut acts.edge, new);
    acts.edge.shows("other", "26090=ready", SOON).await;
    assert!(before.is_subset(&acts.containers()));
    assert_eq!(old.ended(SOON).await, Some(0));
    until("its container is gone", SOON, || async {
        acts.containers().is_disjoint(&before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_successor_that_dies_in_control_gives_it_back() {
    let acts = Acts::start(26040, "").await;
    Acts::shows(&acts.edge, acts.first_port, 1).await;
    let mut wire = successor_by_hand(&acts.edge, 1).await;
    wire.write_all(b"\"ready\"\n").await.unwrap();
    let mut yours = String::new();
    wire.read_line(&mut yours).await.unwrap();
    // While another process is in control, this one only looks.
    let first = acts.edge.service("acts").await["replicas"][0]["id"].clone();
    docker(&["kill", first.as_str().unwrap()]);
    let picture = format!("{}=sick", acts.first_port);
    acts.edge.shows("acts", &picture, SOON).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    acts.edge.shows("acts", &picture, SOON).await;
    drop(wire);
    acts.edge
        .says("ended before it took over; continuing")
        .await;
    Acts::shows(&acts.edge, acts.first_port, 1).await;
}

#[tokio::test]
async fn an_ordinary_start_is_refused_all_along() {
    let mut acts = Acts::start(26060, "").await;
    Acts::shows(&acts.edge, acts.first_port, 1).await;
    let over = Arc::new(AtomicBool::new(false));
    // One with the same folder, one that only wants the same containers.
    let same = acts.edge.successor();
    let mut elsewhere = Edge::prepare("");
    elsewhere.instance.clone_from(&acts.edge.instance);
    elsewhere.write("services: { acts: { image: \"acts:latest\", first_port: 26070 } }\n");
    let intruders = [same, elsewhere].map(|mut intruder| {
        let over = Arc::clone(&over);
        tokio::spawn(async move {
            let mut tries = 0;
            while !over.load(Ordering::Relaxed) {
                let (code, said) = intruder.refused().await;
                assert_eq!(code, Some(1), "{said}");
                tries += 1;
            }
            tries
        })
    });
    for _ in 0..2 {
        let new = acts.edge.upgraded().await;
        let mut old = std::mem::replace(&mut acts.edge, new);
        assert_eq!(old.ended(SOON).await, Some(0));
    }
    over.store(true, Ordering::Relaxed);
    for intruder in intruders {
        assert!(intruder.await.unwrap() > 10);
    }
}
