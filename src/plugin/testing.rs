//! Helpers for the tests of plugins, built-in ones and others.

pub use super::hooks::Installed;
use super::{
    Changes, Exchange, Filter, Hooks, InstallError, Origin, Plugin, Record, Registry, Response,
};
pub use crate::service::replica::lease::Lease;
use crate::service::spec::ServiceName;
use crate::service::store::Reader;
pub use crate::service::store::store;
use http::Method;
use pingora::http::{RequestHeader, ResponseHeader};
use std::time::Duration;

/// Installs `P` with the keys in `yaml`, as `tidegate check` does; the error is the user's.
pub fn install<P: Plugin>(yaml: &str) -> Result<Installed, String> {
    install_with::<P>(yaml, store().1)
}

/// As [`install`], for a plugin that looks at the snapshot.
pub fn install_with<P: Plugin>(yaml: &str, reader: Reader) -> Result<Installed, String> {
    let mut hooks = Hooks::new(reader);
    let values = serde_yaml::from_str(yaml).map_err(|error| error.to_string())?;
    let registry = Registry::new().with::<P>();
    match registry.install(P::NAME, values, &mut hooks) {
        Ok(()) => Ok(hooks.finish()),
        Err(InstallError::Unknown) => unreachable!("it was just added"),
        Err(InstallError::Values { path, message }) => Err(format!("{path}: {message}")),
        Err(InstallError::Plugin(error)) => Err(error.to_string()),
    }
}

/// A request that has just come in.
pub fn exchange() -> Exchange {
    Exchange::default()
}

/// A request that was sent on to the service "shop".
pub fn routed() -> Exchange {
    Exchange {
        service: Some(ServiceName::new("shop")),
        ..exchange()
    }
}

/// Runs the answer to a GET of `/` through `filter`; returns its head as it goes down.
pub fn answered(
    filter: &dyn Filter,
    exchange: &mut Exchange,
    mut head: ResponseHeader,
) -> ResponseHeader {
    let request = RequestHeader::build(Method::GET, b"/", None).expect("it is a head");
    let mut changes = Changes::default();
    let (origin, changes) = (Origin::Replica, &mut changes);
    filter.response(&mut Response::new(
        &mut head, &request, exchange, origin, changes,
    ));
    head
}

/// The metrics of a plugin, as `/metrics` shows them.
pub fn metrics(installed: &Installed) -> String {
    let families: Vec<_> = installed.metrics.iter().flat_map(|m| m.gather()).collect();
    let text = prometheus::TextEncoder::new().encode_to_string(&families);
    text.expect("a registry holds only valid metrics")
}

/// A GET of `/` that was answered with 200 in 5 ms.
pub fn record<'a>(exchange: &'a Exchange) -> Record<'a> {
    Record {
        exchange,
        method: &Method::GET,
        target: "/",
        host: Some("shop.example"),
        status: 200,
        slot: Some(8000),
        duration: Duration::from_millis(5),
        held: Duration::ZERO,
        retries: 0,
        request_body_bytes: 0,
        response_body_bytes: 2,
        error: None,
    }
}
