//! Replicas as an edge sees them, and the program that they run.

use super::fetch::fetch;
use crate::docker::Docker;

/// The image of the example service.
pub const IMAGE: &str = "acts:latest";
/// Delay that replicas add to each answer, so that none is over before it began.
pub const ANSWER_DELAY_MS: u32 = 5;
/// A container as the edge sees it.
#[derive(Clone, Debug)]
pub struct Replica {
    pub id: String,
    /// On 127.0.0.1.
    pub port: u16,
    pub ready: bool,
}

/// Fails with advice when the image is missing.
pub async fn image_present() -> Result<(), String> {
    let docker = Docker::default();
    let inspect = docker
        .run(&["image", "inspect", "--format", "{{.Id}}", IMAGE])
        .await;
    match inspect {
        Ok(_) => Ok(()),
        Err(why) => Err(format!("{why}\n  hint: `make image` builds {IMAGE}")),
    }
}

/// `count` replicas, each of them ready.
pub fn all_ready(replicas: &[Replica], count: usize) -> bool {
    replicas.len() == count && replicas.iter().all(|replica| replica.ready)
}

/// Makes the replica's program answer 500 to everything from now on.
pub async fn crash(replica: &Replica) -> Result<(), String> {
    let address = ([127, 0, 0, 1], replica.port).into();
    match fetch(address, "POST", "/api/v1/_crash").await {
        Ok((200, _)) => Ok(()),
        Ok((status, _)) => Err(format!("_crash was answered with {status}")),
        Err(why) => Err(format!("_crash: {why}")),
    }
}
