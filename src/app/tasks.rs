//! Background tasks of plugins.

use crate::config::{Config, Plugged};
use crate::plugin::Background;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// Running tasks, each with the plugin with which it ends.
#[derive(Default)]
pub struct Tasks(Vec<(Arc<Plugged>, AbortHandle)>);

impl Tasks {
    pub fn start(&mut self, background: Vec<(Arc<Plugged>, Background)>) {
        for (plugged, task) in background {
            self.0.push((plugged, tokio::spawn(task).abort_handle()));
        }
    }

    pub fn keep_only(&mut self, config: &Config) {
        self.0.retain(|(owner, task)| {
            let kept = config.plugged().any(|plugged| Arc::ptr_eq(plugged, owner));
            if !kept {
                task.abort();
            }
            kept
        });
    }
}
