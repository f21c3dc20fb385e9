//! Names that clients ask for: the gate, the question to `ask`, and then an order as for any other.

use super::ask::ask;
use super::entry::Entry;
use super::folder::load;
use super::gate::Shut;
use super::keeper::Keeper;
use super::tasks::Task;
use crate::certs::{CertName, OnDemandName};
use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;
use tokio::time::Instant;

/// Certificates on demand in memory; those that were asked for first leave it, and stay on disk.
const ON_DEMAND_MAX: usize = 10_000;
/// A name that nobody can have, so an `ask` that allows it allows all.
const NOBODYS: &str = "tidegate-asks-for-a-name-that-nobody-has.invalid";

impl Keeper {
    pub(super) fn question(&mut self, question: OnDemandName) {
        let name = &question.name;
        if let Some(entry) = self.names.get(name) {
            let comes = entry.is_awaited(SystemTime::now()) || entry.held.is_some();
            let _ = question.answer.send(comes);
            return;
        }
        if !self.wanted.may_ask_for(name) {
            return;
        }
        // One on disk is shown by whichever process is asked, while only one of them orders.
        let mut entry = Entry::new(self.wanted.authority(name));
        load(&self.store, name, &mut entry);
        if entry.held.is_some() {
            self.add(name.clone(), entry);
            let _ = question.answer.send(true);
            return;
        }
        if !self.is_in_control {
            return;
        }
        match self.gate.pass(name, question.client, Instant::now()) {
            Ok(()) => self.ask(question),
            Err(Shut::Refused) => {}
            Err(shut) => log::debug!("no question for {name} of {}: {shut:?}", question.client),
        }
    }

    fn ask(&mut self, question: OnDemandName) {
        let Some((http, url)) = self.way_to_ask() else {
            return;
        };
        // One question a name at a time: further hellos have the answer of the gate.
        self.tasks.spawn(question.name.clone(), async move {
            let answer = ask(&http, &url, &question.name, question.client).await;
            Task::Asked { question, answer }
        });
    }

    pub(super) fn asked(
        &mut self,
        question: OnDemandName,
        answer: Result<bool, String>,
        now: SystemTime,
    ) {
        let name = question.name;
        match answer {
            Ok(true) => {
                self.warned.is_failing = false;
                if !self.names.contains_key(&name) {
                    log::info!("{name}: wanted by {}, and allowed", question.client);
                    let mut entry = Entry::new(self.wanted.authority(&name));
                    load(&self.store, &name, &mut entry);
                    self.add(name.clone(), entry);
                    // Published before the answer, so that the hello finds it awaited.
                    self.look_and_publish(now);
                }
                let _ = question.answer.send(true);
            }
            Ok(false) => {
                self.warned.is_failing = false;
                self.gate.refuse(name, Instant::now());
            }
            Err(why) => {
                if !self.warned.is_failing {
                    log::warn!("no certificates on demand: {why}");
                }
                self.warned.is_failing = true;
            }
        }
    }

    fn add(&mut self, name: CertName, mut entry: Entry) {
        self.on_demand_count += 1;
        entry.on_demand = Some(self.on_demand_count);
        let on_demand = self
            .names
            .iter()
            .filter(|(_, entry)| entry.on_demand.is_some());
        if on_demand.clone().count() >= ON_DEMAND_MAX {
            let oldest = on_demand.min_by_key(|(_, entry)| entry.on_demand);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.names.remove(&oldest);
            }
        }
        self.names.insert(name, entry);
    }

    /// Asks once for a name that nobody has.
    pub(super) fn try_ask(&mut self) {
        let Some((http, url)) = self.way_to_ask() else {
            return;
        };
        if self.warned.tried.as_ref() == Some(&url) {
            return;
        }
        self.warned.tried = Some(url.clone());
        let Ok(name) = NOBODYS.parse::<CertName>() else {
            return;
        };
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.tasks.spawn(name.clone(), async move {
            Task::Tried(ask(&http, &url, &name, client).await)
        });
    }

    pub(super) fn tried(&mut self, answer: Result<bool, String>) {
        match answer {
            Ok(true) => log::warn!(
                "`tls.on_demand.ask` allows `{NOBODYS}`: it seems to allow every name, so strangers can \
                 have certificates ordered until the CA locks you out; let it answer 2xx for your names \
                 only"
            ),
            Ok(false) => {}
            Err(why) => log::warn!("no certificates on demand yet: {why}"),
        }
    }

    fn way_to_ask(&self) -> Option<(super::http::Http, String)> {
        let on_demand = self.wanted.settings.on_demand.as_ref()?;
        let orderer = self.orderer.as_ref().ok()?;
        Some((orderer.http.with_own_notes(), on_demand.ask.clone()))
    }
}
