//! Holds the configuration: starts what it asks for, reloads it, and leaves in order.

use super::doors::{Doors, over};
use super::upgrade::handover::Message;
use super::upgrade::holdings::{Holdings, Socket};
use super::upgrade::predecessor::{Predecessor, Talking};
use super::upgrade::successor::{Door, Knock, Successor};
use super::supervisor::Supervisor;
use super::{Observers, Options, exit, managed_of, settings_of};
use crate::admin::{Order, view};
use crate::config::{self, Config, Diff, Env, Plugged};
use crate::control::{Deployed, Handle, Hands, ImageNote, Images};
use crate::plugin::Registry;
use crate::proxy::{Connected, InFlight, Settings};
use crate::service::event::Event;
use crate::service::snapshot::ServiceView;
use crate::service::spec::ServiceName;
use crate::service::store::Reader;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// A stopping process looks this often whether it may leave.
const LEAVE_POLL: Duration = Duration::from_millis(20);
/// Nothing may be in flight for this long before it leaves, so that a request already on its
/// way into the process is not cut off.
const LEAVE_QUIET: Duration = Duration::from_millis(100);
/// After TERM, clients are let in for so long, and each request is its connection's last: who is
/// busy learns to connect anew before a connection is closed under a request, and what stands in
/// front of this process sees that it is not ready. Longer than a busy client pauses, and short
/// for whoever waits for the end, or in a held socket for the next process.
const FAREWELL: Duration = Duration::from_secs(1);
/// Whoever was let in last may take this long to send a request: a round trip around the world.
const FIRST_WORD_WITHIN: Duration = Duration::from_millis(300);
/// After an upgrade, idle clients have this long to send a request and be told to connect anew;
/// closing their connections at once would break whatever they are just sending.
const LINGER: Duration = Duration::from_secs(5);
/// A successor may take this long until it knows as many replicas as the running process.
const WARM_UP_WITHIN: Duration = Duration::from_secs(10);
/// Starts and stops that are under way may take this long before an upgrade is refused.
const REST_WITHIN: Duration = Duration::from_secs(30);
/// A successor reads what it is given at once, unless it hangs.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// `run --rm` waits this long for its containers to be gone.
const REMOVE_WITHIN: Duration = Duration::from_secs(60);

/// Everything that the keeper begins with.
pub struct Kept {
    pub keeper: Keeper,
    /// The process to take over from.
    pub predecessor: Option<Predecessor>,
    /// Where successors knock.
    pub knocking: UnixListener,
    pub background: Vec<(Arc<Plugged>, crate::plugin::Background)>,
    pub orders: mpsc::Receiver<Order>,
    pub leaving: watch::Sender<bool>,
}

pub struct Keeping(pub Mutex<Option<Kept>>);

#[async_trait]
impl BackgroundService for Keeping {
    async fn start(&self, shutdown: ShutdownWatch) {
        let kept = self.0.lock().ok().and_then(|mut kept| kept.take());
        if let Some(kept) = kept {
            kept.run(shutdown).await;
        }
    }
}

/// Holds the configuration: starts what it asks for, reloads it, and leaves in order.
pub struct Keeper {
    pub config: Config,
    pub options: Options,
    pub registry: Registry,
    pub reader: Reader,
    pub handle: Handle,
    pub supervisor: Supervisor,
    pub settings: Arc<ArcSwap<Settings>>,
    pub observers: Observers,
    pub in_flight: InFlight,
    pub connected: Connected,
    pub tasks: Tasks,
    pub holdings: Holdings,
    pub doors: watch::Sender<Doors>,
    /// Resolves once connections are accepted.
    pub accepting: oneshot::Receiver<()>,
    /// The admin socket and the one for successors.
    pub sockets: [Socket; 2],
}

impl Kept {
    async fn run(self, mut shutdown: ShutdownWatch) {
        let Kept {
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
            Door::new(knocking),
        ) else {
            log::error!("cannot listen for signals and successors");
            return;
        };
        keeper.tasks.start(background);
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
                    Ok(talking) => {
                        before = Some(talking);
                        // To the one of before, nothing new has begun.
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
        let watched = keeper.watched();
        let successor = loop {
            tokio::select! {
                _ = hup.recv() => {
                    let _ = keeper.reload(Images::Keep).await;
                }
                Some(order) = orders.recv() => keeper.obey(order).await,
                _ = quit.recv() => if !door.quit() {
                    log::warn!(
                        "QUIT: nobody waits to take over, so this process goes on; `tidegate run \
                         --upgrade` takes over at once, with `--upgrade=on-quit` it waits for QUIT"
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
                            handed = keeper.hand_over(successor, hands(&before)) => handed,
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
                    keeper.handle.take(Hands::Free, BTreeMap::new()).await;
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
                    keeper.handle.take(Hands::Free, BTreeMap::new()).await;
                }
                keeper.leave().await;
            }
        }
    }
}

impl Keeper {
    /// Tells the supervisor again and again that this process is alive, as long as its control
    /// loop is.
    fn watched(&self) -> AbortHandle {
        let handle = self.handle.clone();
        let watched = self
            .supervisor
            .clone()
            .watched(async move || handle.answers().await);
        tokio::spawn(watched).abort_handle()
    }

    // === an upgrade, seen from the new process ===

    /// Becomes ready beside the running process, takes control of the containers, lets clients
    /// in, and tells it to leave.
    async fn take_over(&mut self, predecessor: Predecessor) -> Result<Talking, String> {
        self.warm_up(&predecessor.ready).await?;
        let mut talking = predecessor.talk().map_err(|error| error.to_string())?;
        let (wanted, by_hand) = talking.ready().await?;
        let by_name = wanted.clone().into_iter();
        let by_name = by_name.map(|(name, wanted)| (ServiceName::new(name), wanted));
        self.handle.take(Hands::Careful, by_name.collect()).await;
        for name in by_hand {
            let count = wanted.get(&name).copied();
            if let Err(why) = self.handle.scale(name, count).await {
                log::warn!("what was asked for by hand ends with the process before: {why}");
            }
        }
        self.doors.send_replace(Doors::Open);
        if (&mut self.accepting).await.is_err() {
            return Err("the proxy did not start".to_owned());
        }
        talking.serving().await;
        let placed = self.sockets.iter().try_for_each(Socket::place);
        if let Err(error) = placed.and_then(|()| self.holdings.sign()) {
            log::error!("commands do not reach this process: {error}");
        }
        log::info!("took over from process {}", talking.pid);
        Ok(talking)
    }

    /// Waits until as many replicas are ready here as in the process before. Some may have
    /// failed since, but of each service that worked there must be one that works.
    async fn warm_up(&mut self, ready: &BTreeMap<String, u32>) -> Result<(), String> {
        let mut reader = self.reader.clone();
        // A service that left the configuration is nobody's loss.
        let services = self.config.services.iter();
        let stay: BTreeSet<&str> = services.map(|service| service.spec.name.as_str()).collect();
        let ready: Vec<_> = ready
            .iter()
            .filter(|(name, _)| stay.contains(name.as_str()))
            .collect();
        let here = |name: &str| {
            let snapshot = self.reader.load();
            let service = snapshot.service(name);
            service.map_or(0, |service| service.ready.len() as u32)
        };
        let warm = async {
            loop {
                reader.seen();
                if ready.iter().all(|(name, there)| here(name) >= **there) {
                    return;
                }
                if reader.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let _ = tokio::time::timeout(WARM_UP_WITHIN, warm).await;
        match ready
            .iter()
            .find(|(name, there)| **there > 0 && here(name) == 0)
        {
            Some((name, _)) => Err(format!(
                "no replica of `{name}` was ready here within {WARM_UP_WITHIN:?}, so the running \
                 process goes on"
            )),
            None => Ok(()),
        }
    }

    // === an upgrade, seen from the old process ===

    /// Gives a successor its own handle of everything that it must hold; nothing is lost by it.
    async fn show_holdings(&mut self, mut successor: Successor) -> Option<Successor> {
        let halves = self.holdings.instance_halves();
        let (holdings, descriptors) = self.holdings.all(&halves);
        let message = Message::Holdings {
            pid: std::process::id(),
            holdings,
            ready: self.counts(|service| service.ready.len() as u32),
            supervisor: match successor.supervised {
                true => Supervisor::default(),
                false => self.supervisor.clone(),
            },
        };
        let pid = successor.pid;
        log::info!("process {pid} wants to take over");
        let passed = successor.conversation.pass(&message, &descriptors);
        let why = match tokio::time::timeout(READ_WITHIN, passed).await {
            Ok(Ok(())) => return Some(successor),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it does not read what it is given within {READ_WITHIN:?}"),
        };
        log::warn!("process {pid} cannot take over: {why}");
        successor.refuse(&why).await;
        None
    }

    /// Lets go of the containers, and of the clients as soon as the successor lets them in. If
    /// it ends before that, everything is as it was.
    async fn hand_over(&mut self, mut successor: Successor, hands: Hands) -> Option<Successor> {
        let pid = successor.pid;
        let rest = self.handle.take(Hands::Resting, BTreeMap::new());
        if tokio::time::timeout(REST_WITHIN, rest).await.is_err() {
            let why = "containers are still being started or stopped";
            log::warn!("process {pid} cannot take over now: {why}");
            successor.refuse(why).await;
            self.handle.take(hands, BTreeMap::new()).await;
            return None;
        }
        let wanted = self.counts(|service| service.desired);
        let by_hand = self.counts(|service| service.by_hand.unwrap_or_default());
        let by_hand = by_hand.into_iter().filter(|(_, count)| *count > 0);
        let by_hand: BTreeSet<String> = by_hand.map(|(name, _)| name).collect();
        let yours = Message::Yours { wanted, by_hand };
        let said = successor.conversation.say(&yours);
        if !matches!(tokio::time::timeout(READ_WITHIN, said).await, Ok(Ok(()))) {
            // A message without its end hands over nothing.
            drop(successor);
            log::warn!("process {pid} does not take over: it did not read what it asked for");
            self.handle.take(hands, BTreeMap::new()).await;
            return None;
        }
        // Without a limit: as long as it lives, the containers are its own.
        match successor.conversation.hear().await {
            Ok(Message::Serving) => {
                log::info!("process {pid} took over: finishing what is in flight");
                self.in_flight.end_connections();
                self.doors.send_replace(Doors::HandedOver);
                if !successor.supervised {
                    self.supervisor.handed_over(pid);
                }
                Some(successor)
            }
            _ => {
                successor.conversation.hung_up().await;
                log::error!("process {pid} ended before it took over; going on");
                self.handle.take(hands, BTreeMap::new()).await;
                None
            }
        }
    }

    fn counts(&self, count: impl Fn(&ServiceView) -> u32) -> BTreeMap<String, u32> {
        let snapshot = self.reader.load();
        let services = snapshot.services.iter();
        services
            .map(|(name, service)| (name.to_string(), count(service)))
            .collect()
    }

    /// Leaves once nothing is in flight here or in the process before this one, whose requests
    /// the successor does not know of.
    async fn follow(mut self, before: Option<Talking>, shutdown: &mut ShutdownWatch) {
        let deadline = Instant::now() + self.config.server.drain_timeout;
        let mut before = before;
        let others = async {
            tokio::time::sleep(LINGER).await;
            if let Some(before) = &mut before {
                before.gone().await;
            }
        };
        tokio::select! {
            () = others => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = over(shutdown) => {}
        }
        self.options.remove = false;
        self.leave_by(deadline, Duration::ZERO, false).await;
    }

    /// What may take long goes on by itself.
    async fn obey(&mut self, order: Order) {
        let handle = self.handle.clone();
        match order {
            Order::Reload {
                image_from_file,
                reply,
            } => {
                let images = match image_from_file {
                    true => Images::FromFile,
                    false => Images::Keep,
                };
                let _ = reply.send(self.reload(images).await);
            }
            Order::Deploy {
                service,
                image,
                reply,
            } => {
                if let Some(Err(why)) = image.as_deref().map(config::check_image) {
                    return drop(reply.send(Err(why)));
                }
                tokio::spawn(async move {
                    let deployed = handle.deploy(service, image).await;
                    let _ = reply.send(deployed.map(|deployed| match deployed {
                        Deployed::Begun(version) => view::Deployed {
                            version,
                            begun: true,
                        },
                        Deployed::Runs(version) => view::Deployed {
                            version,
                            begun: false,
                        },
                    }));
                });
            }
            Order::Scale {
                service,
                replicas,
                reply,
            } => {
                let scaled = handle.scale(service, replicas).await;
                let _ = reply.send(scaled.map(|desired| view::Scaled {
                    desired,
                    by_hand: replicas,
                }));
            }
            Order::Drain {
                service,
                slot,
                reply,
            } => {
                let drained = handle.drain(service, slot).await;
                let _ = reply.send(drained.map(|id| view::Drained {
                    id: id.0.to_string(),
                }));
            }
        }
    }

    /// A bad file changes nothing and says why; a good one is swapped in whole.
    async fn reload(&mut self, images: Images) -> Result<String, String> {
        self.supervisor.reloading();
        let result = self.try_reload(images).await;
        self.supervisor.reloaded(result.is_ok());
        self.observers.tell(&Event::Reloaded {
            result: result.clone(),
        });
        result
    }

    async fn try_reload(&mut self, images: Images) -> Result<String, String> {
        let text = config::find(self.options.file.clone(), &Env::process())
            .map_err(|problems| problems.to_string())?;
        let mut new = config::load(
            &text,
            &self.options.overrides,
            &self.registry,
            self.reader.clone(),
            Some(&self.config),
        )
        .map_err(|problems| problems.to_string())?;
        if new.has_containers() {
            let locked = self.holdings.lock_instance();
            locked.map_err(|error| error.to_string())?;
        }
        let changed = config::diff(&self.config, &new);
        let background = std::mem::take(&mut new.background);
        // Routes first: a service that left is drained only when no route leads to it any more.
        self.settings.store(Arc::new(settings_of(&new)));
        self.observers.replace(&new);
        self.tasks.keep_only(&new);
        self.tasks.start(background);
        let notes = self.handle.reconfigure(managed_of(&new), images).await;
        new.keep_what_needs_a_restart(&self.config);
        self.config = new;
        Ok(described(&notes, &changed))
    }

    /// Leaves as soon as nothing is in flight. Containers stay, unless `--rm` was given.
    async fn leave(mut self) {
        let now = Instant::now();
        let deadline = now + self.config.server.drain_timeout;
        self.in_flight.end_connections();
        let nobody = || self.connected.count() == 0;
        lasting(nobody, deadline.min(now + FAREWELL)).await;
        self.doors.send_replace(Doors::Shut);
        // Nobody should hold them, except for whoever passed them to this process.
        self.holdings.listeners.clear();
        self.leave_by(deadline, FIRST_WORD_WITHIN, true).await;
    }

    /// Connections on which nothing is asked are left after `idle`.
    async fn leave_by(self, deadline: Instant, idle: Duration, is_last: bool) {
        let patience = Instant::now() + idle;
        let nothing = || {
            let nobody = || self.connected.count() == 0;
            self.in_flight.count() == 0 && (nobody() || Instant::now() >= patience)
        };
        lasting(nothing, deadline).await;
        match self.in_flight.count() {
            0 => log::info!("nothing is in flight any more"),
            left => log::warn!("{left} requests were still in flight at the drain timeout"),
        }
        if self.options.remove
            && tokio::time::timeout(REMOVE_WITHIN, self.handle.remove_all())
                .await
                .is_err()
        {
            log::error!("not every container could be removed in time");
        }
        for observer in self.observers.all() {
            observer.flush();
        }
        if is_last {
            self.holdings.tidy_up();
        }
        exit(0);
    }
}

/// The difference that a reload made, images first.
fn described(notes: &[ImageNote], changed: &Diff) -> String {
    let mut parts: Vec<String> = notes.iter().map(ImageNote::to_string).collect();
    if parts.is_empty() || !changed.is_empty() {
        parts.push(changed.to_string());
    }
    parts.join("; ")
}

/// Waits until it `is` so for a while, or for the deadline.
async fn lasting(is: impl Fn() -> bool, deadline: Instant) {
    let mut quiet = Duration::ZERO;
    while quiet < LEAVE_QUIET && Instant::now() < deadline {
        tokio::time::sleep(LEAVE_POLL).await;
        quiet = if is() {
            quiet + LEAVE_POLL
        } else {
            Duration::ZERO
        };
    }
}

/// What the control loop may do, as long as nobody else is in control.
fn hands(before: &Option<Talking>) -> Hands {
    match before {
        Some(_) => Hands::Careful,
        None => Hands::Free,
    }
}

/// Resolves once the process before this one has ended, and never when there was none.
async fn gone(before: &mut Option<Talking>) -> u32 {
    let Some(before) = before else {
        return std::future::pending().await;
    };
    before.gone().await;
    before.pid
}

/// The background tasks of plugins. They end with the plugin.
#[derive(Default)]
pub struct Tasks(Vec<(Arc<Plugged>, AbortHandle)>);

impl Tasks {
    fn start(&mut self, background: Vec<(Arc<Plugged>, crate::plugin::Background)>) {
        for (plugged, task) in background {
            self.0.push((plugged, tokio::spawn(task).abort_handle()));
        }
    }

    fn keep_only(&mut self, config: &Config) {
        self.0.retain(|(owner, task)| {
            let kept = config.plugged().any(|plugged| Arc::ptr_eq(plugged, owner));
            if !kept {
                task.abort();
            }
            kept
        });
    }
}
