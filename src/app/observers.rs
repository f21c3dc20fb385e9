//! Observers of the running process: the log, the history of the admin API, and plugins.

use super::tls::metrics::TlsMetrics;
use crate::admin;
use crate::config::{Config, Plugged};
use crate::control::Sink;
use crate::plugin::Observer;
use crate::service::event::Event;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// Receivers of events, and the plugins whose metrics are shown.
#[derive(Clone, Default)]
pub struct Observers {
    /// Swapped by a reload.
    plugged: Arc<ArcSwap<Vec<Arc<Plugged>>>>,
    /// Outlives reloads.
    pub history: admin::History,
}

impl Observers {
    pub fn replace(&self, config: &Config) {
        self.plugged
            .store(Arc::new(config.plugged().cloned().collect()));
    }

    pub fn all(&self) -> Vec<Arc<dyn Observer>> {
        let plugged = self.plugged.load();
        plugged
            .iter()
            .flat_map(|plugged| plugged.observers.clone())
            .collect()
    }

    pub fn sink(&self) -> Sink {
        let observers = self.clone();
        Arc::new(move |event: &Event| observers.emit(event))
    }

    pub fn emit(&self, event: &Event) {
        log::log!(event.level(), "{event}");
        self.history.note(event);
        for plugged in self.plugged.load().iter() {
            for observer in &plugged.observers {
                observer.event(event);
            }
        }
    }

    /// Metrics of all plugins, and of TLS.
    pub fn metrics(&self, tls: TlsMetrics) -> admin::Metrics {
        let observers = self.clone();
        Arc::new(move || {
            let plugged = observers.plugged.load();
            let registries = plugged.iter().flat_map(|plugged| &plugged.metrics);
            let of_plugins = registries.flat_map(prometheus::Registry::gather);
            admin::metrics::merge(of_plugins.chain(tls.gather()))
        })
    }
}
