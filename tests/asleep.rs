//! Services that sleep while nobody asks for them, on a real Docker daemon.

use crate::support::client::{get, send};
use crate::support::docker::docker;
use crate::support::edge::Edge;
use crate::support::image;
use crate::support::until;
use crate::support::websocket::{question, raw};
use futures_util::future::join_all;
use http::Request;
use nix::sys::signal::Signal;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_secs(30);
const PAGE: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";

/// A service of tiny servers that sleeps a second after its last request.
fn service(name: &str, first_port: u16, scale: &str, more: &str) -> String {
    format!(
        "  {name}:\n    image: {}\n    first_port: {first_port}\n    stop_grace_period: 500ms\n    \
         healthcheck: {{ path: / }}\n    scale: {{ min: 0, max: 2, idle_timeout: 1s{scale} }}\n    \
         routes: [{{ host: {name} }}]\n{more}",
        image::tiny()
    )
}

async fn started(services: &[String]) -> Edge {
    let edge = Edge::start(&format!("services:\n{}", services.concat())).await;
    edge.ready().await;
    edge
}

/// Asks, and returns which container answered.
async fn ask(edge: &Edge, name: &str) -> String {
    let answer = send(edge.address, Request::get("/").header("host", name), "").await;
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), edge.log());
    answer.text()
}

/// States of the containers, as Docker lists them.
fn states(edge: &Edge) -> Vec<String> {
    let label = format!("label=io.tidegate.instance={}", edge.instance);
    let all = docker(&["ps", "-a", "--format", "{{.State}}", "--filter", &label]);
    all.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn requests_are_held_until_who_slept_is_awake_from_nothing_and_from_a_pause() {
    let edge = started(&[service("web", 26200, ", stop_after: 2s", "")]).await;
    edge.shows("web", "", SOON).await;
    let asleep = edge.service("web").await;
    assert_eq!(
        (&asleep["asleep"], &asleep["desired"]),
        (&true.into(), &0.into())
    );

    // From nothing: all that come meanwhile are held, and none is lost.
    let names = join_all((0..20).map(|_| ask(&edge, "web"))).await;
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");

    edge.shows("web", "26200=asleep", SOON).await;
    until("Docker says so, too", SOON, || async {
        (states(&edge) == ["paused"]).then_some(())
    })
    .await;
    let sleeping = "tidegate_replicas{service=\"web\",state=\"asleep\"}";
    edge.counts(sleeping, 1.0).await;

    // From a pause: it is the very same one.
    let again = join_all((0..20).map(|_| ask(&edge, "web"))).await;
    assert!(again.iter().all(|name| *name == names[0]), "{again:?}");

    // The container is stopped in the end, and the next request starts another one.
    edge.shows("web", "", SOON).await;
    assert_eq!(states(&edge), [""; 0]);
    assert_ne!(ask(&edge, "web").await, names[0]);
    for words in [
        "asleep: no request for 1s",
        "0 -> 1 replicas: woken by a request",
        "resumed",
    ] {
        edge.logs(words).await;
    }
}

#[tokio::test]
async fn a_restart_finds_asleep_what_was_paused() {
    let mut edge = started(&[service("web", 26210, "", "")]).await;
    let name = ask(&edge, "web").await;
    edge.shows("web", "26210=asleep", SOON).await;
    edge.signal(Signal::SIGTERM);
    assert_eq!(edge.ended(SOON).await, Some(0));
    until("it is still paused", SOON, || async {
        (states(&edge) == ["paused"]).then_some(())
    })
    .await;

    edge.spawn(&[]);
    edge.listening().await;
    edge.shows("web", "26210=asleep", SOON).await;
    assert_eq!(states(&edge), ["paused"]);
    assert_eq!(ask(&edge, "web").await, name);
    edge.says("asleep: found paused").await;
}

#[tokio::test]
async fn an_open_tunnel_keeps_its_service_awake() {
    let edge = started(&[
        service("web", 26220, "", ""),
        service("clock", 26230, "", ""),
    ])
    .await;
    let address = edge.address.to_string();
    let question = String::from_utf8(question("/tunnel")).unwrap();
    let question = question.replace(&address, "web");
    let lines = question
        .lines()
        .filter(|line| !line.to_ascii_lowercase().starts_with("host:"));
    let question = lines.collect::<Vec<_>>().join("\r\n");
    let question = question.replacen("\r\n", "\r\nhost: web\r\n", 1);
    let question = format!("{}\r\n\r\n", question.trim_end());
    let (mut tunnel, head, _) = raw(edge.address, question.as_bytes()).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");

    // The service that was asked later sleeps already.
    ask(&edge, "clock").await;
    edge.shows("clock", "26230=asleep", SOON).await;
    edge.shows("web", "26220=ready", SOON).await;
    tunnel.write_all(b"still there").await.unwrap();
    let mut said = [0; 11];
    tunnel.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"still there");

    drop(tunnel);
    edge.shows("web", "26220=asleep", SOON).await;
}

#[tokio::test]
async fn a_browser_gets_a_page_that_asks_again_and_everything_else_waits() {
    // Slow enough that everybody meets it while it starts.
    let slow = "    waiting_page: true\n    environment: { LATE: \"1500\" }\n";
    let edge = started(&[service("web", 26240, "", slow)]).await;
    let navigation = || {
        Request::get("/")
            .header("host", "web")
            .header("accept", PAGE)
    };
    let page = send(edge.address, navigation(), "").await;
    assert_eq!(page.status, 503);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("retry-after"), "1");
    assert!(page.text().contains("web is starting"), "{}", page.text());
    assert!(
        page.text().contains("http-equiv=\"refresh\""),
        "{}",
        page.text()
    );

    // Whichever way the request takes: what asks to upgrade is not a plain one.
    let other = navigation()
        .header("connection", "upgrade")
        .header("upgrade", "h2c");
    let other = send(edge.address, other, "").await;
    assert_eq!((other.status, other.text()), (page.status, page.text()));

    let held = send(edge.address, Request::get("/").header("host", "web"), "").await;
    assert_eq!(held.status, 200, "{}", edge.log());
    let answer = send(edge.address, navigation(), "").await;
    assert_eq!((answer.status, answer.text()), (held.status, held.text()));
    assert_eq!(get(edge.admin, "/readyz").await.status, 200);
}
