//! A reload: the configuration is read again, and the parts made from it are swapped.

use super::certificates::wanted_of;
use super::keeper::Keeper;
use super::parts::{managed_of, settings_of};
use crate::config::{self, Diff, Env};
use crate::control::{ImageNote, Images};
use crate::service::event::Event;
use std::sync::Arc;

impl Keeper {
    /// A bad file changes nothing and says why; a good one is swapped in whole.
    pub async fn reload(&mut self, images: Images) -> Result<String, String> {
        self.supervisor.reloading();
        let result = self.try_reload(images).await;
        self.supervisor.reloaded(result.is_ok());
        self.observers.emit(&Event::Reloaded {
            result: result.clone(),
        });
        result
    }

    async fn try_reload(&mut self, images: Images) -> Result<String, String> {
        let text = config::find(self.options.file.clone(), &Env::process())
            .map_err(|problems| problems.to_string())?;
        let mut new = config::load(
            &text,
            &self.options.overrides,
            &self.registry,
            self.reader.clone(),
            Some(&self.config),
        )
        .map_err(|problems| problems.to_string())?;
        if new.has_containers() {
            let locked = self.holdings.lock_instance();
            locked.map_err(|error| error.to_string())?;
        }
        let changed = config::diff(&self.config, &new);
        new.keep_what_needs_a_restart(&self.config);
        let policies = self.tls.policies(&new)?;
        let background = std::mem::take(&mut new.background);
        // Routes first: a service that left is drained only when no route leads to it any more.
        self.settings.store(Arc::new(settings_of(&new, policies)));
        self.tls.use_files(&new);
        self.certificates.want(wanted_of(&new));
        self.observers.replace(&new);
        self.tasks.keep_only(&new);
        self.tasks.start(background);
        let notes = self.handle.reconfigure(managed_of(&new), images).await;
        self.config = new;
        Ok(described(&notes, &changed))
    }
}

/// Description of what a reload changed, images first.
fn described(notes: &[ImageNote], changed: &Diff) -> String {
    let mut parts: Vec<String> = notes.iter().map(ImageNote::to_string).collect();
    if parts.is_empty() || !changed.is_empty() {
        parts.push(changed.to_string());
    }
    parts.join("; ")
}
