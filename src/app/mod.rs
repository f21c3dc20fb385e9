//! The composition root: the only file that knows all the others.
//!
//! Configuration and registry in; engine, store, control loop, proxy and admin API out, each in
//! its place in Pingora's life.

mod doors;
mod instance_lock;
mod keeper;
mod key;
mod logs;
mod preflight;
mod services;
mod socket_activation;
mod supervisor;
mod upgrade;

pub use crate::engine::docker::ImageFacts;
pub use upgrade::handover::When;
pub use logs::{Said, Wanted, logs};

use crate::admin::{self, Admin};
use crate::config::{self, Config, Overrides, Plugged, Problems, Text};
use crate::control::{self, Control, Forecast, Images, Managed, Sink};
use crate::engine::docker::Docker;
use crate::plugin::{Observer, Registry};
use crate::proxy::route::{Routes, Target};
use crate::proxy::{Bounds, Chain, Edge, Front, InFlight, Limits, Settings};
use crate::service::event::Event;
use crate::service::store;
use arc_swap::ArcSwap;
use doors::{Doors, Entrance};
use upgrade::holdings::{Holdings, Socket};
use keeper::{Keeper, Keeping, Kept, Tasks};
use pingora::listeners::ListenerConfig;
use pingora::prelude::Opt;
use pingora::protocols::l4::stream::L4BufferSettings;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;
use pingora::services::listening::Service as ListeningService;
use preflight::{admin_token, connections as room, install_signal_handlers, raise_open_files};
use services::{AdminListeners, AdminService, ControlService, Signals};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use supervisor::Supervisor;
use tokio::sync::{mpsc, oneshot, watch};
use upgrade::predecessor;

/// Beyond every `timeouts.drain`.
const LEAVE_AT_LAST_SECS: u64 = 2 * 24 * 60 * 60;
/// Connections kept open to replicas, per worker thread.
const UPSTREAM_POOL: usize = 512;

/// How this process was asked to run.
pub struct Options {
    pub overrides: Overrides,
    /// The file that a reload reads again; `None`: the built-in defaults.
    pub file: Option<std::path::PathBuf>,
    /// Removes every container when leaving.
    pub remove: bool,
    /// Takes over from the running process, if there is one.
    pub upgrade: Option<When>,
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

/// What an image says of itself; it is pulled when it is not here.
pub fn image_facts(image: &str) -> Result<ImageFacts, StartError> {
    // No containers are looked at, so it is nobody's instance.
    let docker = Docker::connect("none").map_err(|error| system(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    let facts = runtime.block_on(docker.image_facts(image));
    facts.map_err(|error| system(&error))
}

/// What `run` would do first with this configuration.
pub fn forecast(config: &Config, images: Images) -> Result<Vec<Forecast>, StartError> {
    let mut docker = Docker::connect(&config.instance).map_err(|error| system(&error))?;
    if let Some(seal) = key::look(&config.state_dir) {
        docker = docker.sealing(seal);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    let services = managed_of(config);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    let forecast = control::forecast(&docker, &services, images, clock.unwrap_or_default());
    runtime.block_on(forecast).map_err(|error| system(&error))
}

fn start(
    text: &Text,
    options: Options,
    registry: Registry,
) -> Result<std::convert::Infallible, StartError> {
    let passed = socket_activation::sockets()?;
    let (writer, reader) = store::store();
    let mut config = config::load(text, &options.overrides, &registry, reader.clone(), None)
        .map_err(StartError::Config)?;
    install_signal_handlers()?;
    let supervisor = Supervisor::told_by(|name| std::env::var(name).ok(), std::process::id());
    let (predecessor, handed) = match options.upgrade {
        Some(when) => predecessor::ask(&config.state_dir, when, supervisor.is_there())?.unzip(),
        None => (None, None),
    };
    let mut holdings = Holdings::lock(&config, handed, passed)?;
    let token = admin_token(&config.state_dir)?;
    let admin_socket = Socket::bind(config.state_dir.join("admin.sock"))?;
    let upgrade_socket = Socket::bind(config.state_dir.join("upgrade.sock"))?;
    raise_open_files();
    let docker = Docker::connect(&config.instance).map_err(|error| system(&error))?;
    let docker = docker.sealing(holdings.seal()).claiming(holdings.claim());
    if predecessor.is_none() {
        let placed = holdings.sign().and_then(|()| admin_socket.place());
        placed
            .and_then(|()| upgrade_socket.place())
            .map_err(|error| system(&error))?;
    }
    holdings.listen(&config)?;

    let observers = Observers::default();
    let settings = Arc::new(ArcSwap::from_pointee(settings_of(&config)));
    let in_flight = InFlight::default();
    let (control, handle) = Control::new(
        Arc::new(docker),
        writer,
        observers.sink(),
        config.server.max_concurrent_starts,
    );
    let control = match predecessor {
        Some(_) => control.resting(),
        None => control,
    };
    let (doors_sender, doors) = watch::channel(Doors::Closed);
    let (accepting_sender, accepting) = oneshot::channel();
    let (order_sender, orders) = mpsc::channel(4);
    let (leaving_sender, leaving) = watch::channel(false);
    observers.replace(&config);

    let conf = server_conf(&config);
    let mut server = Server::new_with_opt_and_conf(Opt::default(), conf);
    server.bootstrap();

    let admin = Admin {
        reader: reader.clone(),
        metrics: observers.metrics(),
        orders: order_sender,
        leaving,
        token: token.into(),
        hosts: config.admin_hosts.clone().into(),
        failures: Default::default(),
        history: observers.history.clone(),
        live: Default::default(),
        streams: Default::default(),
    };
    let tcp = holdings.copies(config.admin.as_slice())?.pop();
    let admin_listeners = AdminListeners {
        tcp: tcp.map(|(_, listener)| listener),
        socket: admin_socket.listener()?,
    };
    server.add_service(background_service(
        "admin",
        AdminService {
            admin,
            listeners: Mutex::new(Some(admin_listeners)),
            doors: doors.clone(),
        },
    ));
    server.add_service(background_service(
        "control",
        ControlService(Mutex::new(Some(control))),
    ));

    let edge = Edge::new(
        reader.clone(),
        Arc::clone(&settings),
        in_flight.clone(),
        observers.sink(),
    );
    let app = pingora::proxy::http_proxy(&server.configuration, edge.clone());
    let front = Front::new(app, edge, Arc::clone(&settings), observers.sink());
    let connected = front.connected();
    let mut proxy = ListeningService::new("proxy".to_owned(), front);
    for address in &config.listen {
        let listener = ListenerConfig::tcp(address.to_string());
        proxy.add_listener(listener.l4_buffer(L4BufferSettings::unbuffered()));
    }
    server.add_service(Entrance {
        proxy,
        listeners: holdings.copies(&config.listen)?,
        doors,
        accepting: Some(accepting_sender),
    });

    print_what_runs(&config, text);
    let knocking = upgrade_socket.listener()?;
    let background = std::mem::take(&mut config.background);
    let keeper = Keeper {
        config,
        options,
        registry,
        reader,
        handle,
        supervisor,
        settings,
        observers,
        in_flight,
        connected,
        tasks: Tasks::default(),
        holdings,
        doors: doors_sender,
        accepting,
        sockets: [admin_socket, upgrade_socket],
    };
    let kept = Kept {
        keeper,
        predecessor,
        knocking,
        background,
        orders,
        leaving: leaving_sender,
    };
    let keeping = Keeping(Mutex::new(Some(kept)));
    server.add_service(background_service("keeper", keeping));

    let signals = Signals::listen().map_err(|error| system(&error))?;
    server.run(RunArgs {
        shutdown_signal: Box::new(signals),
    });
    exit(0);
}

/// Ends the process once the last lines of the log are written.
fn exit(code: i32) -> ! {
    log::logger().flush();
    std::process::exit(code)
}

fn system(error: &dyn fmt::Display) -> StartError {
    StartError::System(error.to_string())
}

fn server_conf(config: &Config) -> ServerConf {
    ServerConf {
        threads: config.server.threads,
        // The proxy counts, and waits for time to pass.
        max_retries: usize::MAX,
        // The keeper leaves earlier, as soon as nothing is in flight.
        grace_period_seconds: Some(LEAVE_AT_LAST_SECS),
        graceful_shutdown_timeout_seconds: Some(1),
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        listener_tasks_per_fd: 2,
        pid_file: config.state_dir.join("pingora.pid").display().to_string(),
        ..ServerConf::default()
    }
}

fn print_what_runs(config: &Config, text: &Text) {
    log::info!("tidegate {} with {}", env!("CARGO_PKG_VERSION"), text.name);
    for address in &config.listen {
        log::info!("listening on http://{address}");
    }
    if let Some(admin) = config.admin {
        log::info!("dashboard, metrics and API on http://{admin}");
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
    let targets = config.services.iter().flat_map(|service| {
        let target = |keeps_encoded_slashes| {
            Arc::new(Target {
                service: service.spec.name.clone(),
                forward: service.spec.forward.clone(),
                scaler: service.scaler.clone(),
                chain: chain(&service.plugins),
                keeps_encoded_slashes,
            })
        };
        let routes = service.spec.routes.iter().cloned();
        let (keeping, plain): (Vec<_>, Vec<_>) =
            routes.partition(|route| route.keeps_encoded_slashes);
        // Without routes a target claims everything.
        let plain = (keeping.is_empty() || !plain.is_empty()).then(|| (plain, target(false)));
        let keeping = (!keeping.is_empty()).then(|| (keeping, target(true)));
        plain.into_iter().chain(keeping)
    });
    let of_limits = &config.server.limits;
    let all = room(of_limits.connections);
    Settings {
        routes: Routes::new(targets),
        chain: chain(&[]),
        keepalive_timeout: config.server.keepalive_timeout,
        client_read_timeout: config.server.client_read_timeout,
        client_write_timeout: config.server.client_write_timeout,
        limits: Limits {
            header_bytes: config.server.max_header_bytes,
            headers: config.server.limits.headers,
            target_bytes: config.server.limits.target_bytes,
        },
        bounds: Bounds {
            connections: all,
            connections_per_address: of_limits.connections_per_address.unwrap_or(all.div_ceil(2)),
            header_timeout: config.server.header_timeout,
            min_rate_bytes: config.server.limits.min_rate_bytes,
            proxy_protocol: config.server.proxy_protocol.clone(),
        },
        trusted_proxies: config.server.trusted_proxies.clone(),
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

/// Who is told of events, and whose metrics are shown.
#[derive(Clone, Default)]
struct Observers {
    /// Swapped by a reload.
    plugged: Arc<ArcSwap<Vec<Arc<Plugged>>>>,
    /// Stays.
    history: admin::History,
}

impl Observers {
    fn replace(&self, config: &Config) {
        self.plugged
            .store(Arc::new(config.plugged().cloned().collect()));
    }

    fn all(&self) -> Vec<Arc<dyn Observer>> {
        let plugged = self.plugged.load();
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
        self.history.note(event);
        for plugged in self.plugged.load().iter() {
            for observer in &plugged.observers {
                observer.event(event);
            }
        }
    }

    fn metrics(&self) -> admin::Metrics {
        let observers = self.clone();
        Arc::new(move || {
            let plugged = observers.plugged.load();
            let registries = plugged.iter().flat_map(|plugged| &plugged.metrics);
            admin::metrics::merge(registries.flat_map(prometheus::Registry::gather))
        })
    }
}
