//! The composition root: the only file that knows all the others.
//!
//! Configuration and registry in; engine, store, control loop, proxy and admin API out, each in
//! its place in Pingora's life.

use crate::admin::{self, Admin, Door, ReloadRequest};
use crate::config::{self, Config, Env, Overrides, Plugged, Problems, Text};
use crate::control::{self, Control, Forecast, Handle, Managed, Sink};
use crate::engine::docker::Docker;
use crate::plugin::{Observer, Registry};
use crate::proxy::route::{Routes, Target};
use crate::proxy::{Chain, Edge, InFlight, Settings};
use crate::service::event::Event;
use crate::service::store::{self, Reader};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::listeners::ListenerConfig;
use pingora::prelude::Opt;
use pingora::protocols::l4::stream::L4BufferSettings;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::background::{BackgroundService, background_service};
use std::fmt;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

/// Read at once from a client. Pingora's own 64 KiB per connection would be most of the memory
/// of an idle one.
const CLIENT_BUFFER_BYTES: usize = 16 * 1024;
/// A stopping process looks this often whether it may leave.
const LEAVE_POLL: Duration = Duration::from_millis(20);
/// Nothing may be in flight for this long before it leaves, so that a request already on its
/// way into the process is not cut off.
const LEAVE_QUIET: Duration = Duration::from_millis(100);
/// `run --rm` waits this long for its containers to be gone.
const REMOVE_WITHIN: Duration = Duration::from_secs(60);
/// Connections kept open to replicas, per worker thread.
const UPSTREAM_POOL: usize = 512;
/// Each proxied request takes two descriptors.
const OPEN_FILES: u64 = 1 << 20;

/// How this process was asked to run.
pub struct Options {
    pub overrides: Overrides,
    /// The file that a reload reads again; `None`: the built-in defaults.
    pub file: Option<std::path::PathBuf>,
    /// Removes every container when leaving.
    pub remove: bool,
}

/// Why the process cannot start.
#[derive(Debug)]
pub enum StartError {
    Config(Problems),
    System(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(problems) => problems.fmt(f),
            StartError::System(message) => f.write_str(message),
        }
    }
}

/// Runs until a signal ends it; returns only when it could not start.
pub fn run(text: &Text, options: Options, registry: Registry) -> StartError {
    match start(text, options, registry) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

/// What `run` would do first with this configuration.
pub fn forecast(config: &Config) -> Result<Vec<Forecast>, StartError> {
    let docker = Docker::connect(&config.instance).map_err(|error| system(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    let services = managed_of(config);
    let forecast = control::forecast(&docker, &services);
    runtime.block_on(forecast).map_err(|error| system(&error))
}

fn start(
    text: &Text,
    options: Options,
    registry: Registry,
) -> Result<std::convert::Infallible, StartError> {
    let (writer, reader) = store::store();
    let mut config = config::load(text, &options.overrides, &registry, reader.clone(), None)
        .map_err(StartError::Config)?;
    install_signal_handlers()?;
    let lock = lock_state_dir(&config.state_dir)?;
    let token = admin_token(&config.state_dir)?;
    for address in &config.listen {
        try_to_bind(*address, "`listen` or --listen")?;
    }
    if let Some(address) = config.admin {
        try_to_bind(address, "`admin: { listen: … }` or TIDEGATE_ADMIN_LISTEN")?;
    }
    raise_open_files();
    let docker = Docker::connect(&config.instance).map_err(|error| system(&error))?;

    let observers = Observers::default();
    let settings = Arc::new(ArcSwap::from_pointee(settings_of(&config)));
    let in_flight = InFlight::default();
    let (control, handle) = Control::new(
        Arc::new(docker),
        writer,
        observers.sink(),
        config.server.max_concurrent_starts,
    );
    let (reload_sender, reload_requests) = mpsc::channel(4);
    let (leaving_sender, leaving) = watch::channel(false);
    observers.replace(&config);

    let conf = server_conf(&config);
    let mut server = Server::new_with_opt_and_conf(Opt::default(), conf);
    server.bootstrap();

    let admin = Admin {
        reader: reader.clone(),
        metrics: observers.metrics(),
        reload: reload_sender,
        leaving,
        token: token.into(),
    };
    server.add_service(background_service(
        "admin",
        AdminService {
            admin,
            listen: config.admin,
            socket: config.state_dir.join("admin.sock"),
        },
    ));
    server.add_service(background_service(
        "control",
        ControlService(Mutex::new(Some(control))),
    ));

    let edge = Edge::new(reader.clone(), Arc::clone(&settings), in_flight.clone());
    let mut proxy = pingora::proxy::http_proxy_service(&server.configuration, edge);
    for address in &config.listen {
        proxy.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(
            L4BufferSettings::new(CLIENT_BUFFER_BYTES, CLIENT_BUFFER_BYTES),
        ));
    }
    server.add_service(proxy);

    print_what_runs(&config, text);
    let background = std::mem::take(&mut config.background);
    let keeper = Keeper {
        drain_timeout: config.server.drain_timeout,
        config,
        options,
        registry,
        reader,
        handle,
        settings,
        observers,
        in_flight,
        tasks: Tasks::default(),
        _lock: lock,
    };
    let keeping = Keeping(Mutex::new(Some((
        keeper,
        background,
        reload_requests,
        leaving_sender,
    ))));
    server.add_service(background_service("keeper", keeping));

    server.run(RunArgs {
        shutdown_signal: Box::new(Signals),
    });
    std::process::exit(0);
}

fn system(error: &dyn fmt::Display) -> StartError {
    StartError::System(error.to_string())
}

fn server_conf(config: &Config) -> ServerConf {
    let leave = config.server.drain_timeout + REMOVE_WITHIN;
    ServerConf {
        threads: config.server.threads,
        max_retries: 8,
        // The keeper leaves earlier, as soon as nothing is in flight.
        grace_period_seconds: Some(leave.as_secs() + 1),
        graceful_shutdown_timeout_seconds: Some(1),
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        listener_tasks_per_fd: 2,
        pid_file: config.state_dir.join("pingora.pid").display().to_string(),
        upgrade_sock: config.state_dir.join("upgrade.sock").display().to_string(),
        ..ServerConf::default()
    }
}

fn print_what_runs(config: &Config, text: &Text) {
    log::info!("tidegate {} with {}", env!("CARGO_PKG_VERSION"), text.name);
    for address in &config.listen {
        log::info!("listening on http://{address}");
    }
    if let Some(admin) = config.admin {
        log::info!("admin on http://{admin}");
    }
    for service in &config.services {
        let routes: Vec<String> = service
            .spec
            .routes
            .iter()
            .map(ToString::to_string)
            .collect();
        let routes = if routes.is_empty() {
            "every request".to_owned()
        } else {
            routes.join(", ")
        };
        log::info!("{}: serves {routes}", service.spec.name);
    }
}

// === the parts, from a configuration ===

fn settings_of(config: &Config) -> Settings {
    let chain = |own: &[Arc<Plugged>]| {
        let mut chain = Chain::default();
        for plugged in config.plugins.iter().chain(own) {
            chain.filters.extend(plugged.filters.iter().cloned());
            chain.observers.extend(plugged.observers.iter().cloned());
        }
        chain
    };
    let targets = config.services.iter().map(|service| {
        let target = Target {
            service: service.spec.name.clone(),
            forward: service.spec.forward.clone(),
            scaler: service.scaler.clone(),
            chain: chain(&service.plugins),
        };
        (service.spec.routes.clone(), Arc::new(target))
    });
    Settings {
        routes: Routes::new(targets),
        chain: chain(&[]),
        keepalive_timeout: config.server.keepalive_timeout,
        client_read_timeout: config.server.client_read_timeout,
        client_write_timeout: config.server.client_write_timeout,
        max_header_bytes: config.server.max_header_bytes,
    }
}

fn managed_of(config: &Config) -> Vec<Managed> {
    let services = config.services.iter();
    let managed = services.map(|service| Managed {
        spec: Arc::clone(&service.spec),
        probe: Arc::clone(&service.probe),
        scaler: service.scaler.clone(),
    });
    managed.collect()
}

/// Who is told of events, and whose metrics are shown. Swapped by a reload.
#[derive(Clone, Default)]
struct Observers(Arc<ArcSwap<Vec<Arc<Plugged>>>>);

impl Observers {
    fn replace(&self, config: &Config) {
        self.0.store(Arc::new(config.plugged().cloned().collect()));
    }

    fn all(&self) -> Vec<Arc<dyn Observer>> {
        let plugged = self.0.load();
        plugged
            .iter()
            .flat_map(|plugged| plugged.observers.clone())
            .collect()
    }

    fn sink(&self) -> Sink {
        let observers = self.clone();
        Arc::new(move |event: &Event| observers.tell(event))
    }

    fn tell(&self, event: &Event) {
        log::log!(event.level(), "{event}");
        for plugged in self.0.load().iter() {
            for observer in &plugged.observers {
                observer.event(event);
            }
        }
    }

    fn metrics(&self) -> admin::Metrics {
        let observers = self.clone();
        Arc::new(move || {
            let plugged = observers.0.load();
            let registries = plugged.iter().flat_map(|plugged| &plugged.metrics);
            admin::metrics::merge(registries.flat_map(prometheus::Registry::gather))
        })
    }
}

// === what must be right before anything starts ===

/// Until a handler is there, HUP and USR1 would end the process.
fn install_signal_handlers() -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    let _inside = runtime.enter();
    for kind in [
        SignalKind::hangup(),
        SignalKind::user_defined1(),
        SignalKind::quit(),
    ] {
        // The handler stays when its stream goes.
        drop(signal(kind).map_err(|error| system(&error))?);
    }
    Ok(())
}

/// Two processes must not share a socket, nor control the same containers.
fn lock_state_dir(dir: &Path) -> Result<fs::File, StartError> {
    let explain = |error: io::Error| {
        StartError::System(format!(
            "cannot use the state folder {}: {error}\n  hint: set `state_dir` to a folder that \
             this user may write",
            dir.display()
        ))
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(explain)?;
    let path = dir.join("lock");
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(explain)?;
    match file.try_lock() {
        Ok(()) => {
            // For the message below, and for whoever looks.
            file.set_len(0)
                .and_then(|()| writeln!(file, "{}", std::process::id()))
                .map_err(explain)?;
            Ok(file)
        }
        Err(fs::TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let _ = file.read_to_string(&mut owner);
            Err(StartError::System(format!(
                "another tidegate (process {}) runs with the state folder {}\n  hint: stop it, or \
                 give this one its own `state_dir` and `instance`",
                owner.trim(),
                dir.display()
            )))
        }
        Err(fs::TryLockError::Error(error)) => Err(explain(error)),
    }
}

/// The token from the environment, else the one in the state folder, made when it is missing.
fn admin_token(dir: &Path) -> Result<String, StartError> {
    if let Ok(token) = std::env::var("TIDEGATE_ADMIN_TOKEN")
        && !token.is_empty()
    {
        return Ok(token);
    }
    let path = dir.join("admin-token");
    kept_token(&path)
        .map_err(|error| StartError::System(format!("cannot use {}: {error}", path.display())))
}

fn kept_token(path: &Path) -> io::Result<String> {
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    // The mode above is for a new file; somebody may have written this one by hand.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    let mut token = String::new();
    file.read_to_string(&mut token)?;
    if token.trim().is_empty() {
        token = uuid::Uuid::new_v4().simple().to_string();
        file.rewind()?;
        file.write_all(token.as_bytes())?;
    }
    Ok(token.trim().to_owned())
}

/// Pingora tries to bind for half a minute and then goes on without a listener; we would rather
/// say at once what is wrong. `set_with` is where the address can be changed.
fn try_to_bind(address: SocketAddr, set_with: &str) -> Result<(), StartError> {
    let Err(error) = TcpListener::bind(address) else {
        return Ok(());
    };
    let port = address.port();
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program listens on port {port}; `ss -ltnp 'sport = :{port}'` names it; stop \
             it, or choose another address with {set_with}"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE; run as root, or \
             choose a port such as 8080 with {set_with} (asked for {port})"
        ),
        _ => format!("choose an address of this machine with {set_with}"),
    };
    Err(StartError::System(format!(
        "cannot listen on {address}: {error}\n  hint: {hint}"
    )))
}

fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = OPEN_FILES.min(hard).max(soft);
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    });
    if let Err(error) = raised {
        log::warn!("cannot raise the limit of open files: {error}");
    }
}

// === services in Pingora's life ===

struct ControlService(Mutex<Option<Control>>);

#[async_trait]
impl BackgroundService for ControlService {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let control = self.0.lock().ok().and_then(|mut control| control.take());
        if let Some(control) = control {
            // It goes on to the very end: replicas fail while requests are finished, too.
            let (_never, over) = watch::channel(false);
            control.run(over).await;
        }
    }
}

struct AdminService {
    admin: Admin,
    listen: Option<SocketAddr>,
    socket: std::path::PathBuf,
}

#[async_trait]
impl BackgroundService for AdminService {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let tcp = async {
            let Some(address) = self.listen else {
                return Ok(());
            };
            let listener = tokio::net::TcpListener::bind(address).await?;
            axum::serve(listener, admin::router(self.admin.clone(), Door::Tcp)).await
        };
        let unix = async {
            let _ = fs::remove_file(&self.socket);
            let listener = tokio::net::UnixListener::bind(&self.socket)?;
            fs::set_permissions(&self.socket, fs::Permissions::from_mode(0o600))?;
            axum::serve(listener, admin::router(self.admin.clone(), Door::Socket)).await
        };
        let (tcp, unix) = tokio::join!(tcp, unix);
        for error in [tcp.err(), unix.err()].into_iter().flatten() {
            log::error!("the admin listener ended: {error}");
        }
    }
}

/// Ends the proxy at the first TERM or INT, and the process at the second INT.
struct Signals;

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(mut term), Ok(mut int)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => log::info!("TERM: finishing what is in flight"),
            _ = int.recv() => log::info!("INT: finishing what is in flight; once more to leave at once"),
        }
        std::thread::spawn(exit_at_next_interrupt);
        ShutdownSignal::GracefulTerminate
    }
}

fn exit_at_next_interrupt() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    if let Ok(runtime) = runtime {
        runtime.block_on(async {
            if let Ok(mut int) = signal(SignalKind::interrupt()) {
                int.recv().await;
                std::process::exit(130);
            }
        });
    }
}

type Kept = (
    Keeper,
    Vec<(Arc<Plugged>, crate::plugin::Background)>,
    mpsc::Receiver<ReloadRequest>,
    watch::Sender<bool>,
);

struct Keeping(Mutex<Option<Kept>>);

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
struct Keeper {
    config: Config,
    drain_timeout: Duration,
    options: Options,
    registry: Registry,
    reader: Reader,
    handle: Handle,
    settings: Arc<ArcSwap<Settings>>,
    observers: Observers,
    in_flight: InFlight,
    tasks: Tasks,
    _lock: fs::File,
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
        let deadline = tokio::time::Instant::now() + self.drain_timeout;
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
struct Tasks(Vec<(Arc<Plugged>, AbortHandle)>);

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
