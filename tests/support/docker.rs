//! The docker command, and a wire to its daemon that can be cut.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use tidegate::engine::docker::Host;
use tidegate::service::replica::ReplicaId;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// One value of what Docker knows about a container.
pub fn inspect(id: &ReplicaId, format: &str) -> String {
    docker(&["inspect", "-f", format, &id.0])
}

/// Output of the docker command; panics when it fails.
pub fn docker(args: &[&str]) -> String {
    run(args).unwrap_or_else(|error| panic!("docker {args:?}: {error}"))
}

pub fn run(args: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// Removes an image and whatever runs it: without its name alone it would stay for ever.
pub fn forget_image(image: &str) {
    let filter = format!("ancestor={image}");
    for id in run(&["ps", "-aq", "--filter", &filter])
        .unwrap_or_default()
        .lines()
    {
        let _ = run(&["rm", "-f", id]);
    }
    let _ = run(&["image", "rm", "-f", image]);
}

/// Removes the containers, networks and volumes that `filter` finds, as in `label=x=y`.
pub fn clean(filter: &str) {
    for (list, remove) in [
        (["ps", "-aq"], ["rm", "-fv"]),
        (["network", "ls"], ["network", "rm"]),
        (["volume", "ls"], ["volume", "rm"]),
    ] {
        let list = [&list[..], &["-q", "--filter", filter]].concat();
        for id in run(&list).unwrap_or_default().lines() {
            let _ = run(&[&remove[..], &[id]].concat());
        }
    }
}

/// A socket in front of the daemon's, which can be cut: the daemon's death without its death.
pub struct Wire {
    folder: tempfile::TempDir,
    clients: JoinSet<()>,
}

impl Wire {
    pub fn new() -> Wire {
        Wire {
            folder: tempfile::tempdir().unwrap(),
            clients: JoinSet::new(),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    pub fn connect(&mut self) {
        let listener = UnixListener::bind(self.path()).unwrap();
        let Host::Unix(docker) = Host::from_env().unwrap() else {
            panic!("these tests need a Docker socket");
        };
        self.clients.spawn(async move {
            let mut pairs = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let mut daemon = UnixStream::connect(&docker).await.unwrap();
                pairs.spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut daemon).await;
                });
            }
        });
    }

    pub fn cut(&mut self) {
        self.clients.abort_all();
        std::fs::remove_file(self.path()).unwrap();
    }
}
