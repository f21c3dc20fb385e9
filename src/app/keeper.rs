//! Holds the configuration: starts what it asks for, reloads it, and leaves in order.

use super::preflight::lock_instance;
use super::{Observers, Options, managed_of, settings_of};
use crate::admin::ReloadRequest;
use crate::config::{self, Config, Env, Plugged};
use crate::control::Handle;
use crate::plugin::Registry;
use crate::proxy::{InFlight, Settings};
use crate::service::event::Event;
use crate::service::store::Reader;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use std::fs;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

/// A stopping process looks this often whether it may leave.
const LEAVE_POLL: Duration = Duration::from_millis(20);
/// Nothing may be in flight for this long before it leaves, so that a request already on its
/// way into the process is not cut off.
const LEAVE_QUIET: Duration = Duration::from_millis(100);
/// `run --rm` waits this long for its containers to be gone.
const REMOVE_WITHIN: Duration = Duration::from_secs(60);

pub type Kept = (
    Keeper,
    Vec<(Arc<Plugged>, crate::plugin::Background)>,
    mpsc::Receiver<ReloadRequest>,
    watch::Sender<bool>,
);

pub struct Keeping(pub Mutex<Option<Kept>>);

#[async_trait]
impl BackgroundService for Keeping {
    async fn start(&self, shutdown: ShutdownWatch) {
        let kept = self.0.lock().ok().and_then(|mut kept| kept.take());
        if let Some((keeper, background, requests, leaving)) = kept {
            keeper.run(background, requests, leaving, shutdown).await;
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
    pub settings: Arc<ArcSwap<Settings>>,
    pub observers: Observers,
    pub in_flight: InFlight,
    pub tasks: Tasks,
    pub _state_lock: fs::File,
    /// Held while any service has containers.
    pub instance_lock: Option<UnixListener>,
}

impl Keeper {
    async fn run(
        mut self,
        background: Vec<(Arc<Plugged>, crate::plugin::Background)>,
        mut requests: mpsc::Receiver<ReloadRequest>,
        leaving: watch::Sender<bool>,
        mut shutdown: ShutdownWatch,
    ) {
        let (Ok(mut hup), Ok(mut quit)) =
            (signal(SignalKind::hangup()), signal(SignalKind::quit()))
        else {
            log::error!("cannot listen for signals");
            return;
        };
        self.tasks.start(background);
        self.handle.reconfigure(managed_of(&self.config)).await;
        loop {
            tokio::select! {
                _ = hup.recv() => {
                    let _ = self.reload().await;
                }
                Some(reply) = requests.recv() => {
                    let _ = reply.send(self.reload().await);
                }
                _ = quit.recv() => {
                    log::warn!("QUIT is ignored: this version cannot hand its sockets over yet; use TERM");
                }
                _ = over(&mut shutdown) => break,
            }
        }
        let _ = leaving.send(true);
        self.leave().await;
    }

    /// A bad file changes nothing and says why; a good one is swapped in whole.
    async fn reload(&mut self) -> Result<String, String> {
        let result = self.try_reload().await;
        self.observers.tell(&Event::Reloaded {
            result: result.clone(),
        });
        result
    }

    async fn try_reload(&mut self) -> Result<String, String> {
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
        if self.instance_lock.is_none() && new.has_containers() {
            let lock = lock_instance(&self.config.instance).map_err(|error| error.to_string())?;
            self.instance_lock = Some(lock);
        }
        let changed = config::diff(&self.config, &new).to_string();
        let background = std::mem::take(&mut new.background);
        // Routes first: a service that left is drained only when no route leads to it any more.
        self.settings.store(Arc::new(settings_of(&new)));
        self.observers.replace(&new);
        self.tasks.keep_only(&new);
        self.tasks.start(background);
        self.handle.reconfigure(managed_of(&new)).await;
        new.keep_what_needs_a_restart(&self.config);
        self.config = new;
        Ok(changed)
    }

    /// Leaves as soon as nothing is in flight. Containers stay, unless `--rm` was given.
    async fn leave(self) {
        let deadline = tokio::time::Instant::now() + self.config.server.drain_timeout;
        let mut quiet = Duration::ZERO;
        while quiet < LEAVE_QUIET && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(LEAVE_POLL).await;
            quiet = if self.in_flight.count() == 0 {
                quiet + LEAVE_POLL
            } else {
                Duration::ZERO
            };
        }
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
        std::process::exit(0);
    }
}

/// Resolves once the server is told to leave.
async fn over(shutdown: &mut ShutdownWatch) {
    // What it returns is a guard that must not live across an await.
    let _ = shutdown.wait_for(|over| *over).await;
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
