//! The composition root: makes engine, store, control loop, proxy and admin API, and gives each its
//! place in Pingora's life.

use super::admin_token::admin_token;
use super::certificates::certificate_parts;
use super::doors::{Doors, Entrance};
use super::engines;
use super::exit::exit;
use super::file_limit::raise_open_files;
use super::keeper::Keeper;
use super::life::{KeeperParts, KeeperService};
use super::observers::Observers;
use super::options::Options;
use super::parts::{server_conf, settings_of};
use super::services::{AdminListeners, AdminService, ControlService};
use super::signals::{Signals, install_signal_handlers};
use super::socket_activation;
use super::start_error::{StartError, system};
use super::supervisor::Supervisor;
use super::tasks::Tasks;
use super::tls::parts::Tls;
use super::unix_socket::Socket;
use super::upgrade::holdings::Holdings;
use super::upgrade::predecessor;
use super::workers;
use crate::admin::Admin;
use crate::config::{self, Config, Text};
use crate::control::Control;
use crate::plugin::Registry;
use crate::proxy::{Acceptor, Edge, InFlight};
use crate::service::store;
use arc_swap::ArcSwap;
use http::uri::Scheme;
use pingora::prelude::Opt;
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, oneshot, watch};

/// Runs until a signal ends the process; returns only when it could not start.
pub fn run(text: &Text, options: Options, registry: Registry) -> StartError {
    match start(text, options, registry) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn start(text: &Text, options: Options, registry: Registry) -> Result<Infallible, StartError> {
    let passed = socket_activation::sockets()?;
    let (writer, reader) = store::store();
    let mut config = config::load(text, &options.overrides, &registry, reader.clone(), None)
        .map_err(StartError::Config)?;
    install_signal_handlers()?;
    let supervisor =
        Supervisor::from_variables(|name| std::env::var(name).ok(), std::process::id());
    let (predecessor, handed) = match options.upgrade {
        Some(when) => predecessor::ask(&config.state_dir, when, supervisor.is_there())?.unzip(),
        None => (None, None),
    };
    let mut holdings = Holdings::lock(&config, handed, passed)?;
    let token = admin_token(&config.state_dir)?;
    let admin_socket = Socket::bind(config.state_dir.join("admin.sock"))?;
    let upgrade_socket = Socket::bind(config.state_dir.join("upgrade.sock"))?;
    raise_open_files();
    let engine = engines::connect(&config.instance, holdings.seal(), holdings.claim())?;
    if predecessor.is_none() {
        let placed = holdings.sign().and_then(|()| admin_socket.place());
        placed
            .and_then(|()| upgrade_socket.place())
            .map_err(|error| system(&error))?;
    }
    holdings.listen(&config)?;

    let observers = Observers::default();
    let handed = predecessor.as_ref().map(|before| &before.tickets[..]);
    let certificates = certificate_parts(&config, observers.sink());
    let tls = Tls::new(
        &certificates.readers,
        certificates.files,
        handed.unwrap_or_default(),
    );
    let policies = tls.policies(&config).map_err(StartError::System)?;
    tls.use_files(&config);
    let settings = Arc::new(ArcSwap::from_pointee(settings_of(&config, policies)));
    let in_flight = InFlight::default();
    let (control, handle) = Control::new(
        engine,
        writer,
        observers.sink(),
        config.server.max_concurrent_starts,
    );
    let control = match predecessor {
        Some(_) => control.read_only(),
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
        certificates: certificates.readers.table.clone(),
        reports: certificates.readers.reports.clone(),
        metrics: observers.metrics(tls.metrics.clone()),
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
    let certificate_handle = certificates.handle;
    server.add_service(background_service("certificates", certificates.service));

    let edge = Edge::new(
        reader.clone(),
        Arc::clone(&settings),
        in_flight.clone(),
        observers.sink(),
    );
    let app = pingora::proxy::http_proxy(&server.configuration, edge.clone());
    let acceptor = Acceptor::new(app, edge, Arc::clone(&settings), observers.sink());
    let connected = acceptor.connected();
    tls.metrics.count_handshakes(acceptor.handshakes());
    let clear = holdings.copies(&config.listen)?.into_iter();
    let clear = clear.map(|(_, listener)| (Scheme::HTTP, listener));
    let secure = holdings.copies(config.tls_listen())?.into_iter();
    let secure = secure.map(|(_, listener)| (Scheme::HTTPS, listener));
    let workers = workers::start(config.server.threads).map_err(|error| system(&error))?;
    server.add_service(Entrance {
        acceptor: Arc::new(acceptor),
        workers: workers.handle().clone(),
        listeners: clear.chain(secure).collect(),
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
        certificates: certificate_handle,
        supervisor,
        settings,
        observers,
        in_flight,
        connected,
        tasks: Tasks::default(),
        tls,
        holdings,
        doors: doors_sender,
        accepting,
        sockets: [admin_socket, upgrade_socket],
    };
    let kept = KeeperParts {
        keeper,
        predecessor,
        knocking,
        background,
        orders,
        leaving: leaving_sender,
    };
    let keeping = KeeperService(Mutex::new(Some(kept)));
    server.add_service(background_service("keeper", keeping));

    let signals = Signals::listen().map_err(|error| system(&error))?;
    server.run(RunArgs {
        shutdown_signal: Box::new(signals),
    });
    exit(0);
}

fn print_what_runs(config: &Config, text: &Text) {
    log::info!("tidegate {} with {}", env!("CARGO_PKG_VERSION"), text.name);
    for address in &config.listen {
        log::info!("listening on http://{address}");
    }
    for address in config.tls_listen() {
        log::info!("listening on https://{address}");
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
