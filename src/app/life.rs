//! The life of the process after its start: accepts clients or takes over, handles signals, orders
//! and successors in one loop, and exits.

use super::doors::{Doors, over};
use super::exit::exit;
use super::keeper::Keeper;
use super::parts::managed_of;
use super::upgrade::predecessor::{LivePredecessor, Predecessor};
use super::upgrade::successor::{Knock, UpgradeSocket};
use crate::admin::Order;
use crate::config::Plugged;
use crate::control::{Authority, Images};
use crate::plugin::Background;
use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// The keeper, and what the loop owns.
pub struct KeeperParts {
    pub keeper: Keeper,
    /// The process to take over from.
    pub predecessor: Option<Predecessor>,
    /// Socket at which successors connect.
    pub knocking: UnixListener,
    pub background: Vec<(Arc<Plugged>, Background)>,
    pub orders: mpsc::Receiver<Order>,
    pub leaving: watch::Sender<bool>,
}

pub struct KeeperService(pub Mutex<Option<KeeperParts>>);

#[async_trait]
impl BackgroundService for KeeperService {
    async fn start(&self, shutdown: ShutdownWatch) {
        let kept = self.0.lock().ok().and_then(|mut kept| kept.take());
        if let Some(kept) = kept {
            kept.run(shutdown).await;
        }
    }
}

impl KeeperParts {
    async fn run(self, mut shutdown: ShutdownWatch) {
        let KeeperParts {
            mut keeper,
            predecessor,
            knocking,
            background,
            mut orders,
            leaving,
        } = self;
        let (Ok(mut hup), Ok(mut quit), Ok(mut door)) = (
            signal(SignalKind::hangup()),
            signal(SignalKind::quit()),
            UpgradeSocket::new(knocking),
        ) else {
            log::error!("cannot listen for signals and successors");
            return;
        };
        keeper.tasks.start(background);
        tokio::spawn(keeper.tls.own_files.clone().watch());
        let services = managed_of(&keeper.config);
        keeper.handle.reconfigure(services, Images::Keep).await;
        let mut before = None;
        match predecessor {
            None => {
                keeper.doors.send_replace(Doors::Open);
                if (&mut keeper.accepting).await.is_ok() {
                    keeper.supervisor.ready();
                }
            }
            Some(predecessor) => {
                let own = keeper.supervisor.is_there();
                if !own {
                    keeper.supervisor = predecessor.supervisor.clone();
                }
                let taken = tokio::select! {
                    taken = keeper.take_over(predecessor) => taken,
                    () = over(&mut shutdown) => exit(0),
                };
                match taken {
                    Ok(predecessor) => {
                        before = Some(predecessor);
                        // The inherited supervisor knows the service as ready.
                        if own {
                            keeper.supervisor.ready();
                        }
                    }
                    Err(why) => {
                        log::error!("not taken over: {why}");
                        exit(1);
                    }
                }
            }
        }
        // Not before clients are let in: the CA is one of them.
        keeper.certificates.take_control().await;
        let watched = keeper.watched();
        let successor = loop {
            tokio::select! {
                _ = hup.recv() => {
                    let _ = keeper.reload(Images::Keep).await;
                }
                Some(order) = orders.recv() => keeper.obey(order).await,
                _ = quit.recv() => if !door.quit() {
                    log::warn!(
                        "QUIT: no new process waits to take over, so this one continues; `tidegate run \
                         --upgrade` takes over at once, with `--upgrade=on-quit` at QUIT"
                    );
                },
                knock = door.next() => match knock {
                    Knock::Comes(successor) => {
                        if let Some(successor) = keeper.show_holdings(successor).await {
                            door.wait_for(successor);
                        }
                    }
                    Knock::IsReady(successor) => {
                        let handed = tokio::select! {
                            handed = keeper.hand_over(successor, authority(&before)) => handed,
                            () = over(&mut shutdown) => {
                                // The containers may be the successor's already.
                                keeper.options.remove = false;
                                break None;
                            }
                        };
                        if handed.is_some() {
                            break handed;
                        }
                    }
                },
                pid = gone(&mut before) => {
                    log::info!("process {pid} is gone");
                    before = None;
                    keeper.handle.authorize(Authority::Full, BTreeMap::new()).await;
                }
                () = over(&mut shutdown) => break None,
            }
        };
        let _ = leaving.send(true);
        drop((orders, door));
        match successor {
            Some(_) => {
                // The successor holds them now.
                keeper.holdings.listeners.clear();
                watched.abort();
                keeper.follow(before, &mut shutdown).await;
            }
            None => {
                let drain = keeper.config.server.drain_timeout;
                keeper.supervisor.stopping(drain);
                if keeper.options.remove {
                    keeper
                        .handle
                        .authorize(Authority::Full, BTreeMap::new())
                        .await;
                }
                keeper.leave().await;
            }
        }
    }
}

/// Authority of the control loop, which is limited until the previous process has ended.
fn authority(before: &Option<LivePredecessor>) -> Authority {
    match before {
        Some(_) => Authority::NoPlannedStops,
        None => Authority::Full,
    }
}

/// Resolves once the previous process has ended; never, if there was none.
async fn gone(before: &mut Option<LivePredecessor>) -> u32 {
    let Some(before) = before else {
        return std::future::pending().await;
    };
    before.gone().await;
    before.pid
}
