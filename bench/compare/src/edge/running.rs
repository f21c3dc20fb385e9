//! A running edge.

use super::setup::{Place, Setup, Which};
use super::{caddy, haproxy, nginx, tidegate};
use crate::client::connection::{Ask, Connection};
use kit::process::Process;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

const LOG_LINES: usize = 5;
const RELOADS_WITHIN: Duration = Duration::from_secs(30);
const ASKED_EVERY: Duration = Duration::from_millis(20);

/// The process of an edge, and its addresses.
pub struct Edge {
    pub which: Which,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    /// Where HTTP/2 is spoken without a question.
    pub streams: SocketAddr,
    /// Where TLS is spoken, if there is a certificate.
    pub secure: SocketAddr,
    pub process: Process,
    child: Child,
    folder: TempDir,
}

impl Edge {
    pub async fn start(setup: &Setup) -> Result<Edge, String> {
        let folder = TempDir::with_prefix("compare-").map_err(|why| why.to_string())?;
        let [address, admin, streams, secure] = free_addresses()?;
        let place = Place {
            address,
            admin,
            streams,
            secure,
            folder: folder.path(),
        };
        if let Some(pair) = &setup.certificate {
            place.write_certificate(pair)?;
        }
        let (program, arguments) = match setup.which {
            Which::Tidegate => tidegate::command(setup, &place)?,
            Which::Haproxy => haproxy::command(setup, &place)?,
            Which::Nginx => nginx::command(setup, &place)?,
            Which::Caddy => caddy::command(setup, &place)?,
        };
        let words: Vec<String> = setup
            .under
            .iter()
            .cloned()
            .chain([program])
            .chain(arguments)
            .collect();
        let failed = |why| format!("starting {}: {why}", words[0]);
        let log = File::create(folder.path().join("log")).map_err(failed)?;
        let output = match (setup.which, setup.logs_requests) {
            // The engine writes no files of its own.
            (Which::Haproxy, true) => File::create(place.access_log()),
            _ => log.try_clone(),
        };
        let mut command = Command::new(&words[0]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIDEGATE_") {
                command.env_remove(name);
            }
        }
        let child = command
            .args(&words[1..])
            .env("PATH", kit::peers::path())
            .env("GOMAXPROCS", "1")
            .env("XDG_DATA_HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.map_err(failed)?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let process = Process::new(child.id().ok_or("the edge ended at once")?);
        let mut edge = Edge {
            which: setup.which,
            address,
            admin,
            streams: match setup.which {
                Which::Tidegate | Which::Caddy => address,
                Which::Haproxy | Which::Nginx => streams,
            },
            secure,
            process,
            child,
            folder,
        };
        edge.answers(setup).await?;
        Ok(edge)
    }

    async fn answers(&mut self, setup: &Setup) -> Result<(), String> {
        let began = Instant::now();
        let ask = Ask::path(setup.health);
        loop {
            let asked = async {
                Connection::open(Ipv4Addr::LOCALHOST, self.address, &ask)
                    .await?
                    .ask(&ask)
                    .await
            };
            let why = match timeout(Duration::from_secs(2), asked).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(why)) => why,
                Err(_) => "no answer".to_owned(),
            };
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() || began.elapsed() > setup.starts_within {
                let (name, log) = (self.which.name(), self.log());
                return Err(format!("{name} does not serve ({why}):\n{log}"));
            }
            sleep(ASKED_EVERY).await;
        }
    }

    /// The end of what it said.
    pub fn log(&self) -> String {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// Has Tidegate read other services.
    pub async fn reload(&self, setup: &Setup) -> Result<(), String> {
        let place = Place {
            address: self.address,
            admin: self.admin,
            streams: self.streams,
            secure: self.secure,
            folder: self.folder.path(),
        };
        let file = tidegate::write(setup, &place)?;
        let asked = Command::new(&setup.tidegate)
            .args(["reload", "-c", &file])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let asked = timeout(RELOADS_WITHIN, asked).await;
        let asked = asked.map_err(|_| "`tidegate reload` does not come back".to_owned())?;
        let output = asked.map_err(|why| format!("`tidegate reload`: {why}"))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// An access log that it has written so far.
    pub fn access_log_bytes(&self) -> u64 {
        let log = fs::metadata(self.folder.path().join("access.log"));
        log.map_or(0, |log| log.len())
    }

    pub async fn stop(mut self) {
        let _ = self.child.kill().await;
    }
}

/// Ports that nobody has at the moment.
fn free_addresses<const N: usize>() -> Result<[SocketAddr; N], String> {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for (address, listener) in addresses.iter_mut().zip(&listeners) {
        let listener = listener.as_ref().map_err(|why| why.to_string())?;
        *address = listener.local_addr().map_err(|why| why.to_string())?;
    }
    Ok(addresses)
}
