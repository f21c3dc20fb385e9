//! The file as a whole: the keys at the top.

use super::addresses::loops;
use super::admin::admin;
use super::instance::{DEFAULT_INSTANCE, instance, state_dir};
use super::limits::limits;
use super::plugins::Installer;
use super::proxies::proxies;
use super::services::{services, services_of, stray_services};
use super::timeouts::timeouts;
use super::tls::{tls, tls_listen};
use super::value::{addresses, count, is_extension, size};
use super::{claims, ports};
use crate::config::checked::Config;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::server::Server;
use crate::config::shape::{Shape, what};
use crate::config::variables::VariableSources;
use crate::plugin::Registry;
use crate::service::store::Reader;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::available_parallelism;

const LISTEN: &str = "0.0.0.0:80";
const HEADER_BYTES: u64 = 64 << 10;
const HEADER_BYTES_MIN: u64 = 1 << 10;
const HEADER_BYTES_MAX: u64 = 1 << 20;
const CONCURRENT_STARTS: u32 = 4;
const CONCURRENT_STARTS_MAX: u32 = 100;
const THREADS_MAX: u32 = 1024;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileKeys {
    /// Listed for hints and the schema; the files are gathered before.
    #[expect(dead_code)]
    pub include: Option<Value>,
    pub listen: Option<Value>,
    pub tls: Option<Mapping>,
    /// A mapping, or `off`.
    pub admin: Option<Value>,
    pub instance: Option<Scalar>,
    pub state_dir: Option<Scalar>,
    pub threads: Option<Scalar>,
    pub timeouts: Option<Mapping>,
    pub max_header_size: Option<Scalar>,
    pub limits: Option<Mapping>,
    pub trusted_proxies: Option<Vec<Value>>,
    pub proxy_protocol: Option<Vec<Value>>,
    pub max_concurrent_starts: Option<Scalar>,
    pub services: Option<Value>,
    pub plugins: Option<Vec<Value>>,
}

impl Shape for FileKeys {
    fn elsewhere(key: &str) -> Option<&'static str> {
        match key {
            "image" | "addresses" | "routes" | "scale" | "healthcheck" => {
                Some("move it under `services`, as in `services: { web: { … } }`")
            }
            "version" | "name" => Some("leave it out: this is not a Compose file"),
            "volumes" | "networks" => {
                Some("leave it out here, and name it under the service that uses it")
            }
            _ => None,
        }
    }
}

/// Checks the whole file; `None` after a problem.
pub fn file(
    at: &At<'_>,
    mut value: Value,
    sources: &VariableSources,
    registry: &Registry,
    reader: Reader,
    previous: Option<&Config>,
) -> Option<Config> {
    let mut strays = false;
    if let Value::Mapping(keys) = &mut value {
        keys.retain(|key, _| !is_extension(key));
        strays = stray_services(at, keys);
    }
    let mut keys: FileKeys = at.shape(value);
    let installer = Installer {
        registry,
        reader,
        previous,
        background: RefCell::default(),
    };
    let listen = listen(&at.key("listen"), keys.listen.take());
    let in_tls = at.key("tls");
    let secure = tls_listen(&in_tls, keys.tls.as_ref());
    let both: Vec<SocketAddr> = listen.iter().chain(&secure).copied().collect();
    if let Some(twice) = secure.iter().find(|address| listen.contains(address)) {
        in_tls.key("listen").error_hint(
            format!("`{twice}` is listed under `listen` as well"),
            "a port speaks either https or plain http",
        );
    }
    let admin = admin(&at.key("admin"), keys.admin.take());
    let (admin, admin_hosts) = admin.unzip();
    if let Some(Some(admin)) = admin
        && both.contains(&admin)
        && admin.port() != 0
    {
        let list = match listen.contains(&admin) {
            true => "listen",
            false => "tls.listen",
        };
        at.key("admin")
            .error(format!("`{admin}` is listed under `{list}` as well"));
    }
    let instance = at.read(
        "instance",
        keys.instance.as_ref(),
        DEFAULT_INSTANCE.into(),
        instance,
    );
    let state_dir = state_dir(at, keys.state_dir.as_ref(), sources.env());
    let server = server(at, &mut keys, &both);
    let plugins = installer.global(&at.key("plugins"), keys.plugins);
    let in_services = at.key("services");
    let (mut services, mut outlines) = match keys.services {
        // Services in a wrong place were reported already. Overrides put an empty mapping here.
        Some(Value::Mapping(none)) if strays && none.is_empty() => (None, Vec::new()),
        typed => {
            let typed = services_of(&in_services, typed);
            typed.map_or((None, Vec::new()), |typed| {
                services(&in_services, typed, sources, &installer)
            })
        }
    };
    claims::conflicts(&in_services, &outlines);
    let tls = match keys.tls {
        None => Some(None),
        Some(typed) => tls(&in_tls, typed, secure, &outlines).map(Some),
    };
    let ours: Vec<SocketAddr> = both.into_iter().chain(admin.flatten()).collect();
    ports::choose(&mut outlines, &ours, previous);
    for (service, outline) in services.iter_mut().flatten().zip(&outlines) {
        if let Some(first) = outline.ports.and_then(|ports| ports.first) {
            let spec = Arc::make_mut(&mut service.spec);
            spec.set_first_port(first);
        }
    }
    ports::conflicts(&in_services, &outlines, &ours);
    loops(&in_services, services.as_deref().unwrap_or_default(), &ours);
    Some(Config {
        listen,
        tls: tls?,
        admin: admin?,
        admin_hosts: admin_hosts?,
        instance: instance?,
        state_dir: state_dir?,
        server: server?,
        services: services?,
        plugins,
        background: installer.background.into_inner(),
        variables: Vec::new(),
    })
}

fn listen(at: &At<'_>, typed: Option<Value>) -> Vec<SocketAddr> {
    let typed = match typed {
        None => vec![LISTEN.into()],
        Some(Value::Sequence(typed)) => typed,
        Some(other) => {
            let shown = match &other {
                Value::String(text) => text.trim_start_matches(':').to_owned(),
                Value::Number(number) => number.to_string(),
                _ => String::new(),
            };
            let meant = match (shown.parse::<u16>(), shown.parse::<SocketAddr>()) {
                (Ok(port), _) => format!("0.0.0.0:{port}"),
                (_, Ok(address)) => address.to_string(),
                _ => LISTEN.to_owned(),
            };
            at.error_hint(
                format!("expected a list, found {}", what(&other)),
                format!("write `listen: [\"{meant}\"]`"),
            );
            return Vec::new();
        }
    };
    if typed.is_empty() {
        at.error_hint(
            "is empty",
            format!("write at least one, as in `[\"{LISTEN}\"]`"),
        );
    }
    addresses(at, &typed, |_, _| ())
}

/// The settings of the proxy itself.
fn server(at: &At<'_>, keys: &mut FileKeys, listen: &[SocketAddr]) -> Option<Server> {
    let cores = available_parallelism().map_or(1, |cores| cores.get() as u32);
    let threads = keys.threads.as_ref();
    let threads = at.read("threads", threads, cores, count(1..=THREADS_MAX));
    let timeouts = timeouts(&at.key("timeouts"), keys.timeouts.take());
    let header = at.read(
        "max_header_size",
        keys.max_header_size.as_ref(),
        HEADER_BYTES,
        size(HEADER_BYTES_MIN..=HEADER_BYTES_MAX),
    );
    let starts = at.read(
        "max_concurrent_starts",
        keys.max_concurrent_starts.as_ref(),
        CONCURRENT_STARTS,
        count(1..=CONCURRENT_STARTS_MAX),
    );
    let limits = limits(&at.key("limits"), keys.limits.take());
    let trusted = keys.trusted_proxies.take();
    let proxies = proxies(at, trusted, keys.proxy_protocol.take(), listen);
    let timeouts = timeouts?;
    Some(Server {
        threads: threads? as usize,
        header_timeout: timeouts.header,
        keepalive_timeout: timeouts.keepalive,
        client_read_timeout: timeouts.client_read,
        client_write_timeout: timeouts.client_write,
        drain_timeout: timeouts.drain,
        max_header_bytes: header?,
        limits: limits?,
        trusted_proxies: proxies.trusted,
        proxy_protocol: proxies.listeners,
        max_concurrent_starts: starts?,
    })
}
