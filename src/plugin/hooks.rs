//! Where a plugin puts its parts.

use super::{Filter, Observer, Probe, Scaler};
use crate::service::spec::Upstream;
use crate::service::store::Reader;
use futures_util::future::BoxFuture;
use http::Extensions;
use std::sync::Arc;

/// A task that runs while the server does, dropped when the plugin leaves or the server ends: any
/// await may be its last.
pub type Background = BoxFuture<'static, ()>;

/// The parts of a plugin, collected while it is installed.
pub struct Hooks {
    reader: Reader,
    upstream: Upstream,
    /// The states of the plugin that was in this place before a reload.
    previous: Extensions,
    installed: Installed,
}

/// The parts of one installed plugin.
#[derive(Default)]
pub struct Installed {
    pub filters: Vec<Arc<dyn Filter>>,
    pub observers: Vec<Arc<dyn Observer>>,
    pub probe: Option<Arc<dyn Probe>>,
    pub scaler: Option<Arc<dyn Scaler>>,
    pub background: Vec<Background>,
    pub metrics: Vec<prometheus::Registry>,
    /// Kept for the plugin that is in this place after the next reload.
    pub states: Extensions,
}

impl Hooks {
    pub fn new(reader: Reader) -> Self {
        Hooks {
            reader,
            upstream: Upstream::default(),
            previous: Extensions::new(),
            installed: Installed::default(),
        }
    }

    /// Hands over the states of the plugin that was in this place before.
    pub fn after(mut self, states: Extensions) -> Self {
        self.previous = states;
        self
    }

    /// Says how the replicas are spoken to that a health check is for.
    pub fn of_replicas(mut self, upstream: Upstream) -> Self {
        self.upstream = upstream;
        self
    }

    /// Protocol and TLS of the connections to replicas, for a health check.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub fn filter(&mut self, filter: impl Filter + 'static) {
        self.installed.filters.push(Arc::new(filter));
    }

    pub fn observer(&mut self, observer: impl Observer + 'static) {
        self.installed.observers.push(Arc::new(observer));
    }

    /// Offers a health check, for `healthcheck: { type: NAME }`.
    pub fn probe(&mut self, probe: impl Probe + 'static) {
        self.installed.probe = Some(Arc::new(probe));
    }

    /// Offers a scaling policy, for `scale: { policy: NAME }`.
    pub fn scaler(&mut self, scaler: impl Scaler + 'static) {
        self.installed.scaler = Some(Arc::new(scaler));
    }

    /// Runs `task` while the server runs.
    pub fn background(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.installed.background.push(Box::pin(task));
    }

    /// Shows the metrics of `registry` at `/metrics`.
    pub fn metrics(&mut self, registry: prometheus::Registry) {
        self.installed.metrics.push(registry);
    }

    /// A state that outlives changes of the plugin's keys: the one that it had before a reload, or
    /// a new one. One of each type is kept.
    pub fn state<T: Send + Sync + 'static>(&mut self, make: impl FnOnce() -> T) -> Arc<T> {
        let kept = self.previous.get::<Arc<T>>().cloned();
        let state = kept.unwrap_or_else(|| Arc::new(make()));
        self.installed.states.insert(Arc::clone(&state));
        state
    }

    /// The picture of all services, for plugins that look at it.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    pub fn finish(self) -> Installed {
        self.installed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::store::store;

    #[test]
    fn a_state_goes_on_after_a_reload_by_its_type() {
        let mut hooks = Hooks::new(store().1);
        let first = hooks.state(|| 1_u32);
        let states = hooks.finish().states;
        let mut hooks = Hooks::new(store().1).after(states);
        assert!(Arc::ptr_eq(&hooks.state(|| 2_u32), &first));
        assert_eq!(*hooks.state(|| 3_u64), 3);
        let mut hooks = Hooks::new(store().1).after(hooks.finish().states);
        assert!(Arc::ptr_eq(&hooks.state(|| 4_u32), &first));
    }
}
