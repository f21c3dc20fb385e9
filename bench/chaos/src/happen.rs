//! Carries out an event, and observes the replicas.

use crate::docker::Docker;
use crate::edge::{self, Edge, Eye, IMAGE, Neighbour, Replica, Tidegate, Wish, all_ready};
use crate::engine::Engine;
use crate::events::{Event, Happening};
use crate::happened::{Happened, Strength};
use crate::tunnels::{self, Echo, Tunnels};
use crate::wire::{Jam, Wire};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const RELOADS: u32 = 20;
const BETWEEN_RELOADS: Duration = Duration::from_millis(250);
/// Longer than the edge takes to look at its files again.
const BETWEEN_RENEWALS: Duration = Duration::from_millis(700);
/// Time of a broken version before the return to the old one.
const BROKEN_FOR: Duration = Duration::from_secs(5);
const SCALED_TO: u32 = 5;
/// WebSockets stay silent this long, when there is time for it.
const SILENCE: Duration = Duration::from_secs(180);
/// Full strength after this is never: a phase should end.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_WITH_PEERS: Duration = Duration::from_secs(12);
/// Downtime of an engine's update.
const ENGINE_AWAY: Duration = Duration::from_secs(1);

const NO_PICTURE: &str = "the edge does not list its replicas";
const NOT_WITH_PEERS: &str = "that does not happen behind a peer";
const NO_WIRE: &str = "there is no wire to the engine";
const NO_ENGINE: &str = "there is no engine of our own";
const GOOD: &str = "acts:chaos";
const BROKEN: &str = "acts:chaos-broken";
/// An image whose pull hangs before its registry is contacted.
const ABSENT: &str = "localhost:1/chaos-absent:1";

/// Everything that an event can happen to. Dropped in this order.
pub struct Scene {
    pub edge: Edge,
    pub wire: Option<Wire>,
    pub made: Vec<Image>,
    pub engine: Option<Engine>,
    /// Serves as long as it exists.
    pub _echo: Option<Echo>,
    pub docker: Docker,
    /// Takes the time that is needed to see that silence kills no tunnel.
    pub long: bool,
}

/// Result of an operation, beside failed requests.
struct Told {
    done: Instant,
    remarks: Vec<String>,
    broken: Vec<String>,
}

/// A result without remarks.
fn done() -> Told {
    Told {
        done: Instant::now(),
        remarks: Vec::new(),
        broken: Vec::new(),
    }
}

type Outcome = Result<(Strength, Told), String>;

impl Event {
    /// Carries the event out, and waits for full strength.
    pub async fn happen(&self, scene: &mut Scene) -> Result<Happened, String> {
        let before = starts(&scene.edge).await;
        let at = Instant::now();
        let (strength, told) = self.carry_out(scene).await?;
        let start_time = match (before, starts(&scene.edge).await) {
            (Some((old, was)), Some((new, is))) if new > old => {
                Some((is.saturating_sub(was)).div_f64(new - old))
            }
            _ => None,
        };
        Ok(Happened {
            at,
            done: told.done,
            strength,
            start_time,
            remarks: told.remarks,
            broken: told.broken,
        })
    }

    async fn carry_out(&self, scene: &mut Scene) -> Outcome {
        let eye = scene.edge.eye();
        let count = self.replicas as usize;
        let as_it_was = |seen: &[Replica]| all_ready(seen, count);
        match self.happening {
            Happening::Nothing => Ok((Strength::Untouched, done())),
            Happening::Reloads => {
                let reloads = reloads(&mut scene.edge, self.replicas);
                eye.through(PATIENCE, as_it_was, reloads).await
            }
            Happening::Renewals => {
                let renewals = renewals(&scene.edge);
                eye.through(PATIENCE, as_it_was, renewals).await
            }
            Happening::EngineRestarts(signal) => {
                let Some(engine) = &mut scene.engine else {
                    return Err(NO_ENGINE.to_owned());
                };
                let restart = async {
                    engine.end(signal).await?;
                    sleep(ENGINE_AWAY).await;
                    engine.spawn().await?;
                    Ok(done())
                };
                eye.through(PATIENCE, as_it_was, restart).await
            }
            Happening::EdgeLeaves => {
                let restart = async {
                    scene.edge.leave().await?;
                    scene.edge.spawn()?;
                    Ok(done())
                };
                eye.through(PATIENCE, as_it_was, restart).await
            }
            Happening::EdgeIsKilled => {
                let restart = async {
                    scene.edge.kill().await?;
                    scene.edge.spawn()?;
                    Ok(done())
                };
                eye.through(PATIENCE, as_it_was, restart).await
            }
            Happening::DockerStop
            | Happening::DockerKill
            | Happening::KillProcess
            | Happening::DockerPause
            | Happening::CutOff
            | Happening::Crash => self.happen_to_replica(&eye, &scene.docker).await,
            Happening::Jammed(_) | Happening::LogStall => {
                self.happen_amid_trouble(&eye, scene).await
            }
            _ => {
                let long = scene.long;
                let Edge::Tidegate(edge) = &mut scene.edge else {
                    return Err(NOT_WITH_PEERS.to_owned());
                };
                let (docker, made) = (&scene.docker, &mut scene.made);
                self.happen_to_tidegate(edge, &eye, docker, made, long)
                    .await
            }
        }
    }

    async fn happen_to_tidegate(
        &self,
        edge: &mut Tidegate,
        eye: &Eye,
        docker: &Docker,
        made: &mut Vec<Image>,
        long: bool,
    ) -> Outcome {
        let count = self.replicas as usize;
        let as_it_was = Wish {
            replicas: self.replicas,
            ..Wish::default()
        };
        let is_as_it_was = |seen: &[Replica]| all_ready(seen, count);
        let old = eye.look().await.ok_or(NO_PICTURE)?;
        let is_new = |seen: &[Replica]| {
            all_ready(seen, count) && old.iter().all(|old| is_gone(seen, &old.id))
        };
        let is_old = |seen: &[Replica]| {
            all_ready(seen, count) && old.iter().all(|old| !is_gone(seen, &old.id))
        };
        let reload = async |wish: &Wish| {
            edge.reload(wish).await?;
            Ok(done())
        };
        match self.happening {
            Happening::Scale => {
                let more = Wish {
                    replicas: SCALED_TO,
                    ..as_it_was
                };
                let is_full = |seen: &[Replica]| all_ready(seen, SCALED_TO as usize);
                let grown = eye.through(PATIENCE, is_full, reload(&more)).await?;
                let shrink = reload(&as_it_was);
                match eye.through(PATIENCE, is_as_it_was, shrink).await? {
                    (Strength::Never, told) => Ok((Strength::Never, told)),
                    _ => Ok(grown),
                }
            }
            Happening::Roll => {
                let new = Wish {
                    environment: Some(("CHAOS", "1")),
                    ..as_it_was
                };
                eye.through(PATIENCE, is_new, reload(&new)).await
            }
            Happening::RollBroken => {
                let broken = Wish {
                    environment: Some(("ACTS_FAIL_HEALTH", "1")),
                    ..as_it_was
                };
                reload(&broken).await?;
                sleep(BROKEN_FOR).await;
                eye.through(PATIENCE, is_old, reload(&as_it_was)).await
            }
            Happening::Deploy => {
                made.push(Image::make(docker, GOOD, "ENV CHAOS=1").await?);
                let deploy = async {
                    let mut told = done();
                    if !edge.deploy(GOOD).await? {
                        told.broken.push("a good image was rolled back".to_owned());
                    }
                    told.done = Instant::now();
                    Ok(told)
                };
                eye.through(PATIENCE, is_new, deploy).await
            }
            Happening::DeployBroken => {
                let change = "ENV ACTS_FAIL_HEALTH=1";
                made.push(Image::make(docker, BROKEN, change).await?);
                let deploy = async {
                    let mut told = done();
                    if edge.deploy(BROKEN).await? {
                        told.broken.push("a broken image was kept".to_owned());
                    }
                    told.done = Instant::now();
                    Ok(told)
                };
                eye.through(PATIENCE, is_old, deploy).await
            }
            Happening::Drain => {
                let victim = &old[old.len() / 2];
                let is_drained =
                    |seen: &[Replica]| all_ready(seen, count) && is_gone(seen, &victim.id);
                let drain = async {
                    edge.drain(victim.port).await?;
                    Ok(done())
                };
                eye.through(PATIENCE, is_drained, drain).await
            }
            Happening::Tunnels => {
                let within = (BETWEEN_RELOADS + RELOAD_TAKES) * RELOADS;
                let address = edge.address;
                let reloads = async {
                    for _ in 0..RELOADS {
                        edge.reload(&as_it_was).await?;
                        sleep(BETWEEN_RELOADS).await;
                    }
                    Ok::<_, String>(())
                };
                let through = async {
                    let (reloaded, mut tunnels) =
                        tokio::join!(reloads, Tunnels::open(address, within));
                    reloaded?;
                    let mut told = done();
                    if long {
                        sleep(SILENCE).await;
                    }
                    let alive = tunnels.alive().await;
                    told.remarks.push(format!(
                        "{} of {} WebSockets opened during the reloads, {alive} echo after them{}",
                        tunnels.upgraded,
                        tunnels::COUNT,
                        if long {
                            format!(" and {} s of silence", SILENCE.as_secs())
                        } else {
                            String::new()
                        },
                    ));
                    if alive < tunnels::COUNT {
                        let lost = tunnels::COUNT - alive;
                        let why = tunnels.why.first().cloned().unwrap_or_default();
                        told.broken
                            .push(format!("{lost} WebSockets were lost; the first: {why}"));
                    }
                    Ok(told)
                };
                eye.through(PATIENCE, is_as_it_was, through).await
            }
            Happening::Upgrade { at_quit } => {
                let upgrade = async {
                    edge.upgrade(at_quit).await?;
                    Ok(done())
                };
                eye.through(PATIENCE, is_old, upgrade).await
            }
            _ => Err(format!("{} does not happen to Tidegate", self.name)),
        }
    }

    /// The only replica dies while something else is stuck.
    async fn happen_amid_trouble(&self, eye: &Eye, scene: &mut Scene) -> Outcome {
        let Edge::Tidegate(edge) = &mut scene.edge else {
            return Err(NOT_WITH_PEERS.to_owned());
        };
        let beside = |image| Wish {
            replicas: self.replicas,
            environment: None,
            neighbour: Some(Neighbour { image }),
        };
        if let Happening::Jammed(jam) = self.happening {
            let wire = scene.wire.as_ref().ok_or(NO_WIRE)?;
            wire.jam(jam);
            match jam {
                Jam::Removals => {}
                Jam::Starts => {
                    edge.reload(&beside(IMAGE)).await?;
                    wire.hangs(2).await?;
                }
                Jam::Pulls => {
                    edge.reload(&beside(ABSENT)).await?;
                    wire.hangs(1).await?;
                }
            }
        } else {
            edge.stall_log()?;
        }
        let seen = eye.look().await.ok_or(NO_PICTURE)?;
        let victim = seen.first().ok_or(NO_PICTURE)?;
        let pid = pid_of(&scene.docker, victim).await?;
        // A container that cannot be removed stays in the picture.
        let is_full = |seen: &[Replica]| {
            let ready = seen.iter().filter(|replica| replica.ready);
            ready.clone().count() == self.replicas as usize
                && ready.clone().all(|it| it.id != victim.id)
        };
        let die = async {
            end(&pid)?;
            Ok(done())
        };
        eye.through(PATIENCE, is_full, die).await
    }

    /// Something befalls one container; full strength is as many as before.
    async fn happen_to_replica(&self, eye: &Eye, docker: &Docker) -> Outcome {
        let replicas = eye.look().await.ok_or(NO_PICTURE)?;
        let victim = &replicas[replicas.len() / 2];
        let pid = pid_of(docker, victim).await?;
        let (replaced, patience) = match eye {
            Eye::Admin(_) => (true, PATIENCE),
            Eye::Statistics { .. } => (false, PATIENCE_WITH_PEERS),
        };
        let is_full = |seen: &[Replica]| {
            all_ready(seen, replicas.len()) && (!replaced || is_gone(seen, &victim.id))
        };
        let befall = async {
            self.befall(docker, victim, &pid).await?;
            Ok(done())
        };
        let (strength, told) = eye.through(patience, is_full, befall).await?;
        Ok(match strength {
            // Nobody noticed, which is not the same as nothing being wrong.
            Strength::Untouched if !replaced => (Strength::After(Duration::ZERO), told),
            strength => (strength, told),
        })
    }

    async fn befall(&self, docker: &Docker, victim: &Replica, pid: &str) -> Result<(), String> {
        let id = victim.id.as_str();
        let command: &[&str] = match self.happening {
            Happening::DockerStop => &["stop", id],
            Happening::DockerKill => &["kill", id],
            Happening::DockerPause => &["pause", id],
            Happening::CutOff => &["network", "disconnect", "bridge", id],
            Happening::Crash => return edge::crash(victim).await,
            Happening::KillProcess => return end(pid),
            _ => return Err(format!("{} does not befall a replica", self.name)),
        };
        docker.run(command).await?;
        Ok(())
    }
}

/// Usual time of `tidegate reload`.
const RELOAD_TAKES: Duration = Duration::from_millis(15);

async fn reloads(edge: &mut Edge, replicas: u32) -> Result<Told, String> {
    let as_it_was = Wish {
        replicas,
        ..Wish::default()
    };
    for _ in 0..RELOADS {
        match edge {
            Edge::Tidegate(edge) => edge.reload(&as_it_was).await?,
            Edge::Haproxy(edge) => edge.reload().await?,
        }
        sleep(BETWEEN_RELOADS).await;
    }
    Ok(done())
}

async fn renewals(edge: &Edge) -> Result<Told, String> {
    let Edge::Tidegate(edge) = edge else {
        return Err(NOT_WITH_PEERS.to_owned());
    };
    for _ in 0..RELOADS {
        edge.renew()?;
        sleep(BETWEEN_RENEWALS).await;
    }
    Ok(done())
}

async fn pid_of(docker: &Docker, replica: &Replica) -> Result<String, String> {
    let inspect = ["inspect", "--format", "{{.State.Pid}}", &replica.id];
    docker.run(&inspect).await
}

fn end(pid: &str) -> Result<(), String> {
    let pid = pid.parse().map_err(|_| format!("`{pid}` is no process"))?;
    let killed = kill(Pid::from_raw(pid), Signal::SIGKILL);
    killed.map_err(|why| format!("kill -9 {pid}: {why}; root is needed"))
}

async fn starts(edge: &Edge) -> Option<(f64, Duration)> {
    match edge {
        Edge::Tidegate(edge) => edge.starts().await,
        Edge::Haproxy(_) => None,
    }
}

/// An image that goes when nobody needs it any more.
pub struct Image {
    docker: Docker,
    tag: &'static str,
}

impl Image {
    /// The example's image with a change, as in a Dockerfile.
    async fn make(docker: &Docker, tag: &'static str, change: &str) -> Result<Image, String> {
        let id = docker.run(&["create", IMAGE]).await?;
        let commit = ["commit", "--change", change, &id, tag];
        let made = docker.run(&commit).await;
        docker.run(&["rm", &id]).await?;
        made?;
        Ok(Image {
            docker: docker.clone(),
            tag,
        })
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if let Err(why) = self.docker.wait(&["image", "rm", self.tag]) {
            eprintln!("chaos: the image {} stays: {why}", self.tag);
        }
    }
}

fn is_gone(seen: &[Replica], id: &str) -> bool {
    seen.iter().all(|replica| replica.id != id)
}
