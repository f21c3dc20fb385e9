//! The program under test, with a folder, an instance and ports of its own.

use serde::Deserialize;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

pub const IMAGE: &str = "tidegate-replay:latest";
const SERVICE: &str = "work";
const READY_WITHIN: Duration = Duration::from_secs(60);
const LEAVES_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A look is over after this, so that one that hangs is not a hole in what is seen.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

pub struct Edge {
    pub address: SocketAddr,
    admin: SocketAddr,
    instance: String,
    child: Child,
    folder: TempDir,
}

/// How a service is seen at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Since the load began.
    pub at: Duration,
    pub ready: u32,
    /// Containers in whatever state.
    pub there: u32,
}

impl Edge {
    /// Begins, whether or not a replica is ready.
    pub fn spawn(program: &Path, port: u16, scale: &str, start_ms: u64) -> Result<Edge, String> {
        let folder = TempDir::with_prefix("replay-").map_err(|why| why.to_string())?;
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        let admin: SocketAddr = ([127, 0, 0, 1], port + 1).into();
        let instance = format!("replay-{}-{port}", std::process::id());
        // As many starts at once as a step needs, as the model has it, too.
        let text = format!(
            "listen: [\"{address}\"]\nadmin: {{ listen: \"{admin}\" }}\nstate_dir: {}\n\
             instance: {instance}\nmax_concurrent_starts: 32\nservices:\n  {SERVICE}:\n    \
             image: {IMAGE}\n    first_port: {}\n    \
             environment: {{ SLOTS: \"4\", START_MS: \"{start_ms}\" }}\n    \
             healthcheck: {{ path: /health }}\n    container_concurrency: 4\n    \
             scale: {scale}\n",
            folder.path().display(),
            port + 10,
        );
        let file = folder.path().join("tidegate.yaml");
        fs::write(&file, text).map_err(|why| why.to_string())?;
        let log = File::create(folder.path().join("log")).map_err(|why| why.to_string())?;
        let output = log.try_clone().map_err(|why| why.to_string())?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIDEGATE_") {
                command.env_remove(name);
            }
        }
        let child = command
            .args(["run", "--rm", "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|why| format!("starting {}: {why}", program.display()))?;
        Ok(Edge {
            address,
            admin,
            instance,
            child,
            folder,
        })
    }

    /// Begins, and waits until a replica is ready.
    pub async fn start(
        program: &Path,
        port: u16,
        scale: &str,
        start_ms: u64,
    ) -> Result<Edge, String> {
        let edge = Edge::spawn(program, port, scale, start_ms)?;
        let ready = async {
            while edge
                .look(Instant::now())
                .await
                .is_none_or(|seen| seen.ready == 0)
            {
                sleep(LOOK_EVERY).await;
            }
        };
        match timeout(READY_WITHIN, ready).await {
            Ok(()) => Ok(edge),
            Err(_) => Err(format!("no replica got ready; its log:\n{}", edge.log())),
        }
    }

    /// Looks again and again until it is dropped.
    pub async fn watch(&self, began: Instant, seen: &mut Vec<Seen>) {
        loop {
            seen.extend(self.look(began).await);
            sleep(LOOK_EVERY).await;
        }
    }

    async fn look(&self, began: Instant) -> Option<Seen> {
        #[derive(Deserialize)]
        struct Service {
            ready: u32,
            replicas: Vec<serde_json::Value>,
        }
        let body = self.get(&format!("/api/v1/services/{SERVICE}")).await?;
        let service: Service = serde_json::from_str(&body).ok()?;
        Some(Seen {
            at: began.elapsed(),
            ready: service.ready,
            there: service.replicas.len() as u32,
        })
    }

    /// How many replicas there are, when the service sleeps.
    pub async fn asleep(&self) -> Option<usize> {
        #[derive(Deserialize)]
        struct Service {
            asleep: bool,
            replicas: Vec<Replica>,
        }
        #[derive(Deserialize)]
        struct Replica {
            state: String,
        }
        let body = self.get(&format!("/api/v1/services/{SERVICE}")).await?;
        let service: Service = serde_json::from_str(&body).ok()?;
        let sleeps = service.replicas.iter().all(|it| it.state == "asleep");
        (service.asleep && sleeps).then_some(service.replicas.len())
    }

    /// How many replicas have become ready, and how long that took in all.
    pub async fn starts(&self) -> Option<(f64, f64)> {
        let text = self.get("/metrics").await?;
        let value = |what: &str| {
            let name = format!(
                "tidegate_container_start_duration_seconds_{what}{{service=\"{SERVICE}\"}} "
            );
            let value = text.lines().find_map(|line| line.strip_prefix(&name))?;
            value.trim().parse::<f64>().ok()
        };
        Some((value("count")?, value("sum")?))
    }

    async fn get(&self, path: &str) -> Option<String> {
        let ask = async {
            let mut stream = TcpStream::connect(self.admin).await.ok()?;
            let request = format!("GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.admin);
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            let is_ok = head.lines().next()?.contains(" 200 ");
            is_ok.then(|| body.to_owned())
        };
        timeout(LOOK_WITHIN, ask).await.ok()?
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends the edge, whose containers go with it.
    pub async fn leave(mut self) -> Result<(), String> {
        let id = self.child.id().ok_or("Tidegate had ended by itself")?;
        let told = Command::new("kill")
            .args(["-TERM", &id.to_string()])
            .status();
        told.await.map_err(|why| why.to_string())?;
        match timeout(LEAVES_WITHIN, self.child.wait()).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err("Tidegate did not end after TERM".to_owned()),
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // The edge must be gone before its containers go, or it would replace them.
        let _ = self.child.start_kill();
        while let Ok(None) = self.child.try_wait() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let filter = format!("label=io.tidegate.instance={}", self.instance);
        let docker = |arguments: &[&str]| {
            let output = std::process::Command::new("docker")
                .args(arguments)
                .output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let left = docker(&["ps", "--all", "--quiet", "--filter", &filter]).unwrap_or_default();
        let mut remove = vec!["rm", "--force", "--volumes"];
        remove.extend(left.lines());
        if remove.len() > 3 {
            let _ = docker(&remove);
        }
    }
}
