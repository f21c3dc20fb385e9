//! Where a plugin puts its parts.

use super::{Filter, Observer, Probe, Scaler};
use crate::service::store::Reader;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// A task that runs inside the server's life. It is dropped when the plugin leaves or the server
/// ends, so it may be cut at any await.
pub type Background = BoxFuture<'static, ()>;

/// Collects what a plugin is made of while it is installed.
pub struct Hooks {
    reader: Reader,
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
}

impl Hooks {
    pub fn new(reader: Reader) -> Self {
        Hooks {
            reader,
            installed: Installed::default(),
        }
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

    /// Runs `task` inside the server's life.
    pub fn background(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.installed.background.push(Box::pin(task));
    }

    /// Shows the metrics of `registry` at `/metrics`.
    pub fn metrics(&mut self, registry: prometheus::Registry) {
        self.installed.metrics.push(registry);
    }

    /// The picture of all services, for plugins that look at it.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    pub fn finish(self) -> Installed {
        self.installed
    }
}
