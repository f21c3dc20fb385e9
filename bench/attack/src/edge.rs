//! The two edges, each as a reasonable person would set it up for the internet.

use clap::ValueEnum;
use kit::process::Process;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

const STARTS_WITHIN: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Which {
    Tidegate,
    Haproxy,
}

impl Which {
    pub fn name(self) -> &'static str {
        match self {
            Which::Tidegate => "tidegate",
            Which::Haproxy => "haproxy",
        }
    }
}

pub struct Edge {
    pub which: Which,
    pub address: SocketAddr,
    pub process: Process,
    _child: Child,
    _folder: TempDir,
}

/// The same limits as Tidegate has by default, in HAProxy's words.
const HAPROXY: &str = "\
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout queue 10s
    timeout http-request 10s
    timeout http-keep-alive 60s
    option redispatch 1
    retries 3
    default-server check inter 1s fall 1 rise 1
frontend edge
    http-request deny if HTTP_1.1 !{ req.hdr_cnt(host) eq 1 }
    default_backend web
";

impl Edge {
    pub async fn start(
        which: Which,
        binary: &Path,
        [a, b]: [SocketAddr; 2],
    ) -> Result<Edge, String> {
        let folder = TempDir::with_prefix("attack-").map_err(|why| why.to_string())?;
        let port = |_| std::net::TcpListener::bind("127.0.0.1:0")?.local_addr();
        let [address, admin] = [port(0), port(1)].map(|port| port.map_err(|why| why.to_string()));
        let (address, admin) = (address?, admin?);
        let file = folder.path().join("edge.conf");
        let (text, mut command) = match which {
            Which::Tidegate => {
                let text = format!(
                    "listen: [\"{address}\"]\nadmin: {{ listen: \"{admin}\" }}\nstate_dir: {}\n\
                     services: {{ web: {{ addresses: [\"{a}\", \"{b}\"] }} }}\n",
                    folder.path().display(),
                );
                let mut command = Command::new(binary);
                command.arg("run").arg("-c").arg(&file);
                (text, command)
            }
            Which::Haproxy => {
                let text = format!(
                    "global\n    maxconn 8192\n{}backend web\n    server a {a}\n    server b {b}\n",
                    HAPROXY.replace("edge\n", &format!("edge\n    bind {address}\n")),
                );
                let mut command = Command::new("haproxy");
                command
                    .env("PATH", kit::peers::path())
                    .arg("-db")
                    .arg("-f")
                    .arg(&file);
                (text, command)
            }
        };
        fs::write(&file, text).map_err(|why| why.to_string())?;
        let log = File::create(folder.path().join("log")).map_err(|why| why.to_string())?;
        let output = log.try_clone().map_err(|why| why.to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|why| format!("starting {}: {why}", which.name()))?;
        let process = Process::new(child.id().ok_or("the edge ended at once")?);
        let mut waited = Duration::ZERO;
        while !answers(address).await {
            if waited > STARTS_WITHIN {
                let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
                return Err(format!("{} does not answer:\n{log}", which.name()));
            }
            sleep(Duration::from_millis(50)).await;
            waited += Duration::from_millis(50);
        }
        Ok(Edge {
            which,
            address,
            process,
            _child: child,
            _folder: folder,
        })
    }
}

async fn answers(address: SocketAddr) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    asked
        .await
        .is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
