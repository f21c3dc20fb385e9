//! From the file's shape to what the program may rely on.
//!
//! Nothing here stops at a problem: it is reported, and the rest is checked as well.

mod balance;
mod concurrency;
mod container;
mod failover;
mod front;
mod plugins;
mod ports;
mod route;
mod secrets;
mod service;
mod sleep;
mod update;
mod value;

pub use container::image_name;

pub use value::name_from;

use super::error::At;
use super::raw::{self, Scalar};
use super::shape::what;
use super::source::Env;
use super::{Config, Server, Service};
use crate::plugin::Registry;
use crate::service::spec::ServiceName;
use crate::service::store::Reader;
use plugins::Installer;
use serde_yaml::{Mapping, Value};
use service::{Checked, Outline};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;
use value::{Fault, address, count, duration, size, text};

const LISTEN: &str = "0.0.0.0:80";
const ADMIN: &str = "127.0.0.1:9180";
/// Whose containers they are, unless the file says otherwise.
pub const DEFAULT_INSTANCE: &str = "default";
const HEADER_BYTES: u64 = 64 << 10;
const HEADER_BYTES_MIN: u64 = 1 << 10;
const HEADER_BYTES_MAX: u64 = 1 << 20;
const CONCURRENT_STARTS: u32 = 4;
const CONCURRENT_STARTS_MAX: u32 = 100;
const THREADS_MAX: u32 = 1024;
const SERVICES_MAX: usize = 1000;

/// `None` when there was a problem; every one is reported.
pub fn check(
    at: &At<'_>,
    value: Value,
    env: &Env,
    registry: &Registry,
    reader: Reader,
    previous: Option<&Config>,
) -> Option<Config> {
    let has_services = value.get("services").is_some_and(|value| !value.is_null());
    let raw: raw::File = at.shape(value);
    let installer = Installer {
        registry,
        reader,
        previous,
        background: RefCell::default(),
    };
    let listen = listen(&at.key("listen"), raw.listen);
    let admin = admin(&at.key("admin"), raw.admin);
    let (admin, admin_hosts) = admin.unzip();
    if let Some(Some(admin)) = admin
        && listen.contains(&admin)
        && admin.port() != 0
    {
        at.key("admin")
            .error(format!("`{admin}` is listed under `listen` as well"));
    }
    let instance = at.read(
        "instance",
        raw.instance.as_ref(),
        DEFAULT_INSTANCE.into(),
        instance,
    );
    let state_dir = state_dir_of(at, raw.state_dir.as_ref(), env);
    let timeouts: raw::Timeouts = at
        .key("timeouts")
        .shape(Value::Mapping(raw.timeouts.unwrap_or_default()));
    let server = server(
        at,
        &timeouts,
        raw.threads.as_ref(),
        raw.max_header_size.as_ref(),
        raw.max_concurrent_starts.as_ref(),
        front::front(
            at,
            raw.limits,
            raw.trusted_proxies,
            raw.proxy_protocol,
            &listen,
        ),
    );
    let plugins = installer.global(&at.key("plugins"), raw.plugins);
    let in_services = at.key("services");
    let (services, outlines) = match raw.services {
        // What stands there is no mapping, and reported already.
        None if has_services => (None, Vec::new()),
        typed => services(&in_services, typed.unwrap_or_default(), env, &installer),
    };
    route::conflicts(&in_services, &outlines);
    let ours: Vec<SocketAddr> = listen.iter().copied().chain(admin.flatten()).collect();
    ports::conflicts(&in_services, &outlines, &ours);
    front::loops(&in_services, services.as_deref().unwrap_or_default(), &ours);
    Some(Config {
        listen,
        admin: admin?,
        admin_hosts: admin_hosts?,
        instance: instance?,
        state_dir: state_dir?,
        server: server?,
        services: services?,
        plugins,
        background: installer.background.into_inner(),
    })
}

fn listen(at: &At<'_>, typed: Option<Vec<Value>>) -> Vec<SocketAddr> {
    let typed = typed.unwrap_or_else(|| vec![LISTEN.into()]);
    if typed.is_empty() {
        at.error_hint(
            "is empty",
            format!("write at least one, as in `[\"{LISTEN}\"]`"),
        );
    }
    service::addresses(at, &typed, |_, _| ())
}

/// The outer `None` is a problem, the inner one is "off". With the names that it may be asked by.
fn admin(at: &At<'_>, typed: Option<Value>) -> Option<(Option<SocketAddr>, Vec<String>)> {
    let default = || Some(Scalar::Text(ADMIN.to_owned()));
    let off = Some((None, Vec::new()));
    let mut typed_hosts = Vec::new();
    let listen = match typed {
        None => default(),
        Some(Value::String(text)) if text == "off" => return off,
        Some(Value::Bool(false)) => return off,
        Some(value @ Value::Mapping(_)) => {
            let admin = at.shape::<raw::Admin>(value);
            typed_hosts = admin.hosts.unwrap_or_default();
            admin.listen.or_else(default)
        }
        Some(other) => {
            at.error_hint(
                format!("expected a mapping, found {}", what(&other)),
                format!("write `{{ listen: \"{ADMIN}\" }}` or `off`"),
            );
            return None;
        }
    };
    if matches!(&listen, Some(Scalar::Text(text)) if text == "off") {
        return off;
    }
    let in_hosts = at.key("hosts");
    let hosts: Vec<Option<String>> = typed_hosts
        .iter()
        .enumerate()
        .map(|(index, host)| in_hosts.index(index).accept(route::host_of(host)))
        .collect();
    let listen = at.optional("listen", listen.as_ref(), address)?;
    Some((Some(listen), hosts.into_iter().collect::<Option<_>>()?))
}

fn instance(typed: &Scalar) -> Result<String, Fault> {
    let instance = text(typed)?;
    value::name(&instance, "an instance")?;
    Ok(instance)
}

fn state_dir_of(at: &At<'_>, typed: Option<&Scalar>, env: &Env) -> Option<PathBuf> {
    let Some(default) = default_state_dir(is_root(), env) else {
        if typed.is_none() {
            at.key("state_dir").error_hint(
                "there is no folder to keep it in: neither `XDG_RUNTIME_DIR` nor `HOME` is set",
                "write one, as in `state_dir: /var/lib/tidegate`",
            );
        }
        return at.optional("state_dir", typed, absolute);
    };
    at.read("state_dir", typed, default, absolute)
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

pub fn default_state_dir(is_root: bool, env: &Env) -> Option<PathBuf> {
    if is_root {
        return Some(PathBuf::from("/var/lib/tidegate"));
    }
    let below = |name: &str, rest: &str| Some(PathBuf::from(env.get(name)?).join(rest));
    below("XDG_RUNTIME_DIR", "tidegate").or_else(|| below("HOME", ".local/state/tidegate"))
}

fn absolute(typed: &Scalar) -> Result<PathBuf, Fault> {
    let path = PathBuf::from(text(typed)?);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Fault::hint(
        format!("expected an absolute path, found `{typed}`"),
        "begin with a slash",
    ))
}

fn server(
    at: &At<'_>,
    timeouts: &raw::Timeouts,
    threads: Option<&Scalar>,
    max_header_size: Option<&Scalar>,
    max_concurrent_starts: Option<&Scalar>,
    front: Option<front::Front>,
) -> Option<Server> {
    let cores = available_parallelism().map_or(1, |cores| cores.get() as u32);
    let threads = at.read("threads", threads, cores, count(1..=THREADS_MAX));
    let in_timeouts = at.key("timeouts");
    let timeout = |key, typed: &Option<Scalar>| {
        in_timeouts.read(key, typed.as_ref(), Duration::from_secs(60), duration)
    };
    let header_timeout = in_timeouts.read(
        "header",
        timeouts.header.as_ref(),
        front::HEADER_TIMEOUT,
        duration,
    );
    let keepalive = timeout("keepalive", &timeouts.keepalive);
    let client_read = timeout("client_read", &timeouts.client_read);
    let client_write = timeout("client_write", &timeouts.client_write);
    let drain = timeout("drain", &timeouts.drain);
    let header = size(HEADER_BYTES_MIN..=HEADER_BYTES_MAX);
    let header = at.read("max_header_size", max_header_size, HEADER_BYTES, header);
    let starts = at.read(
        "max_concurrent_starts",
        max_concurrent_starts,
        CONCURRENT_STARTS,
        count(1..=CONCURRENT_STARTS_MAX),
    );
    let front = front?;
    Some(Server {
        threads: threads? as usize,
        header_timeout: header_timeout?,
        keepalive_timeout: keepalive?,
        client_read_timeout: client_read?,
        client_write_timeout: client_write?,
        drain_timeout: drain?,
        max_header_bytes: header?,
        limits: front.limits,
        trusted_proxies: front.trusted_proxies,
        proxy_protocol: front.proxy_protocol,
        max_concurrent_starts: starts?,
    })
}

fn services(
    at: &At<'_>,
    typed: Mapping,
    env: &Env,
    installer: &Installer<'_>,
) -> (Option<Vec<Service>>, Vec<Outline>) {
    if typed.is_empty() {
        at.error_hint(
            "there is no service to run",
            "write one, as in `services: { web: { image: web } }`, \
             or type `tidegate run --image IMAGE --port 80`",
        );
    }
    if typed.len() > SERVICES_MAX {
        at.error(format!("more than {SERVICES_MAX} services"));
        return (None, Vec::new());
    }
    let checked = typed.into_iter().map(|(name, value)| {
        let name = ServiceName::new(name.as_str().unwrap_or_default());
        let at = at.key(name.as_str());
        let value = match value {
            Value::Mapping(mapping) => mapping,
            // `web:` with nothing behind it is a service that lacks everything.
            Value::Null => Mapping::new(),
            other => {
                at.error_hint(
                    format!("expected a mapping, found {}", what(&other)),
                    "as in `web: { image: web }`",
                );
                return (None, Outline::unknown(name));
            }
        };
        let value = Value::Mapping(value);
        let Checked { service, outline } = service::service(&at, &name, value, env, installer);
        (service, outline)
    });
    let (services, outlines): (Vec<_>, Vec<_>) = checked.unzip();
    (services.into_iter().collect(), outlines)
}
