//! The keeper and its folder: certificates loaded, and written where that failed before.

use super::entry::{Entry, LOCAL_AGAIN};
use super::keeper::Keeper;
use super::store::Store;
use super::wanted::Authority;
use crate::certs::{CertName, CertificateSource, Held};
use std::sync::Arc;
use std::time::SystemTime;

/// Loads state and certificate of a name, where the folder has newer ones.
pub fn load(store: &Store, name: &CertName, entry: &mut Entry) {
    if entry.authority == Authority::Local {
        return;
    }
    entry.state = store.state(name);
    let ca = entry.state.ca.clone().unwrap_or_default();
    let parse = |pem: &str| {
        let source = CertificateSource::Acme { ca: ca.clone() };
        let held = parse(pem, source)?;
        match held.covers(name) {
            true => Ok((held, pem.to_owned())),
            false => Err(format!("the certificate is not for {name}")),
        }
    };
    match store.held(name, parse) {
        Ok(Some(kept)) => {
            let (held, pem) = kept.value;
            entry.held = Some(held);
            entry.saved = Some(pem).filter(|_| entry.on_demand.is_none());
        }
        Ok(None) => {}
        Err(error) => log::error!("certificates of {name} cannot be read: {error}"),
    }
}

/// Reads key and chain from one text.
pub fn parse(pem: &str, source: CertificateSource) -> Result<Arc<Held>, String> {
    let held = Held::from_pem(pem.as_bytes(), pem.as_bytes(), source);
    held.map(Arc::new).map_err(|error| error.to_string())
}

impl Keeper {
    /// Loads every name again.
    pub(super) fn load_all(&mut self) {
        for (name, entry) in &mut self.names {
            load(&self.store, name, entry);
        }
    }

    /// Writes certificates that could not be written when they came, or that got lost since.
    pub(super) fn save(&mut self, now: SystemTime) {
        self.notice_losses(now);
        for (name, entry) in &mut self.names {
            let Some(pem) = &entry.unsaved else { continue };
            if entry.braked.as_ref().is_some_and(|(until, _)| *until > now) {
                continue;
            }
            match self.store.keep(name, pem) {
                Ok(_) => {
                    log::info!("{name}: the certificate is in the state folder now");
                    entry.unsaved = None;
                    entry.braked = None;
                    entry.state.attempts.why = None;
                    note(&self.store, name, entry);
                }
                Err(error) => unwritten(entry, &error, now),
            }
        }
    }
}

impl Keeper {
    /// Somebody may have removed the folder: what is in memory is written again.
    fn notice_losses(&mut self, now: SystemTime) {
        if self
            .looked_for_losses
            .is_some_and(|last| now < last + LOCAL_AGAIN && last <= now)
        {
            return;
        }
        self.looked_for_losses = Some(now);
        for (name, entry) in &mut self.names {
            if entry.unsaved.is_none() && entry.saved.is_some() && self.store.is_empty(name) {
                log::warn!(
                    "{name}: the certificate is gone from the state folder; writing it again"
                );
                entry.unsaved.clone_from(&entry.saved);
                note(&self.store, name, entry);
            }
        }
    }
}

/// Notes that the certificate is served and could not be written.
pub fn unwritten(entry: &mut Entry, error: &std::io::Error, now: SystemTime) {
    let why = format!(
        "the new certificate is served and cannot be written to the state folder: {error}; a restart \
         would order again"
    );
    entry.state.attempts.why = Some(why.clone());
    entry.braked = Some((now + LOCAL_AGAIN, why));
}

/// Writes the state of a name; a failure costs a restart some knowledge and nothing else.
pub fn note(store: &Store, name: &CertName, entry: &Entry) {
    if let Err(error) = store.note_state(name, &entry.state) {
        log::warn!("the state of {name} cannot be written: {error}");
    }
}
