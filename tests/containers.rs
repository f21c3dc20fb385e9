//! The real binary on a real Docker daemon, with the example service behind it.

use crate::support::client::{self, Connection, get, send};
use crate::support::docker::{Wire, clean, docker};
use crate::support::edge::Edge;
use crate::support::image;
use crate::support::until;
use http::Request;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// The example service on ports of its own; removes its containers when the story is over.
pub struct Acts {
    pub edge: Edge,
    first_port: u16,
}

impl Acts {
    pub async fn start(first_port: u16, more: &str) -> Acts {
        let mut acts = Acts::prepare(first_port, more);
        acts.edge.spawn(&[]);
        acts.edge.listening().await;
        acts
    }

    pub fn prepare(first_port: u16, more: &str) -> Acts {
        let edge = Edge::prepare("");
        let acts = Acts { edge, first_port };
        acts.write(more);
        acts
    }

    /// `more` is what follows in the service's own mapping.
    pub fn write(&self, more: &str) {
        self.edge.write(&format!(
            "services:\n  acts:\n    image: acts:latest\n    first_port: {}\n    \
             volumes: [\"{}:/data\"]\n    routes: [{{ path: /api/v1 }}]\n{more}",
            self.first_port,
            self.volume(),
        ));
    }

    pub fn volume(&self) -> String {
        format!("{}-data", self.edge.instance)
    }

    /// `count` ready replicas from the first port on.
    pub async fn shows(&self, count: u16) {
        let ready = (0..count).map(|n| format!("{}=ready", self.first_port + n));
        let picture = ready.collect::<Vec<_>>().join(" ");
        self.edge.shows("acts", &picture, SOON).await;
    }

    pub async fn ids(&self) -> Vec<String> {
        let service = self.edge.service("acts").await;
        let replicas = service["replicas"].as_array().cloned().unwrap_or_default();
        replicas
            .iter()
            .map(|replica| replica["id"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Names of the replicas that answer `count` requests, in turn.
    pub async fn turns(&self, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            let answer = self.edge.get("/api/v1/categories").await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            names.push(answer.header("x-acts-replica").to_owned());
        }
        names
    }

    /// Strictly in turn over exactly `count` replicas.
    pub async fn goes_round(&self, count: usize) {
        let turns = self.turns(2 * count).await;
        let (first, second) = turns.split_at(count);
        assert_eq!(first, second);
        assert_eq!(
            first.iter().collect::<BTreeSet<_>>().len(),
            count,
            "{turns:?}"
        );
    }

    pub fn port(&self, n: u16) -> SocketAddr {
        ([127, 0, 0, 1], self.first_port + n).into()
    }

    pub fn containers(&self) -> Vec<String> {
        let label = format!("label=io.tidegate.instance={}", self.edge.instance);
        let all = docker(&["ps", "-aq", "--no-trunc", "--filter", &label]);
        all.lines().map(str::to_owned).collect()
    }

    /// Waits until another container than `old` is ready in the first place.
    pub async fn healed(&self, old: &str) {
        until("a new container is ready on the port", SOON, || async {
            let service = self.edge.service("acts").await;
            let replica = &service["replicas"][0];
            let new = replica["id"] != old && replica["state"] == "ready";
            (new && replica["slot"] == self.first_port).then_some(())
        })
        .await;
        assert_eq!(get(self.port(0), "/api/v1/_health").await.status, 200);
    }
}

impl Drop for Acts {
    fn drop(&mut self) {
        self.edge.stop_now();
        clean(&format!(
            "label=io.tidegate.instance={}",
            self.edge.instance
        ));
        let _ = crate::support::docker::run(&["volume", "rm", "-f", &self.volume()]);
    }
}

/// The steps that the specification's own checker takes, with a shorter interval.
#[tokio::test]
async fn the_specifications_own_checker_is_satisfied() {
    let acts = Acts::start(22000, "    scale: { interval: 10s }\n").await;
    acts.shows(1).await;

    // 20 requests in the first interval want a second container, on the next port.
    acts.turns(20).await;
    acts.shows(2).await;
    acts.goes_round(2).await;

    // A crash on the first port: within 20 s another container is healthy on the same port.
    let old = acts.ids().await.remove(0);
    assert_eq!(
        send(acts.port(0), Request::post("/api/v1/_crash"), "")
            .await
            .status,
        200
    );
    acts.healed(&old).await;
    acts.goes_round(2).await;

    // 4 + 4 + 37 = 45 requests in this interval want three; health checks and crashes are not
    // counted, nor is what no route claims.
    acts.turns(37).await;
    assert_eq!(acts.edge.get("/api/v1/_health").await.status, 200);
    assert_eq!(acts.edge.get("/elsewhere").await.status, 404);
    acts.shows(3).await;
    acts.goes_round(3).await;

    // Hardly any in the next one: back to the first port alone.
    acts.shows(1).await;
    acts.goes_round(1).await;
}

#[tokio::test]
async fn whatever_ends_a_container_it_is_replaced_on_its_port() {
    let acts = Acts::start(22020, "").await;
    acts.shows(1).await;
    type Death = fn(&str);
    let deaths: [(&str, Death); 4] = [
        ("its process is killed", |id| {
            let pid = docker(&["inspect", "-f", "{{.State.Pid}}", id]);
            kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
        }),
        ("docker stop", |id| drop(docker(&["stop", "-t", "0", id]))),
        ("docker pause", |id| drop(docker(&["pause", id]))),
        ("docker rm -f", |id| drop(docker(&["rm", "-f", id]))),
    ];
    for (how, end) in deaths {
        let old = acts.ids().await.remove(0);
        end(&old);
        acts.healed(&old).await;
        assert_eq!(acts.containers().len(), 1, "{how}");
        assert_eq!(acts.turns(1).await.len(), 1, "{how}");
    }
}

#[tokio::test]
async fn a_replica_that_hangs_is_replaced() {
    let more = "    environment: { ACTS_HANG_AFTER_MS: 1500 }\n    healthcheck: { path: /api/v1/_health, timeout: 300ms }\n";
    let acts = Acts::start(22040, more).await;
    acts.shows(1).await;
    let old = acts.ids().await.remove(0);
    acts.healed(&old).await;
    acts.edge.logs("no answer within 300ms").await;
}

#[tokio::test]
async fn replicas_share_one_volume_and_a_request_waits_for_the_first_to_be_healthy() {
    let more = "    environment: { ACTS_START_DELAY_MS: 1500 }\n    scale: { min: 3 }\n";
    let acts = Acts::start(22060, more).await;
    let early = acts.edge.get("/api/v1/categories").await;
    assert_eq!(early.status, 200, "held until the first replica was ready");
    acts.shows(3).await;
    let written = send(
        acts.port(0),
        Request::post("/api/v1/categories").header("content-type", "application/json"),
        r#"["birds"]"#,
    );
    assert_eq!(written.await.status, 201);
    for n in 0..3 {
        let read = get(acts.port(n), "/api/v1/categories").await;
        assert_eq!(read.json(), serde_json::json!({ "birds": 0 }));
    }
}

#[tokio::test]
async fn a_port_that_somebody_else_holds_is_skipped() {
    let _held = std::net::TcpListener::bind("127.0.0.1:22081").unwrap();
    let acts = Acts::start(22080, "    scale: { min: 2 }\n").await;
    acts.edge
        .shows("acts", "22080=ready 22082=ready", SOON)
        .await;
    let skipped = "skipping port 22081: another program holds it";
    acts.edge.logs(skipped).await;
}

/// Sends requests all the time and counts what did not come back as 200.
pub struct Load {
    over: Arc<AtomicBool>,
    failed: Arc<AtomicU32>,
    clients: Vec<tokio::task::JoinHandle<u32>>,
}

impl Load {
    pub fn start(address: SocketAddr) -> Load {
        let (over, failed) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(0)),
        );
        let clients = (0..4).map(|_| {
            let (over, failed) = (Arc::clone(&over), Arc::clone(&failed));
            tokio::spawn(async move {
                let mut sent = 0;
                let mut connection = None;
                while !over.load(Ordering::Relaxed) {
                    let open = match connection.take() {
                        Some(open) => Ok(open),
                        None => Connection::open(address).await,
                    };
                    let answer = match open {
                        Ok(mut open) => {
                            let answer = open.get("/api/v1/categories").await;
                            connection = answer.is_ok().then_some(open);
                            answer.ok()
                        }
                        Err(_) => None,
                    };
                    sent += 1;
                    if answer.is_none_or(|answer| answer.status != 200) {
                        failed.fetch_add(1, Ordering::Relaxed);
                        connection = None;
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
                sent
            })
        });
        let clients = clients.collect();
        Load {
            over,
            failed,
            clients,
        }
    }

    /// Sent and failed.
    pub async fn stop(self) -> (u32, u32) {
        self.over.store(true, Ordering::Relaxed);
        let mut sent = 0;
        for client in self.clients {
            sent += client.await.unwrap();
        }
        (sent, self.failed.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn a_killed_tidegate_finds_its_containers_again_and_starts_none_twice() {
    let mut acts = Acts::start(22100, "    scale: { min: 3 }\n").await;
    acts.shows(3).await;
    let before: BTreeSet<String> = acts.containers().into_iter().collect();
    let load = Load::start(acts.edge.address);
    acts.edge.crash();
    acts.edge.spawn(&[]);
    acts.edge.listening().await;
    acts.shows(3).await;
    let (sent, _) = load.stop().await;
    assert!(sent > 0);
    let after: BTreeSet<String> = acts.containers().into_iter().collect();
    assert_eq!(before, after);
    acts.goes_round(3).await;
    assert!(
        !acts
            .edge
            .log()
            .rsplit("adopted")
            .next()
            .unwrap_or_default()
            .contains("starting")
    );
}

#[tokio::test]
async fn a_changed_template_replaces_replica_by_replica_and_loses_no_request() {
    let acts = Acts::start(22120, "    scale: { min: 2 }\n").await;
    acts.shows(2).await;
    let before = acts.ids().await;
    let load = Load::start(acts.edge.address);
    acts.write("    scale: { min: 2 }\n    environment: { ANY: thing }\n");
    acts.edge.signal(Signal::SIGHUP);
    until(
        "both are replaced and the one ahead is gone",
        SOON,
        || async {
            let service = acts.edge.service("acts").await;
            let now = acts.ids().await;
            let settled = service["ready"] == 2 && now.len() == 2;
            (settled && now.iter().all(|id| !before.contains(id))).then_some(())
        },
    )
    .await;
    acts.shows(2).await;
    let (sent, failed) = load.stop().await;
    assert!(sent > 100, "{sent}");
    assert_eq!(failed, 0, "of {sent}\n{}", acts.edge.log());
}

#[tokio::test]
async fn a_service_that_leaves_the_configuration_is_drained_and_removed() {
    let acts = Acts::start(22140, "").await;
    acts.shows(1).await;
    acts.edge.write(
        "services:\n  other:\n    addresses: [\"127.0.0.1:9\"]\n    routes: [{ path: /other }]\n",
    );
    let reload = client::send(acts.edge.admin, Request::post("/api/v1/reload"), "").await;
    assert_eq!(reload.status, 401);
    acts.edge.signal(Signal::SIGHUP);
    until("nothing of it is left", SOON, || async {
        acts.containers().is_empty().then_some(())
    })
    .await;
    assert_eq!(acts.edge.get("/api/v1/categories").await.status, 404);
}

#[tokio::test]
async fn traffic_goes_on_while_docker_is_away_and_what_died_is_replaced_when_it_is_back() {
    let mut wire = Wire::new();
    wire.connect();
    let mut acts = Acts::prepare(22160, "    scale: { min: 2 }\n");
    let host = format!("unix://{}", wire.path().display());
    acts.edge.set("DOCKER_HOST", host);
    acts.edge.spawn(&[]);
    acts.edge.listening().await;
    acts.shows(2).await;
    let load = Load::start(acts.edge.address);

    wire.cut();
    until("it is noticed", SOON, || async {
        (acts.edge.metric("tidegate_engine_up").await == Some(0.0)).then_some(())
    })
    .await;
    acts.goes_round_while_loaded().await;
    let dead = acts.ids().await.remove(1);
    docker(&["kill", &dead]);
    let picture = format!("{}=ready {}=sick", acts.first_port, acts.first_port + 1);
    acts.edge.shows("acts", &picture, SOON).await;

    wire.connect();
    acts.shows(2).await;
    assert!(!acts.ids().await.contains(&dead));
    let (sent, failed) = load.stop().await;
    // Only what was inside the killed container may be lost.
    assert!(failed <= 4, "{failed} of {sent}\n{}", acts.edge.log());
}

impl Acts {
    async fn goes_round_while_loaded(&self) {
        let turns: BTreeSet<String> = self.turns(20).await.into_iter().collect();
        assert_eq!(turns.len(), 2);
    }
}

#[tokio::test]
async fn rm_removes_every_container_on_the_way_out() {
    let mut acts = Acts::prepare(22180, "    scale: { min: 2 }\n");
    acts.edge.spawn(&["--rm"]);
    acts.edge.listening().await;
    acts.shows(2).await;
    acts.edge.signal(Signal::SIGTERM);
    assert_eq!(acts.edge.ended(SOON).await, Some(0));
    assert_eq!(acts.containers(), Vec::<String>::new());
}

#[tokio::test]
async fn a_single_replica_is_replaced_and_every_get_waits_for_the_new_one() {
    let acts = Acts::start(22200, "").await;
    acts.shows(1).await;
    let load = Load::start(acts.edge.address);
    for _ in 0..3 {
        let old = acts.ids().await.remove(0);
        docker(&["kill", &old]);
        acts.healed(&old).await;
    }
    let (sent, failed) = load.stop().await;
    assert_eq!(failed, 0, "of {sent}\n{}", acts.edge.log());
    let held = acts
        .edge
        .metric("tidegate_hold_duration_seconds_count{service=\"acts\"}")
        .await;
    assert!(held.is_some_and(|held| held >= 3.0), "{held:?}");
}

#[tokio::test]
async fn a_request_does_not_wait_for_longer_than_it_may() {
    let more = "    environment: { ACTS_FAIL_HEALTH: 1 }\n    healthcheck: { path: /api/v1/_health }\n    hold: { timeout: 500ms }\n";
    let acts = Acts::start(22220, more).await;
    let answer = acts.edge.get("/api/v1/categories").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (503, "1")
    );
}

#[tokio::test]
async fn all_that_wait_for_the_only_replica_get_in_however_short_its_listen_queue() {
    let mut edge = Edge::prepare("");
    edge.write(&format!(
        "services:\n  tiny:\n    image: {}\n    first_port: 22900\n    \
         environment: {{ LATE: \"1000\", BACKLOG: \"8\" }}\n    healthcheck: {{ path: / }}\n    \
         scale: {{ max: 1 }}\n",
        image::tiny(),
    ));
    edge.spawn(&[]);
    edge.listening().await;
    let address = edge.address;
    let asked = (0..500).map(|_| tokio::spawn(async move { get(address, "/x").await.status }));
    let asked = futures_util::future::join_all(asked);
    let statuses = tokio::time::timeout(SOON, asked).await.expect("they wait");
    for status in statuses {
        assert_eq!(status.expect("an answer"), 200);
    }
}

/// Docker accepts connections to a published port long before the program behind it listens.
#[tokio::test]
async fn by_tcp_nobody_is_sent_to_a_program_that_does_not_listen_yet() {
    let mut edge = Edge::prepare("");
    edge.write(&format!(
        "services:\n  tiny:\n    image: {}\n    first_port: 22910\n    \
         environment: {{ LATE: \"1500\" }}\n    healthcheck: {{ type: tcp }}\n    \
         scale: {{ max: 1 }}\n",
        image::tiny(),
    ));
    edge.spawn(&[]);
    edge.listening().await;
    let answer = send(edge.address, Request::post("/x"), "sent once").await;
    assert_eq!(answer.status, 200, "{}", edge.log());
    assert_eq!(edge.service("tiny").await["replicas"][0]["restarts"], 0);
}
