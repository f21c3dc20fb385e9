//! The real binary under a supervisor that hears how it is doing, as systemd does: this test plays
//! systemd, and systemd's own tools look at the units in `conf/systemd`.

use crate::support::client::Connection;
use crate::support::edge::Edge;
use crate::support::upstream::Upstream;
use nix::sys::signal::Signal;
use std::collections::VecDeque;
use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdUnixDatagram};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UnixDatagram;

const SOON: Duration = Duration::from_secs(30);
const WATCHDOG: Duration = Duration::from_millis(200);

/// The end of the line at which a supervisor listens.
struct Supervisor {
    hears: UnixDatagram,
    address: String,
    _folder: TempDir,
    /// Heard already, pings of the watchdog left out.
    heard: VecDeque<String>,
    pings: u32,
}

impl Supervisor {
    fn new() -> Supervisor {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        Supervisor {
            hears: UnixDatagram::bind(&path).expect("a socket"),
            address: path.to_str().expect("text").to_owned(),
            _folder: folder,
            heard: VecDeque::new(),
            pings: 0,
        }
    }

    /// With a name in the kernel's namespace instead of a path.
    fn abstracted() -> Supervisor {
        let name = format!("tidegate-test-{}", uuid::Uuid::new_v4());
        let address = SocketAddr::from_abstract_name(&name).expect("short");
        let socket = StdUnixDatagram::bind_addr(&address).expect("a socket");
        socket.set_nonblocking(true).expect("set");
        Supervisor {
            hears: UnixDatagram::from_std(socket).expect("a socket"),
            address: format!("@{name}"),
            ..Supervisor::new()
        }
    }

    fn starts(&self, upstream: &Upstream) -> Edge {
        before(upstream)
            .with("NOTIFY_SOCKET", &self.address)
            .with("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
    }

    /// The next message that is no ping.
    async fn hears(&mut self) -> String {
        let next = async {
            while self.heard.is_empty() {
                self.listen().await;
            }
            self.heard.pop_front().expect("heard")
        };
        tokio::time::timeout(SOON, next).await.expect("a message")
    }

    async fn hears_pings(&mut self, count: u32) {
        let enough = self.pings + count;
        let pings = async {
            while self.pings < enough {
                self.listen().await;
            }
        };
        tokio::time::timeout(SOON, pings).await.expect("pings");
    }

    async fn listen(&mut self) {
        let mut text = [0; 4096];
        let length = self.hears.recv(&mut text).await.expect("received");
        match std::str::from_utf8(&text[..length]).expect("text") {
            "WATCHDOG=1" => self.pings += 1,
            other => self.heard.push_back(other.to_owned()),
        }
    }

    /// All messages that arrived until now.
    fn has_heard(&mut self) -> &VecDeque<String> {
        let mut text = [0; 4096];
        while let Ok(length) = self.hears.try_recv(&mut text) {
            let text = String::from_utf8_lossy(&text[..length]).into_owned();
            self.heard.push_back(text);
        }
        &self.heard
    }
}

fn before(upstream: &Upstream) -> Edge {
    Edge::prepare(&services(upstream, ""))
}

fn services(upstream: &Upstream, more: &str) -> String {
    format!(
        "services:\n  legacy:\n    addresses: [\"{}\"]\n    \
         healthcheck: {{ type: http, path: /api/v1/_health, interval: 100ms }}\n{more}",
        upstream.address
    )
}

#[tokio::test]
async fn it_hears_of_the_whole_life_of_a_process() {
    let a = Upstream::start("A").await;
    let mut supervisor = Supervisor::new();
    let mut edge = supervisor.starts(&a);
    edge.spawn(&[]);
    assert_eq!(supervisor.hears().await, "READY=1");
    // At once: whoever is started after this one may ask it.
    let mut client = Connection::open(edge.address).await.expect("it listens");
    assert_eq!(client.get("/x").await.expect("an answer").status, 200);
    supervisor.hears_pings(5).await;

    let reload = async |supervisor: &mut Supervisor, status: &str| {
        edge.signal(Signal::SIGHUP);
        let reloading = supervisor.hears().await;
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let time = time.and_then(|time| time.parse::<u64>().ok());
        let reloaded = supervisor.hears().await;
        assert_eq!(reloaded, format!("READY=1\nSTATUS={status}"));
        time.expect(&reloading)
    };
    let first = reload(&mut supervisor, "").await;
    edge.write("nonsense: true\n");
    let refused = "the file was refused; the former configuration is in use";
    let second = reload(&mut supervisor, refused).await;
    assert!(first < second, "{first} {second}");
    edge.write(&services(&a, ""));
    reload(&mut supervisor, "").await;

    // A request in flight keeps the process, which is alive to the end.
    let held = tokio::spawn(async move { client.get("/held").await.map(|answer| answer.status) });
    while a.requests() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    edge.signal(Signal::SIGTERM);
    let stopping = "STOPPING=1\nEXTEND_TIMEOUT_USEC=70000000";
    assert_eq!(supervisor.hears().await, stopping);
    supervisor.hears_pings(5).await;
    a.release();
    let answered = held.await.expect("no panic").expect("an answer");
    assert_eq!(answered, 200);
    assert_eq!(edge.ended(SOON).await, Some(0));
}

#[tokio::test]
async fn it_hears_nothing_of_a_process_that_cannot_start() {
    let a = Upstream::start("A").await;
    let mut supervisor = Supervisor::new();
    let mut edge = supervisor.starts(&a);
    let taken = std::net::TcpListener::bind(edge.address).expect("free");
    assert_eq!(edge.refused().await.0, Some(1));
    assert_eq!(supervisor.has_heard().len(), 0);
    drop(taken);
    edge.write("nonsense: true\n");
    assert_eq!(edge.refused().await.0, Some(64));
    assert_eq!(supervisor.has_heard().len(), 0);
}

#[tokio::test]
async fn one_that_is_gone_keeps_nobody_from_serving() {
    let a = Upstream::start("A").await;
    let supervisor = Supervisor::abstracted();
    let mut edge = supervisor.starts(&a);
    let address = supervisor.address.clone();
    drop(supervisor);
    edge.spawn(&[]);
    edge.says(&format!(
        "cannot notify the supervisor at {address} of READY=1"
    ))
    .await;
    edge.ready().await;
    assert_eq!(edge.get("/x").await.status, 200);
}

#[tokio::test]
async fn after_an_upgrade_it_follows_the_new_process() {
    let a = Upstream::start("A").await;
    let mut supervisor = Supervisor::abstracted();
    let mut old = supervisor.starts(&a).spawned().await;
    assert_eq!(supervisor.hears().await, "READY=1");
    old.ready().await;

    // Started by hand: it knows of no supervisor but by the old one.
    let mut new = before(&a).instead_of(&old);
    new.spawn(&["--upgrade"]);
    new.says("took over from process").await;
    let main = format!("MAINPID={}", new.pid());
    assert_eq!(supervisor.hears().await, main);
    assert_eq!(old.ended(SOON).await, Some(0));
    supervisor.hears_pings(5).await;
    new.signal(Signal::SIGHUP);
    assert!(supervisor.hears().await.starts_with("RELOADING=1"));
    assert_eq!(supervisor.hears().await, "READY=1\nSTATUS=");

    // One that has a supervisor of its own tells that one, and is nobody's but its.
    let mut other = Supervisor::new();
    let mut third = before(&a)
        .instead_of(&new)
        .with("NOTIFY_SOCKET", &other.address);
    third.spawn(&["--upgrade"]);
    third.says("took over from process").await;
    assert_eq!(other.hears().await, "READY=1");
    assert_eq!(new.ended(SOON).await, Some(0));
    third.signal(Signal::SIGTERM);
    assert!(other.hears().await.starts_with("STOPPING=1"));
    assert_eq!(third.ended(SOON).await, Some(0));
    supervisor.has_heard();
    supervisor.heard.retain(|message| message != "WATCHDOG=1");
    assert_eq!(supervisor.heard, Vec::<String>::new());
}

/// Where systemd's own tools are.
#[test]
fn systemd_accepts_the_units_and_finds_little_exposed() {
    let folder = tempfile::tempdir().expect("a folder");
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/systemd");
    for name in ["tidegate.service", "tidegate.socket"] {
        let unit = fs::read_to_string(units.join(name)).expect("readable");
        // systemd looks for the program, and for the manual.
        let unit = unit.replace("/usr/bin/tidegate", env!("CARGO_BIN_EXE_tidegate"));
        let unit = unit.replace("Documentation=man:tidegate(1)\n", "");
        fs::write(folder.path().join(name), unit).expect("written");
    }
    let analyze = |arguments: &[&str], unit: &str| {
        let output = Command::new("systemd-analyze")
            .args(arguments)
            .arg(folder.path().join(unit))
            .output();
        match output {
            Ok(output) => {
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said).into_owned();
                assert!(output.status.success(), "{arguments:?}: {said}");
                // systemd prints a warning, and goes on.
                let ours = said.lines().filter(|line| line.contains("tidegate."));
                let wrong: Vec<_> = ours
                    .filter(|line| line.contains(".service:") || line.contains(".socket:"))
                    .filter(|line| !line.contains("Overall exposure"))
                    .collect();
                assert!(wrong.is_empty(), "{wrong:?}");
            }
            Err(error) => eprintln!("SKIPPED: no systemd-analyze here ({error})"),
        }
    };
    analyze(&["verify", "--man=no"], "tidegate.service");
    analyze(&["verify", "--man=no"], "tidegate.socket");
    let most = "--threshold=25";
    analyze(&["security", "--offline=true", most], "tidegate.service");
}
