//! Parts of the running process, made from a configuration: at the start and again at a reload.

use super::file_limit::connections;
use crate::config::{Config, Plugged};
use crate::control::Managed;
use crate::proxy::route::{Claim, Route, Routes};
use crate::proxy::tls::TlsPolicies;
use crate::proxy::{Bounds, Chain, Limits, Settings};
use pingora::server::configuration::ServerConf;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Beyond every `timeouts.drain`.
const LEAVE_AT_LAST_SECS: u64 = 2 * 24 * 60 * 60;
/// Connections kept open to replicas, per worker thread.
const UPSTREAM_POOL: usize = 512;

/// Settings of Pingora's server.
pub fn server_conf(config: &Config) -> ServerConf {
    ServerConf {
        threads: config.server.threads,
        // The proxy counts, and waits for time to pass.
        max_retries: usize::MAX,
        // The keeper leaves earlier, as soon as nothing is in flight.
        grace_period_seconds: Some(LEAVE_AT_LAST_SECS),
        graceful_shutdown_timeout_seconds: Some(1),
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        pid_file: config.state_dir.join("pingora.pid").display().to_string(),
        ..ServerConf::default()
    }
}

/// Settings of the proxy, with TLS as `tls` says.
pub fn settings_of(config: &Config, tls: Option<Arc<TlsPolicies>>) -> Settings {
    let chain = |own: &[Arc<Plugged>]| {
        let plugins = || config.plugins.iter().chain(own);
        let filters = plugins().flat_map(|plugged| plugged.filters.iter().cloned());
        let observers = plugins().flat_map(|plugged| plugged.observers.iter().cloned());
        Chain::new(filters.collect(), observers.collect())
    };
    let claims = config.services.iter().flat_map(|service| {
        let route = |keeps_encoded_slashes| {
            Arc::new(Route {
                service: service.spec.name.clone(),
                forward: service.spec.forward.clone(),
                scaler: service.scaler.clone(),
                chain: chain(&service.plugins),
                keeps_encoded_slashes,
            })
        };
        // Claims with the same terms share their route.
        let mut routes = BTreeMap::new();
        let mut lead = |claim, keeps| {
            let route = routes.entry(keeps).or_insert_with(|| route(keeps));
            (claim, Arc::clone(route))
        };
        let specs = service.spec.routes.iter();
        let claims = specs.map(|spec| lead(Claim::from(spec), spec.keeps_encoded_slashes));
        let mut claims: Vec<_> = claims.collect();
        if claims.is_empty() {
            claims.push(lead(Claim::default(), false));
        }
        claims
    });
    let of_limits = &config.server.limits;
    let all = connections(of_limits.connections);
    Settings {
        routes: Routes::new(claims),
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
        tls,
        trusted_proxies: config.server.trusted_proxies.clone(),
    }
}

/// Services for the control loop.
pub fn managed_of(config: &Config) -> Vec<Managed> {
    let services = config.services.iter();
    let managed = services.map(|service| Managed {
        spec: Arc::clone(&service.spec),
        probe: Arc::clone(&service.probe),
        scaler: service.scaler.clone(),
    });
    managed.collect()
}
