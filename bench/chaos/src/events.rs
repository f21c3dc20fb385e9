//! What happens, and what was promised about it.

use crate::docker::docker;
use crate::edge::{self, Edge, Eye, Kind, Replica, Tidegate, Wish, all_ready};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Serialize, Serializer};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const RELOADS: u32 = 20;
const BETWEEN_RELOADS: Duration = Duration::from_millis(250);
/// A broken version is looked at this long before somebody goes back.
const BROKEN_FOR: Duration = Duration::from_secs(5);
const SCALED_TO: u32 = 5;
/// Full strength after this is never: a phase should end.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_WITH_PEERS: Duration = Duration::from_secs(12);

const NO_PICTURE: &str = "the edge does not say what runs";

pub struct Event {
    pub name: &'static str,
    pub about: &'static str,
    pub promise: Promise,
    pub replicas: u32,
    happening: Happening,
}

/// Which requests may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// Planned: none.
    NoneFails,
    /// Not planned: only those that are not idempotent.
    NoGetFails,
    /// While nobody holds the socket, connections are refused; all else is answered.
    OnlyRefused,
    /// Whatever is in flight is lost, and the numbers say how much.
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Happening {
    Nothing,
    Scale,
    Roll,
    RollBroken,
    Reloads,
    DockerStop,
    DockerKill,
    KillProcess,
    DockerPause,
    Crash,
    EdgeLeaves,
    EdgeIsKilled,
}

const fn planned(name: &'static str, about: &'static str, happening: Happening) -> Event {
    Event {
        name,
        about,
        promise: Promise::NoneFails,
        replicas: 3,
        happening,
    }
}

const fn unplanned(name: &'static str, about: &'static str, happening: Happening) -> Event {
    Event {
        promise: Promise::NoGetFails,
        ..planned(name, about, happening)
    }
}

const fn alone(event: Event) -> Event {
    Event {
        replicas: 1,
        ..event
    }
}

pub static EVENTS: &[Event] = &[
    planned(
        "nothing",
        "what the load is like undisturbed",
        Happening::Nothing,
    ),
    alone(planned(
        "scale",
        "1 replica, then 5, then 1 again",
        Happening::Scale,
    )),
    planned(
        "roll",
        "a changed environment, one replica after the other",
        Happening::Roll,
    ),
    planned(
        "roll-broken",
        "a change that is never healthy, and back",
        Happening::RollBroken,
    ),
    planned(
        "reload-20",
        "20 reloads without a change",
        Happening::Reloads,
    ),
    alone(planned(
        "roll-one",
        "a changed environment, a single replica",
        Happening::Roll,
    )),
    unplanned(
        "docker-stop",
        "docker stop, behind the edge's back",
        Happening::DockerStop,
    ),
    unplanned("docker-kill", "docker kill", Happening::DockerKill),
    unplanned(
        "kill-9",
        "kill -9 of the container's process",
        Happening::KillProcess,
    ),
    unplanned(
        "docker-pause",
        "docker pause: it hangs, connections open",
        Happening::DockerPause,
    ),
    unplanned(
        "crash",
        "the program answers 500 to everything",
        Happening::Crash,
    ),
    alone(unplanned(
        "kill-one",
        "kill -9 of the only replica",
        Happening::KillProcess,
    )),
    Event {
        promise: Promise::OnlyRefused,
        ..planned(
            "edge-term",
            "the edge gets TERM and is started again",
            Happening::EdgeLeaves,
        )
    },
    Event {
        promise: Promise::Nothing,
        ..planned(
            "edge-kill-9",
            "the edge gets KILL and is started again",
            Happening::EdgeIsKilled,
        )
    },
];

impl Event {
    /// A peer that does not run containers has nothing to say to scaling or rolling.
    pub fn applies_to(&self, kind: Kind) -> bool {
        kind == Kind::Tidegate
            || self.replicas == 3
                && matches!(
                    self.happening,
                    Happening::Nothing
                        | Happening::DockerStop
                        | Happening::DockerKill
                        | Happening::KillProcess
                        | Happening::DockerPause
                        | Happening::Crash
                )
    }

    /// Lets it happen, and waits for what follows.
    pub async fn happen(&self, edge: &mut Edge) -> Result<Happened, String> {
        let eye = edge.eye();
        if self.happening == Happening::Nothing {
            return Ok(Happened {
                at: Instant::now(),
                strength: Strength::Untouched,
            });
        }
        match edge {
            Edge::Tidegate(edge) => self.happen_to_tidegate(edge, &eye).await,
            Edge::Haproxy(_) => self.happen_to_replica(&eye, PATIENCE_WITH_PEERS).await,
        }
    }

    async fn happen_to_tidegate(&self, edge: &mut Tidegate, eye: &Eye) -> Result<Happened, String> {
        let count = self.replicas as usize;
        let as_it_was = Wish {
            replicas: self.replicas,
            environment: None,
        };
        let is_as_it_was = |seen: &[Replica]| all_ready(seen, count);
        let old = eye.look().await.ok_or(NO_PICTURE)?;
        let at = Instant::now();
        let mut from = at;
        let full = match self.happening {
            Happening::Scale => {
                let more = Wish {
                    replicas: SCALED_TO,
                    ..as_it_was
                };
                edge.reload(&more).await?;
                let is_full = |seen: &[Replica]| all_ready(seen, SCALED_TO as usize);
                let full = eye.full(from, PATIENCE, is_full).await;
                edge.reload(&as_it_was).await?;
                let back = eye.full(Instant::now(), PATIENCE, is_as_it_was).await;
                full.filter(|_| back.is_some())
            }
            Happening::Roll => {
                let new = Wish {
                    environment: Some(("CHAOS", "1")),
                    ..as_it_was
                };
                edge.reload(&new).await?;
                let is_full = |seen: &[Replica]| {
                    all_ready(seen, count) && old.iter().all(|old| is_gone(seen, &old.id))
                };
                eye.full(from, PATIENCE, is_full).await
            }
            Happening::RollBroken => {
                let broken = Wish {
                    environment: Some(("ACTS_FAIL_HEALTH", "1")),
                    ..as_it_was
                };
                edge.reload(&broken).await?;
                sleep(BROKEN_FOR).await;
                from = Instant::now();
                edge.reload(&as_it_was).await?;
                let is_full = |seen: &[Replica]| {
                    all_ready(seen, count) && old.iter().all(|old| !is_gone(seen, &old.id))
                };
                eye.full(from, PATIENCE, is_full).await
            }
            Happening::Reloads => {
                let reloads = async {
                    for _ in 0..RELOADS {
                        edge.reload(&as_it_was).await?;
                        sleep(BETWEEN_RELOADS).await;
                    }
                    Ok::<_, String>(())
                };
                // Nothing may change, so looking begins with the first of them.
                let (reloaded, _) = tokio::join!(reloads, eye.full(from, PATIENCE, is_as_it_was));
                reloaded?;
                return Ok(Happened {
                    at,
                    strength: match eye.full(from, PATIENCE, is_as_it_was).await {
                        Some(_) => Strength::Untouched,
                        None => Strength::Never,
                    },
                });
            }
            Happening::EdgeLeaves => {
                edge.leave().await?;
                edge.spawn()?;
                eye.full(from, PATIENCE, is_as_it_was).await
            }
            Happening::EdgeIsKilled => {
                edge.kill().await?;
                edge.spawn()?;
                eye.full(from, PATIENCE, is_as_it_was).await
            }
            _ => return self.happen_to_replica(eye, PATIENCE).await,
        };
        Ok(Happened {
            at,
            strength: full.into(),
        })
    }

    /// Something befalls one container; full strength is as many as before.
    async fn happen_to_replica(&self, eye: &Eye, patience: Duration) -> Result<Happened, String> {
        let replicas = eye.look().await.ok_or(NO_PICTURE)?;
        let victim = &replicas[replicas.len() / 2];
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &victim.id]).await?;
        let replaced = matches!(eye, Eye::Admin(_));
        let is_full = |seen: &[Replica]| {
            all_ready(seen, replicas.len()) && (!replaced || is_gone(seen, &victim.id))
        };
        let at = Instant::now();
        // Seen from the first moment on: the edge may be faster than the command.
        let (done, full) = tokio::join!(self.befall(victim, &pid), eye.full(at, patience, is_full));
        done?;
        Ok(Happened {
            at,
            strength: full.into(),
        })
    }

    async fn befall(&self, victim: &Replica, pid: &str) -> Result<(), String> {
        let command = match self.happening {
            Happening::DockerStop => "stop",
            Happening::DockerKill => "kill",
            Happening::DockerPause => "pause",
            Happening::Crash => return edge::crash(victim).await,
            Happening::KillProcess => {
                let pid = pid.parse().map_err(|_| format!("`{pid}` is no process"))?;
                return kill(Pid::from_raw(pid), Signal::SIGKILL)
                    .map_err(|why| format!("kill -9 {pid}: {why}; it takes root"));
            }
            _ => return Err(format!("{} does not befall a replica", self.name)),
        };
        docker(&[command, &victim.id]).await?;
        Ok(())
    }
}

pub struct Happened {
    pub at: Instant,
    pub strength: Strength,
}

/// How long it took until everything that is wanted was there again.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Nothing was to be missing at any time.
    Untouched,
    /// In JSON, in milliseconds.
    #[serde(serialize_with = "as_ms")]
    After(Duration),
    /// Not while anybody looked.
    Never,
}

fn as_ms<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_millis() as u64)
}

impl From<Option<Duration>> for Strength {
    fn from(full: Option<Duration>) -> Strength {
        full.map_or(Strength::Never, Strength::After)
    }
}

fn is_gone(seen: &[Replica], id: &str) -> bool {
    seen.iter().all(|replica| replica.id != id)
}
