//! The real program: signals, exits, and several processes on one database file.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Enough for a busy machine, and short of the minute a process may give to what is in flight.
const PROMPTLY: Duration = Duration::from_secs(10);

struct Acts {
    child: Child,
    address: Option<SocketAddr>,
}

impl Acts {
    fn spawn(data: &Path, environment: &[(&str, &str)]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_acts"))
            .env("ACTS_DATA", data)
            .env("ACTS_LISTEN", "127.0.0.1:0")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child,
            address: None,
        }
    }

    fn listening(mut self) -> Self {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().strip_prefix("acts: listening on ");
        self.address = Some(
            address
                .unwrap_or_else(|| panic!("{line:?}"))
                .parse()
                .unwrap(),
        );
        self
    }

    fn start(data: &Path) -> Self {
        Self::spawn(data, &[]).listening()
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address.unwrap()).unwrap()
    }

    /// Sends one request; the answer is read later.
    fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = self.connect();
        let length = body.len();
        write!(
            stream,
            "{method} /api/v1/{path} HTTP/1.1\r\nhost: acts\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        stream
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        answer(self.send(method, path, body))
    }

    /// `None` when the process is gone before it has answered.
    fn try_ask(&self, method: &str, path: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address.unwrap()).ok()?;
        let length = body.len();
        write!(
            stream,
            "{method} /api/v1/{path} HTTP/1.1\r\nhost: acts\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some(format!("{} {body}", &head["HTTP/1.1 ".len()..][..3]))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    fn catches(&self, signal: Signal) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() >> (signal as u32 - 1) & 1 == 1
    }

    fn exit_code(&mut self) -> Option<i32> {
        let mut status = None;
        until(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }
}

impl Drop for Acts {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PROMPTLY;
    while !done() {
        assert!(Instant::now() < deadline, "not within {PROMPTLY:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The status and the body.
fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{text:?}"));
    format!("{} {body}", &head["HTTP/1.1 ".len()..][..3])
        .trim()
        .into()
}

#[test]
fn processes_that_start_at_once_share_one_new_database() {
    let data = TempDir::new().unwrap();
    let starting: Vec<_> = (0..8).map(|_| Acts::spawn(data.path(), &[])).collect();
    let all: Vec<_> = starting.into_iter().map(Acts::listening).collect();
    assert_eq!(all[0].ask("POST", "categories", r#"["trees"]"#), "201 {}");
    for acts in &all {
        assert_eq!(acts.ask("GET", "_health", ""), "200");
        assert_eq!(acts.ask("GET", "categories", ""), r#"200 {"trees":0}"#);
    }
}

#[test]
fn processes_write_side_by_side_and_lose_nothing() {
    let data = TempDir::new().unwrap();
    let all: Vec<_> = (0..4).map(|_| Acts::start(data.path())).collect();
    all[0].ask("POST", "categories", r#"["trees"]"#);
    thread::scope(|scope| {
        for (n, acts) in all.iter().enumerate() {
            scope.spawn(move || {
                for id in n * 50..(n + 1) * 50 {
                    let act = format!(
                        r#"{{"actId":{id},"username":"ada","timestamp":"01-01-2024:00-00-00",
                            "caption":"","categoryName":"trees","imgB64":"YQ=="}}"#
                    );
                    assert_eq!(acts.ask("POST", "acts", &act), "201 {}");
                    assert_eq!(acts.ask("GET", "_health", ""), "200");
                }
            });
        }
    });
    assert_eq!(
        all[0].ask("GET", "categories/trees/acts/size", ""),
        "200 [200]"
    );
}

#[test]
fn data_outlives_a_killed_process() {
    let data = TempDir::new().unwrap();
    let acts = Acts::start(data.path());
    acts.ask("POST", "categories", r#"["trees"]"#);
    drop(acts);
    assert_eq!(
        Acts::start(data.path()).ask("GET", "categories", ""),
        r#"200 {"trees":0}"#
    );
}

/// Kills a process again and again in the middle of uploads: each act is there with its photo, or
/// not at all, and whoever was told 201 finds theirs.
#[test]
fn a_process_that_is_killed_at_any_point_leaves_whole_acts_only() {
    let data = TempDir::new().unwrap();
    Acts::start(data.path()).ask("POST", "categories", r#"["trees"]"#);
    let image = "QUJD".repeat(50_000);
    let mut told = Vec::new();
    for round in 0..12 {
        let acts = Acts::start(data.path());
        thread::scope(|scope| {
            let uploads: Vec<_> = (0..3)
                .map(|n| {
                    let (acts, image) = (&acts, &image);
                    scope.spawn(move || {
                        let ids = (0..).map(|turn| round * 1000 + n * 300 + turn);
                        let act = |id| {
                            format!(
                                r#"{{"actId":{id},"username":"ada","caption":"","imgB64":"{image}",
                                    "timestamp":"01-01-2024:00-00-00","categoryName":"trees"}}"#
                            )
                        };
                        let mut told = Vec::new();
                        for id in ids {
                            match acts.try_ask("POST", "acts", &act(id)) {
                                Some(answer) if answer == "201 {}" => told.push(id),
                                _ => return told,
                            }
                        }
                        told
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(20 + round * 11));
            acts.signal(Signal::SIGKILL);
            told.extend(
                uploads
                    .into_iter()
                    .flat_map(|upload| upload.join().unwrap()),
            );
        });
    }
    assert!(!told.is_empty());
    let acts = Acts::start(data.path());
    let size = acts.ask("GET", "categories/trees/acts/size", "");
    let count: usize = size["200 [".len()..size.len() - 1].parse().unwrap();
    assert!(count >= told.len(), "{count} of {}", told.len());
    for start in (1..=count).step_by(50) {
        let path = format!("categories/trees/acts?start={start}&end={}", start + 49);
        let acts = acts.ask("GET", &path, "");
        assert!(acts.starts_with("200 "), "{acts:.200}");
        assert_eq!(acts.matches(&image).count(), acts.matches("actId").count());
    }
    for id in told {
        let image = acts.ask("GET", &format!("acts/{id}/image"), "");
        assert!(image.starts_with("200 ABCABC"), "act {id}: {image:.40}");
    }
}

#[test]
fn a_terminated_process_finishes_what_is_in_flight_and_exits_0() {
    let data = TempDir::new().unwrap();
    let mut acts = Acts::start(data.path());
    let slow = acts.send("GET", "_sleep?ms=700", "");
    until(|| acts.ask("GET", "_count", "") == "200 [1]");
    acts.signal(Signal::SIGTERM);
    assert_eq!(answer(slow), "200 {}");
    assert_eq!(acts.exit_code(), Some(0));
    let refused = TcpStream::connect(acts.address.unwrap()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn idle_connections_do_not_keep_a_terminated_process() {
    let data = TempDir::new().unwrap();
    let mut acts = Acts::start(data.path());
    let _silent = acts.connect();
    let mut kept_alive = acts.connect();
    kept_alive
        .write_all(b"GET /api/v1/_health HTTP/1.1\r\nhost: acts\r\n\r\n")
        .unwrap();
    assert_ne!(kept_alive.read(&mut [0; 512]).unwrap(), 0);
    acts.signal(Signal::SIGTERM);
    assert_eq!(acts.exit_code(), Some(0));
}

#[test]
fn a_process_terminated_before_it_listens_exits_0() {
    let data = TempDir::new().unwrap();
    let mut acts = Acts::spawn(data.path(), &[("ACTS_START_DELAY_MS", "60000")]);
    until(|| acts.catches(Signal::SIGTERM));
    acts.signal(Signal::SIGTERM);
    assert_eq!(acts.exit_code(), Some(0));
}

#[test]
fn exits_on_demand_have_code_3() {
    let data = TempDir::new().unwrap();
    let mut told = Acts::start(data.path());
    let _open = told.send("POST", "_exit", "");
    assert_eq!(told.exit_code(), Some(3));

    let mut timed = Acts::spawn(data.path(), &[("ACTS_EXIT_AFTER_MS", "50")]);
    assert_eq!(timed.exit_code(), Some(3));
}

#[test]
fn a_hung_process_accepts_connections_but_answers_none() {
    let data = TempDir::new().unwrap();
    let acts = Acts::spawn(data.path(), &[("ACTS_HANG_AFTER_MS", "1")]).listening();
    let mut health = acts.send("GET", "_health", "");
    health
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    assert_eq!(
        health.read(&mut [0; 1]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

#[test]
fn an_oversized_upload_gets_its_answer_not_a_reset() {
    let data = TempDir::new().unwrap();
    let acts = Acts::start(data.path());
    let body = "x".repeat(30 << 20);
    assert!(acts.ask("POST", "acts", &body).starts_with("413 "));
}

#[test]
fn bytes_that_are_not_http_harm_nobody() {
    let data = TempDir::new().unwrap();
    let acts = Acts::start(data.path());
    let oddities: [&[u8]; 5] = [
        b"\0\xff\r\n\r\n",
        b"GET  HTTP/9.9\r\n\r\n",
        b"CONNECT acts:80 HTTP/1.1\r\nhost: acts\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: acts\r\n\r\n",
        b"POST /api/v1/acts HTTP/1.1\r\nhost: acts\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ];
    for bytes in oddities {
        let mut stream = acts.connect();
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        stream.write_all(bytes).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(acts.ask("GET", "_health", ""), "200");
}

#[test]
fn a_folder_that_cannot_be_used_is_named_and_the_exit_code_is_1() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(Acts::spawn(file.path(), &[]).exit_code(), Some(1));
}
