//! Real containers as replicas.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

const IMAGE: &str = "acts:latest";
const PORT: u16 = 80;
const WITHIN: Duration = Duration::from_secs(30);
/// Path that the image's program answers quickly.
pub const HEALTH: &str = "/api/v1/_health";

/// Removed when it is dropped.
pub struct Containers {
    ids: Vec<String>,
    /// On Docker's bridge.
    pub own: Vec<SocketAddr>,
    /// On 127.0.0.1, through Docker.
    pub published: Vec<SocketAddr>,
}

impl Containers {
    pub async fn start(count: usize) -> Result<Containers, String> {
        let mut containers = Containers {
            ids: Vec::new(),
            own: Vec::new(),
            published: Vec::new(),
        };
        for _ in 0..count {
            let publish = format!("127.0.0.1::{PORT}");
            let run = ["run", "--detach", "--label", "io.tidegate.compare"];
            let run = [&run[..], &["--publish", &publish, IMAGE]].concat();
            let id = docker(&run).await?;
            containers.ids.push(id.clone());
            let own = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
            let own = docker(&["inspect", "--format", own, &id]).await?;
            let own = own.split_whitespace().next().unwrap_or_default().to_owned();
            let own = own.parse().map_err(|why| format!("`{own}`: {why}"))?;
            containers.own.push(SocketAddr::new(own, PORT));
            let published = docker(&["port", &id, &format!("{PORT}/tcp")]).await?;
            let published = published.lines().next().unwrap_or_default();
            let published = published
                .parse()
                .map_err(|why| format!("`{published}`: {why}"))?;
            containers.published.push(published);
        }
        Ok(containers)
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        if self.ids.is_empty() {
            return;
        }
        let removed = std::process::Command::new("docker")
            .args(["rm", "--force", "--volumes"])
            .args(&self.ids)
            .output();
        if !removed.is_ok_and(|output| output.status.success()) {
            eprintln!(
                "compare: these containers may be left: {}",
                self.ids.join(" ")
            );
        }
    }
}

/// Why there are none, if so.
pub async fn missing() -> Option<String> {
    if let Err(why) = docker(&["version", "--format", "{{.Server.Version}}"]).await {
        return Some(format!("no Docker engine answers: {why}"));
    }
    let image = docker(&["image", "inspect", "--format", "{{.Id}}", IMAGE]).await;
    image
        .err()
        .map(|_| format!("there is no image {IMAGE}; scripts/acts-image builds it"))
}

async fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(arguments)
        .kill_on_drop(true)
        .output();
    let output = timeout(WITHIN, output)
        .await
        .map_err(|_| format!("docker {} does not come back", arguments[0]))?
        .map_err(|why| format!("docker: {why}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(format!("docker {}: {}", arguments[0], text(&output.stderr))),
    }
}
