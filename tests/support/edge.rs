//! The real binary with a configuration of the test's own.

use super::client::{self, Answer};
use super::{free_port, until};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");
const START_WITHIN: Duration = Duration::from_secs(20);

pub struct Edge {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub folder: TempDir,
    log: Arc<Mutex<Vec<String>>>,
    child: Option<Child>,
}

impl Edge {
    /// Starts with `services` (and whatever else) below the keys that every test sets.
    pub async fn start(services: &str) -> Edge {
        let edge = Edge::prepare(services);
        edge.spawned().await
    }

    pub fn prepare(services: &str) -> Edge {
        let edge = Edge {
            address: ([127, 0, 0, 1], free_port()).into(),
            admin: ([127, 0, 0, 1], free_port()).into(),
            folder: TempDir::new().expect("a folder"),
            log: Arc::default(),
            child: None,
        };
        edge.write(services);
        edge
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("tidegate.yaml")
    }

    /// Replaces the configuration file.
    pub fn write(&self, services: &str) {
        let head = format!(
            "listen: [\"{}\"]\nadmin: {{ listen: \"{}\" }}\nstate_dir: {}\nthreads: 2\n",
            self.address,
            self.admin,
            self.folder.path().display(),
        );
        std::fs::write(self.file(), head + services).expect("written");
    }

    pub async fn spawned(mut self) -> Edge {
        self.spawn(&[]);
        self.listening().await;
        self
    }

    pub fn spawn(&mut self, arguments: &[&str]) {
        self.spawn_with(arguments, &[]);
    }

    pub fn spawn_with(&mut self, arguments: &[&str], environment: &[(&str, &str)]) {
        let mut child = Command::new(BINARY)
            .args(["run", "-c"])
            .arg(self.file())
            .args(arguments)
            .env("TIDEGATE_LOG", "tidegate=debug,warn")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let stderr = child.stderr.take().expect("piped");
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                log.lock().expect("no panic").push(line);
            }
        });
        self.child = Some(child);
    }

    pub async fn listening(&self) {
        until("the edge listens", START_WITHIN, || async {
            let edge = tokio::net::TcpStream::connect(self.address).await;
            let admin = tokio::net::TcpStream::connect(self.admin).await;
            (edge.is_ok() && admin.is_ok()).then_some(())
        })
        .await;
    }

    /// Waits until each service has a replica in rotation.
    pub async fn ready(&self) {
        until("every service is ready", START_WITHIN, || async {
            (client::get(self.admin, "/readyz").await.status == 200).then_some(())
        })
        .await;
    }

    pub async fn get(&self, path: &str) -> Answer {
        client::get(self.address, path).await
    }

    /// One service as the admin API shows it.
    pub async fn service(&self, name: &str) -> serde_json::Value {
        client::get(self.admin, &format!("/api/v1/services/{name}"))
            .await
            .json()
    }

    /// Waits until `service` looks like this, as in `8000=ready 8001=starting`.
    pub async fn shows(&self, service: &str, picture: &str, within: Duration) {
        let last = Mutex::new(String::new());
        let look = || async {
            let now = picture_of(&self.service(service).await);
            let same = now == picture;
            *last.lock().expect("no panic") = now;
            same.then_some(())
        };
        let deadline = tokio::time::Instant::now() + within;
        while look().await.is_none() {
            let now = tokio::time::Instant::now();
            assert!(
                now < deadline,
                "{service} is `{}` and not `{picture}`\n{}",
                last.lock().expect("no panic"),
                self.log(),
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn metric(&self, name: &str) -> Option<f64> {
        let text = client::get(self.admin, "/metrics").await.text();
        let line = text.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(' '))
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").join("\n")
    }

    pub fn pid(&self) -> i32 {
        self.child.as_ref().expect("running").id() as i32
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).expect("signalled");
    }

    /// Waits for the process to end by itself.
    pub async fn ended(&mut self, within: Duration) -> Option<i32> {
        let mut child = self.child.take().expect("running");
        let deadline = tokio::time::Instant::now() + within;
        loop {
            if let Some(status) = child.try_wait().expect("a child of ours") {
                return status.code();
            }
            if tokio::time::Instant::now() >= deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!("it did not end within {within:?}\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// kill -9, as a crash would.
    pub fn crash(&mut self) {
        assert!(self.child.is_some(), "running");
        self.stop_now();
    }

    /// Ends the process, whatever it is doing.
    pub fn stop_now(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop_now();
        if std::thread::panicking() {
            eprintln!(
                "--- the edge's log ---\n{}",
                self.log
                    .lock()
                    .map(|log| log.join("\n"))
                    .unwrap_or_default()
            );
        }
    }
}

fn picture_of(service: &serde_json::Value) -> String {
    let replicas = service["replicas"].as_array().cloned().unwrap_or_default();
    let words = replicas.iter().map(|replica| {
        format!(
            "{}={}",
            replica["slot"],
            replica["state"].as_str().unwrap_or("?")
        )
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Runs a command of the binary to its end.
pub fn tidegate(arguments: &[&str]) -> Output {
    let output = Command::new(BINARY)
        .args(arguments)
        .env_remove("TIDEGATE_CONFIG")
        .current_dir(std::env::temp_dir())
        .output();
    output.expect("the binary")
}
