//! Orders of the keeper: begun when due, and what comes of them.

use super::advice::{self, Advice};
use super::attempt::Attempt;
use super::attempts::{FAILURES_PER_CA, Turn};
use super::dns::Resolver;
use super::entry::{Entry, LOCAL_AGAIN};
use super::failure::Failure;
use super::folder::{load, note, parse, unwritten};
use super::http::Http;
use super::keeper::Keeper;
use super::local::LocalCa;
use super::order::Orderer;
use super::proof::Prover;
use super::tasks::Task;
use super::wanted::Authority;
use crate::certs::settings::Ca;
use crate::certs::{CertName, CertificateSource};
use crate::service::event::Event;
use std::sync::Arc;
use std::time::SystemTime;

impl Keeper {
    /// Adopts the configuration: names that are new are loaded, names that left are let go.
    pub(super) fn configure(&mut self) {
        let wanted = self.wanted.names();
        let has_orders = wanted
            .values()
            .any(|authority| *authority == Authority::Acme);
        // The roots of the system are read for those that need them only.
        self.orderer = match has_orders || self.wanted.settings.on_demand.is_some() {
            true => self.new_orderer(),
            false => Err("no name has its certificate from a CA".to_owned()),
        };
        self.ports = self.wanted.settings.challenge_ports;
        self.names.retain(|name, entry| match entry.on_demand {
            Some(_) => self.wanted.may_ask_for(name) && !wanted.contains_key(name),
            None => wanted.get(name) == Some(&entry.authority),
        });
        for (name, authority) in wanted {
            self.names.entry(name).or_insert_with_key(|name| {
                let mut entry = Entry::new(authority);
                load(&self.store, name, &mut entry);
                entry
            });
        }
        self.try_ask();
    }

    fn new_orderer(&self) -> Result<Orderer, String> {
        let settings = Arc::clone(&self.wanted.settings);
        let http = Http::new(settings.ca_root.as_deref()).map_err(|error| error.to_string())?;
        Ok(Orderer {
            store: self.store.clone(),
            http,
            prover: Prover {
                answers: self.answers(),
                resolver: Resolver {
                    servers: settings.resolvers.clone(),
                },
            },
            settings,
        })
    }

    /// Issues what the local CA is due to issue.
    pub(super) fn issue_locally(&mut self, now: SystemTime) {
        // Listed among the CAs, the local one helps out once the others have failed.
        let settings = &self.wanted.settings;
        let failures = match settings.ca.contains(&Ca::Local) {
            true => FAILURES_PER_CA * authorities(&settings.ca).len() as u32,
            false => u32::MAX,
        };
        let due = self.names.iter().filter(|(name, entry)| {
            let own = entry.authority == Authority::Local && entry.is_due(name, now);
            own || entry.wants_stopgap(failures, now)
        });
        let due: Vec<CertName> = due.map(|(name, _)| name.clone()).collect();
        for name in due {
            let issued = self.local_ca(now).and_then(|ca| ca.issue(&name, now));
            let Some(entry) = self.names.get_mut(&name) else {
                continue;
            };
            match issued {
                Ok(held) => {
                    entry.held = Some(held);
                    if entry.authority == Authority::Local {
                        entry.braked = None;
                        entry.state.attempts.why = None;
                    }
                }
                Err(why) => {
                    log::error!("{name}: {why}");
                    entry.state.attempts.why = Some(why.clone());
                    entry.braked = Some((now + LOCAL_AGAIN, why));
                }
            }
        }
    }

    fn local_ca(&mut self, now: SystemTime) -> Result<&LocalCa, String> {
        if self.local.as_ref().is_none_or(|ca| ca.ends_soon(now)) {
            self.local = Some(LocalCa::open(&self.store, now)?);
        }
        self.local
            .as_ref()
            .ok_or_else(|| "there is no local CA".to_owned())
    }

    /// Places the orders that are due, as far as the brakes allow.
    pub(super) fn order(&mut self, now: SystemTime) {
        let is_due = |(name, entry): &(&CertName, &Entry)| {
            entry.authority == Authority::Acme && entry.is_due(name, now)
        };
        let due = self.names.iter().filter(is_due);
        let due: Vec<CertName> = due.map(|(name, _)| name.clone()).collect();
        for name in due {
            if !self.tasks.have_room() {
                return;
            }
            self.order_one(name, now);
        }
    }

    fn order_one(&mut self, name: CertName, now: SystemTime) {
        let count = self.names.len();
        let Some(entry) = self.names.get_mut(&name) else {
            return;
        };
        let orderer = match &self.orderer {
            Ok(orderer) => orderer.clone(),
            Err(why) => {
                entry.state.attempts.why = Some(why.clone());
                entry.braked = Some((now + LOCAL_AGAIN, why.clone()));
                return;
            }
        };
        let cas = authorities(&orderer.settings.ca);
        let staging: Vec<bool> = cas.iter().map(|ca| ca.staging().is_some()).collect();
        let turn = entry.state.attempts.turn(&staging);
        let Some(real) = cas.get(turn.ca).copied() else {
            return;
        };
        let ca = match turn.rehearsal {
            true => real.staging().unwrap_or_else(|| real.clone()),
            false => real.clone(),
        };
        // An order that goes on is none more; a rehearsal is bounded by its own pauses.
        let is_new = !turn.rehearsal && self.store.pending(&name).is_none();
        if is_new {
            if let Err(braked) = self.brakes.order(&name.to_string(), count, now) {
                let why = braked.to_string();
                log::warn!("{name}: no order: {why}");
                entry.braked = Some((braked.until, why));
                return;
            }
            if let Err(error) = self.store.note_brakes(&self.brakes) {
                let why = Failure::disk("the order", &error).why;
                entry.state.attempts.why = Some(why.clone());
                entry.braked = Some((now + LOCAL_AGAIN, why));
                return;
            }
        }
        entry.braked = None;
        entry.is_ordering = true;
        let has_window = entry.state.window.is_some();
        let same_ca = entry.state.ca.as_deref() == Some(ca.label());
        let held = entry.held.as_ref().filter(|_| has_window && same_ca);
        let attempt = Attempt {
            name: name.clone(),
            ca,
            failures: entry.state.attempts.failures,
            replaces: held.and_then(|held| advice::identifier(held)),
        };
        let ports = self.ports;
        let orderer = Orderer {
            http: orderer.http.with_own_notes(),
            ..orderer
        };
        self.tasks.order(
            name,
            turn,
            async move { attempt.run(&orderer, ports).await },
        );
    }

    /// An order has ended.
    pub(super) fn ordered(
        &mut self,
        name: &CertName,
        turn: Turn,
        result: Result<String, Failure>,
        now: SystemTime,
    ) {
        let ca = authorities(&self.wanted.settings.ca)
            .get(turn.ca)
            .map(|ca| ca.label().to_owned())
            .unwrap_or_default();
        let Some(entry) = self.names.get_mut(name) else {
            return;
        };
        entry.is_ordering = false;
        let result = result.and_then(|pem| {
            let source = CertificateSource::Acme { ca: ca.clone() };
            match parse(&pem, source) {
                Ok(held) if held.covers(name) => Ok((pem, held)),
                Ok(_) => Err(Failure::new(format!(
                    "{ca} sent a certificate for another name"
                ))),
                Err(why) => Err(Failure::new(format!(
                    "{ca} sent a certificate that is none: {why}"
                ))),
            }
        });
        match result {
            Ok(_) if turn.rehearsal => {
                log::info!("{name}: the staging of {ca} has issued, so {ca} is asked");
                entry.state.attempts.rehearsed();
            }
            Ok((pem, held)) => {
                let until = held.not_after;
                entry.held = Some(held);
                entry.state = Default::default();
                entry.state.ca = Some(ca.clone());
                match self.store.keep(name, &pem) {
                    Ok(_) => {
                        entry.unsaved = None;
                        entry.saved = Some(pem).filter(|_| entry.on_demand.is_none());
                    }
                    Err(error) => {
                        entry.unsaved = Some(pem);
                        unwritten(entry, &error, now);
                    }
                }
                (self.connections.tell)(&Event::CertificateIssued {
                    name: name.to_string(),
                    ca,
                    until,
                });
            }
            Err(failure) => {
                let attempts = &mut entry.state.attempts;
                attempts.failed(failure.why.clone(), now, failure.not_before);
                let (next_try, _) = entry.due(name, now);
                (self.connections.tell)(&Event::CertificateFailed {
                    name: name.to_string(),
                    why: failure.why,
                    next_try,
                    is_served: entry
                        .held
                        .as_ref()
                        .is_some_and(|held| !held.is_expired(now)),
                });
            }
        }
        note(&self.store, name, entry);
    }

    /// Asks CAs when they want their certificates renewed.
    pub(super) fn take_advice(&mut self, now: SystemTime) {
        let Ok(orderer) = &self.orderer else { return };
        for (name, entry) in &mut self.names {
            if !entry.wants_advice(now) {
                continue;
            }
            let label = entry.state.ca.as_deref();
            let mut cas = orderer.settings.ca.iter();
            let ca = cas.find(|ca| Some(ca.label()) == label).cloned();
            let (Some(ca), Some(held)) = (ca, entry.held.clone()) else {
                continue;
            };
            entry.is_advised = true;
            let (orderer, known) = (orderer.clone(), entry.state.window);
            self.tasks.spawn(name.clone(), async move {
                Task::Advised(advice::ask(&orderer, &ca, &held, known).await)
            });
        }
    }

    pub(super) fn advised(&mut self, name: &CertName, advice: Advice) {
        if let Some(entry) = self.names.get_mut(name) {
            entry.is_advised = false;
            if entry.state.window != advice.window {
                log::debug!("{name}: the CA suggests another time for the renewal");
            }
            entry.state.window = advice.window;
            entry.state.ask_again = Some(advice.ask_again);
            note(&self.store, name, entry);
        }
    }

    /// The authority that a name's next certificate comes from.
    pub(super) fn next_ca(&self, entry: &Entry) -> String {
        if entry.authority == Authority::Local {
            return Ca::Local.label().to_owned();
        }
        let cas = authorities(&self.wanted.settings.ca);
        let turn = entry.state.attempts.turn(&vec![false; cas.len()]);
        let ca = cas.get(turn.ca).map(|ca| ca.label().to_owned());
        ca.unwrap_or_default()
    }
}

/// CAs that take orders.
fn authorities(all: &[Ca]) -> Vec<&Ca> {
    all.iter().filter(|ca| ca.directory().is_some()).collect()
}
