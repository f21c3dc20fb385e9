//! The real binary in front of plain addresses that fail: what becomes of the requests.

use crate::support::client::{Answer, begin, send};
use crate::support::edge::Edge;
use crate::support::until;
use crate::support::upstream::Upstream;
use http::Request;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Far less than the minute that an answer, and here a connection, may take.
const SOON: Duration = Duration::from_secs(10);

fn legacy(addresses: &[SocketAddr], more: &str) -> String {
    let addresses: Vec<String> = addresses.iter().map(|at| format!("\"{at}\"")).collect();
    let addresses = addresses.join(", ");
    format!("services:\n  legacy:\n    addresses: [{addresses}]\n{more}")
}

const HTTP: &str =
    "    healthcheck: { type: http, path: /api/v1/_health, interval: 100ms, timeout: 500ms }\n";

/// Two replicas, both ready.
async fn a_and_b(more: &str) -> (Upstream, Upstream, Edge) {
    let (a, b) = (Upstream::start("A").await, Upstream::start("B").await);
    let edge = Edge::start(&legacy(&[a.address, b.address], more)).await;
    edge.shows("legacy", "0=ready 1=ready", SOON).await;
    (a, b, edge)
}

/// One such request in each of them, which waits there.
async fn one_in_each(
    edge: &Edge,
    a: &Upstream,
    b: &Upstream,
    method: &'static str,
    body_bytes: usize,
) -> Vec<JoinHandle<Answer>> {
    let before = a.requests() + b.requests();
    let asked = [(); 2].map(|()| {
        let request = Request::builder().method(method).uri("/held");
        let address = edge.address;
        tokio::spawn(async move { send(address, request, "x".repeat(body_bytes)).await })
    });
    until("both are inside", SOON, || async {
        (a.requests() + b.requests() == before + 2).then_some(())
    })
    .await;
    asked.into()
}

async fn answers(asked: Vec<JoinHandle<Answer>>) -> Vec<String> {
    let all = futures_util::future::join_all(asked);
    let all = tokio::time::timeout(SOON, all).await.expect("they wait");
    let mut answers: Vec<String> = all
        .into_iter()
        .map(|answer| {
            let answer = answer.expect("an answer");
            format!("{} {}", answer.status.as_u16(), answer.header("x-upstream"))
        })
        .collect();
    answers.sort();
    answers
}

#[tokio::test]
async fn a_request_that_fails_is_in_the_log_the_status_and_the_api() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
            });
        }
    });
    let check = "    healthcheck: { type: tcp, interval: 100ms }\n";
    let edge = Edge::start(&legacy(&[address], check)).await;
    edge.ready().await;
    let posts = (0..20).map(|_| {
        let request = Request::builder().method("POST").uri("/");
        send(edge.address, request, "x".to_owned())
    });
    for answer in futures_util::future::join_all(posts).await {
        assert_eq!(answer.status, 502);
    }
    let why = "the replica closed the connection before it answered";
    edge.says(&format!(
        "legacy: a request failed with 502 at {address}: {why}"
    ))
    .await;
    let log = edge.log();
    let lines = log.lines().filter(|line| line.contains("a request failed"));
    assert!(lines.clone().count() < 20, "{log}");
    assert!(lines.clone().all(|line| line.contains("WARN")), "{log}");

    let service = edge.service("legacy").await;
    for error in [
        &service["last_error"],
        &service["replicas"][0]["last_error"],
    ] {
        assert_eq!(error["why"], why, "{service}");
        assert_eq!(error["replica"], address.to_string(), "{service}");
    }
    let status = edge.tidegate(&["status"]).await;
    let line = format!("ago at {address}: {why}");
    assert!(status.out.contains(&line), "{status:?}");
}

#[tokio::test]
async fn what_waits_on_a_replica_that_gets_sick_is_answered_by_another() {
    for (method, body_bytes) in [("GET", 0), ("PUT", 10_000)] {
        let (a, b, edge) = a_and_b(HTTP).await;
        let asked = one_in_each(&edge, &a, &b, method, body_bytes).await;
        b.set_healthy(false);
        until("both are with A", SOON, || async {
            (a.requests() == 2).then_some(())
        })
        .await;
        let released = async {
            // One that was not waiting yet misses its turn.
            while asked.iter().any(|asked| !asked.is_finished()) {
                a.release();
                tokio::task::yield_now().await;
            }
        };
        let released = tokio::time::timeout(SOON, released).await;
        released.expect("they wait");
        assert_eq!(answers(asked).await, ["200 A", "200 A"], "{method}");
        // Counters are written after the answer.
        until("the retry is counted", SOON, || async {
            let retries = "tidegate_retries_total{service=\"legacy\"}";
            (edge.metric(retries).await == Some(1.0)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_cannot_be_sent_twice_stays_for_as_long_as_its_replica_may_answer() {
    // A POST may have been carried out, and of the PUT too much was sent to be remembered. A
    // replica that fails one health check may still answer them.
    for (method, body_bytes) in [("POST", 100), ("PUT", 100_000)] {
        let (a, b, edge) = a_and_b(HTTP).await;
        let asked = one_in_each(&edge, &a, &b, method, body_bytes).await;
        b.set_healthy(false);
        edge.shows("legacy", "0=ready 1=sick", SOON).await;
        a.release();
        b.release();
        assert_eq!(answers(asked).await, ["200 A", "200 B"], "{method}");
        assert_eq!((a.requests(), b.requests()), (1, 1), "{method}");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_twice_is_502_as_soon_as_its_replica_is_gone() {
    let (a, b, edge) = a_and_b(HTTP).await;
    let asked = one_in_each(&edge, &a, &b, "POST", 100).await;
    edge.write(&legacy(
        &[a.address],
        &format!("{HTTP}    stop_grace_period: 0s\n"),
    ));
    let reload = edge.tidegate(&["reload"]).await;
    assert_eq!(reload.code, Some(0), "{reload:?}");
    a.release();
    assert_eq!(answers(asked).await, ["200 A", "502 "]);
    assert_eq!((a.requests(), b.requests()), (1, 1));
}

#[tokio::test]
async fn an_answer_that_has_begun_goes_on_when_its_replica_gets_sick() {
    let (a, b, edge) = a_and_b(HTTP).await;
    let mut bodies = Vec::new();
    for _ in 0..2 {
        // Returns when the head is there.
        bodies.push(begin(edge.address, "/begun").await);
    }
    assert_eq!((a.requests(), b.requests()), (1, 1));
    b.set_healthy(false);
    edge.shows("legacy", "0=ready 1=sick", SOON).await;
    a.release();
    b.release();
    for body in bodies {
        let body = tokio::time::timeout(SOON, body).await.expect("it waits");
        assert_eq!(body.expect("all of it"), "begun done");
    }
}

/// Accepts connections until it is told to stop; from then on its listen queue, which is as short
/// as can be, is full in no time.
struct Stuck {
    address: SocketAddr,
    accepting: JoinHandle<()>,
    _listener: std::net::TcpListener,
}

impl Stuck {
    fn start() -> Stuck {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let listener = socket.listen(1).expect("listening");
        let address = listener.local_addr().expect("bound");
        let listener = listener.into_std().expect("one of the system");
        let own = listener.try_clone().expect("another handle");
        let own = tokio::net::TcpListener::from_std(own).expect("non-blocking");
        let accepting = tokio::spawn(async move {
            let mut accepted = Vec::new();
            loop {
                accepted.extend(own.accept().await);
            }
        });
        Stuck {
            address,
            accepting,
            _listener: listener,
        }
    }

    fn get_stuck(&self) {
        self.accepting.abort();
    }

    /// The same, with a full listen queue. What is in there waits for nothing.
    async fn get_full(&self) -> Vec<TcpStream> {
        self.get_stuck();
        let mut queued = Vec::new();
        let short = Duration::from_millis(500);
        while let Ok(stream) = timeout(short, TcpStream::connect(self.address)).await {
            queued.push(stream.expect("it listens"));
        }
        queued
    }
}

#[tokio::test]
async fn who_is_still_connecting_to_a_replica_that_gets_sick_goes_to_another() {
    let (a, b) = (Upstream::start("A").await, Stuck::start());
    let more = "    healthcheck: { type: tcp, interval: 100ms, timeout: 200ms }\n    \
                connect_timeout: 60s\n";
    let edge = Edge::start(&legacy(&[a.address, b.address], more)).await;
    edge.shows("legacy", "0=ready 1=ready", SOON).await;
    b.get_stuck();
    let address = edge.address;
    let asked =
        (0..20).map(|_| tokio::spawn(async move { send(address, Request::get("/x"), "").await }));
    assert_eq!(answers(asked.collect()).await, ["200 A"; 20]);
    edge.shows("legacy", "0=ready 1=sick", SOON).await;
}

#[tokio::test]
async fn nobody_waits_for_a_full_replica_while_another_one_is_idle() {
    let (a, b) = (Upstream::start("A").await, Stuck::start());
    // The health check comes too late to help.
    let more = "    healthcheck: { type: tcp, interval: 60s, timeout: 30s }\n    \
                connect_timeout: 3s\n    retries: { budget: 100% }\n";
    let edge = Edge::start(&legacy(&[a.address, b.address], more)).await;
    edge.shows("legacy", "0=ready 1=ready", SOON).await;
    let _queued = b.get_full().await;
    let address = edge.address;
    for line in ["x", "te"] {
        let asked = (0..300).map(|_| {
            let request = Request::get("/x").header(line, "trailers");
            tokio::spawn(async move { send(address, request, "").await })
        });
        // Turns that come to nothing become fewer, so in line this would take half a minute.
        assert_eq!(answers(asked.collect()).await, vec!["200 A"; 300]);
    }
}

#[tokio::test]
async fn retries_end_with_the_budget_and_with_the_attempts() {
    for retries in ["budget: 0%, min_per_second: 0", "attempts: 1"] {
        let more = format!(
            "    healthcheck: {{ type: http, path: /api/v1/_health, interval: 60s }}\n    retries: {{ {retries} }}\n"
        );
        let (_a, b, edge) = a_and_b(&more).await;
        b.stop().await;
        let mut statuses = Vec::new();
        for _ in 0..2 {
            statuses.push(edge.get("/x").await.status.as_u16());
        }
        statuses.sort();
        assert_eq!(statuses, [200, 502], "{retries}");
        let refused = edge
            .metric("tidegate_retries_refused_total{service=\"legacy\"}")
            .await;
        let expected = if retries.starts_with("budget") {
            1.0
        } else {
            0.0
        };
        assert_eq!(refused, Some(expected), "{retries}");
        let spent = edge
            .metric("tidegate_retries_total{service=\"legacy\"}")
            .await;
        assert_eq!(spent, Some(0.0));
    }
}

#[tokio::test]
async fn an_answer_of_5xx_has_the_replica_asked_after_its_health_at_once() {
    // By its own clock the health check would look in a minute.
    let (a, b, edge) =
        a_and_b("    healthcheck: { type: http, path: /api/v1/_health, interval: 60s }\n").await;
    b.set_healthy(false);
    b.set_failing(true);
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(edge.get("/x").await.status.as_u16());
    }
    answers.sort();
    assert_eq!(answers, [200, 500], "it is passed on, not over");
    edge.shows("legacy", "0=ready 1=sick", SOON).await;
    assert_eq!(edge.get("/x").await.header("x-upstream"), "A");
    assert_eq!(a.checks(), 1);
}

#[tokio::test]
async fn a_replica_that_answers_with_5xx_while_another_does_better_is_passed_over() {
    let (a, b, edge) = a_and_b(HTTP).await;
    b.set_failing(true);
    for _ in 0..10 {
        edge.get("/x").await;
    }
    assert_eq!((a.requests(), b.requests()), (5, 5));
    edge.logs("is ejected for 30s: 5 answers of 5xx in a row")
        .await;
    // However well it says it is, and again it is only the others' turn.
    let checks = b.checks();
    until("it was found well again", SOON, || async {
        (b.checks() > checks + 2).then_some(())
    })
    .await;
    for _ in 0..4 {
        assert_eq!(edge.get("/x").await.header("x-upstream"), "A");
    }
    let ejections = edge
        .metric("tidegate_ejections_total{service=\"legacy\"}")
        .await;
    assert_eq!(ejections, Some(1.0));
    let status = edge.tidegate(&["status"]).await.out;
    assert!(status.contains("ejected for "), "{status}");

    // Unless there is nobody else.
    a.set_healthy(false);
    edge.shows("legacy", "0=sick 1=ready", SOON).await;
    b.set_failing(false);
    assert_eq!(edge.get("/x").await.header("x-upstream"), "B");
}

#[tokio::test]
async fn nobody_is_passed_over_when_all_do_badly_or_when_it_is_switched_off() {
    for (more, a_fails) in [("", true), ("    outlier_detection: off\n", false)] {
        let (a, b, edge) = a_and_b(&format!("{HTTP}{more}")).await;
        a.set_failing(a_fails);
        b.set_failing(true);
        for _ in 0..20 {
            edge.get("/x").await;
        }
        assert_eq!((a.requests(), b.requests()), (10, 10));
    }
}

/// Answers each connection once and closes it, but takes its time to accept them.
struct Hurried {
    address: SocketAddr,
}

impl Hurried {
    fn start(backlog: u32) -> Hurried {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let listener = socket.listen(backlog).expect("listening");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    if stream.read(&mut head).await.is_ok_and(|count| count > 0) {
                        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\
                                      connection: close\r\n\r\n";
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                });
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Hurried { address }
    }
}

#[tokio::test]
async fn many_at_once_are_all_answered_by_a_replica_with_a_short_listen_queue() {
    let b = Hurried::start(8);
    // The health check waits in the very same queue.
    let more = "    healthcheck: { type: tcp, interval: 60s, timeout: 10s }\n";
    let edge = Edge::start(&legacy(&[b.address], more)).await;
    edge.ready().await;
    let address = edge.address;
    let asked =
        (0..500).map(|_| tokio::spawn(async move { send(address, Request::get("/x"), "").await }));
    assert_eq!(answers(asked.collect()).await, vec!["200 "; 500]);
    edge.shows("legacy", "0=ready", SOON).await;
}
