//! Certificates of another program, written as if Tidegate had ordered them.

use super::foreign::{Foreign, Unreadable};
use crate::acme::folder::parse;
use crate::acme::store::{NameState, Store};
use crate::acme::wanted::{Authority, Wanted};
use crate::certs::settings::Ca;
use crate::certs::{CertName, CertificateSource, Held};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

/// Certificates taken over, and those that were not, each with its reason.
#[derive(Debug, Default)]
pub struct Import {
    pub taken: Vec<TakenOver>,
    pub left: Vec<NotTaken>,
}

/// A certificate that is held for a name from now on.
#[derive(Debug)]
pub struct TakenOver {
    pub name: CertName,
    pub held: Arc<Held>,
    pub place: String,
}

#[derive(Debug)]
pub struct NotTaken {
    /// Names that go without; none where the certificate cannot be read.
    pub names: Vec<CertName>,
    pub place: String,
    pub why: String,
    /// Whether a certificate for the name is held already.
    pub is_held: bool,
}

/// A certificate that was read.
struct Read {
    place: String,
    pem: String,
    held: Arc<Held>,
    ca: Option<Ca>,
}

/// Keeps each certificate for all wanted names that it covers. The store has a folder for each name,
/// so one with several names is written several times.
pub fn take_over(
    store: &Store,
    wanted: &Wanted,
    found: Vec<Result<Foreign, Unreadable>>,
    now: SystemTime,
) -> Import {
    let mut import = Import::default();
    let mut read = Vec::new();
    for entry in found {
        match entry.and_then(|foreign| open(foreign, wanted, now)) {
            Ok(one) => read.push(one),
            Err(Unreadable { place, why }) => import.leave(place, Vec::new(), why),
        }
    }
    // Of several for a name, the one that is valid longest comes first and stays.
    read.sort_by_key(|one| std::cmp::Reverse(one.held.not_after));
    for one in read {
        match targets(wanted, &one.held) {
            Ok(names) => names
                .into_iter()
                .for_each(|name| keep(store, name, &one, &mut import)),
            Err(why) => import.leave(one.place, one.held.names.clone(), why),
        }
    }
    import
}

impl Import {
    /// Whether every certificate is of no use here.
    pub fn is_in_vain(&self) -> bool {
        self.taken.is_empty() && !self.left.iter().any(|left| left.is_held)
    }

    fn leave(&mut self, place: String, names: Vec<CertName>, why: String) {
        self.left.push(NotTaken {
            names,
            place,
            why,
            is_held: false,
        });
    }
}

/// Reads a certificate, and refuses one that no client would accept.
fn open(foreign: Foreign, wanted: &Wanted, now: SystemTime) -> Result<Read, Unreadable> {
    let ca = foreign.issued_by.ca(&wanted.settings);
    let is_caddys_own = foreign.issued_by.is_caddys_own();
    let Foreign {
        place, chain, key, ..
    } = foreign;
    let refuse = |why: String| Unreadable {
        place: place.clone(),
        why,
    };
    // The key first, so that it is the one that is read.
    let text = [key, b"\n".to_vec(), chain, b"\n".to_vec()].concat();
    let pem = String::from_utf8(text).map_err(|_| refuse("not a text".to_owned()))?;
    let label = ca.as_ref().map(|ca| ca.label().to_owned());
    let source = CertificateSource::Acme {
        ca: label.unwrap_or_default(),
    };
    let held = parse(&pem, source).map_err(refuse)?;
    if let Some(why) = held.warning(now) {
        return Err(refuse(why));
    }
    if is_caddys_own {
        let why = "Caddy's own authority made it, which browsers do not trust";
        return Err(refuse(why.to_owned()));
    }
    let staging = Ca::LetsEncryptStaging;
    let is_staging = ca.as_ref() == Some(&staging) || held.issuer.starts_with("(STAGING)");
    if is_staging && !wanted.settings.ca.contains(&staging) {
        let why = "Let's Encrypt's staging issued it, which nobody trusts";
        return Err(refuse(why.to_owned()));
    }
    Ok(Read {
        place,
        pem,
        held,
        ca,
    })
}

/// Wanted names that a certificate covers, or the reason why there are none.
fn targets(wanted: &Wanted, held: &Held) -> Result<BTreeSet<CertName>, String> {
    let names = wanted.names();
    let covered = names.iter().filter(|(name, _)| held.covers(name));
    let (public, private): (Vec<_>, Vec<_>) =
        covered.partition(|(_, authority)| **authority == Authority::Acme);
    let on_demand = held.names.iter().filter(|name| wanted.may_ask_for(name));
    let public = public.into_iter().map(|(name, _)| name).chain(on_demand);
    let public: BTreeSet<CertName> = public.cloned().collect();
    if !public.is_empty() {
        return Ok(public);
    }
    Err(match private.is_empty() {
        true => "no route and no `tls.hosts` needs it".to_owned(),
        false => "Tidegate's own authority certifies it".to_owned(),
    })
}

/// Writes a certificate for one name, unless one is held that is valid as long.
fn keep(store: &Store, name: CertName, one: &Read, import: &mut Import) {
    let there = |pem: &str| {
        let held = parse(pem, one.held.source.clone())?;
        match held.covers(&name) {
            true => Ok(held),
            false => Err(format!("the certificate is not for {name}")),
        }
    };
    let failed = |error: std::io::Error| format!("the state folder cannot be used: {error}");
    match store.held(&name, there) {
        Ok(Some(kept)) if kept.value.not_after >= one.held.not_after => {
            let why = match kept.value.fingerprint == one.held.fingerprint {
                true => "is held already".to_owned(),
                false => format!(
                    "one that is valid until {} is held",
                    humantime::format_rfc3339_seconds(kept.value.not_after)
                ),
            };
            import.left.push(NotTaken {
                names: vec![name],
                place: one.place.clone(),
                why,
                is_held: true,
            });
            return;
        }
        Ok(_) => {}
        Err(error) => return import.leave(one.place.clone(), vec![name], failed(error)),
    }
    // Failures of the past would delay the renewal, and an order under way is for nothing.
    let state = NameState {
        ca: one.ca.as_ref().map(|ca| ca.label().to_owned()),
        ..NameState::default()
    };
    let written = store.keep(&name, &one.pem);
    match written.and_then(|_| store.note_state(&name, &state)) {
        Ok(()) => {
            store.forget_pending(&name);
            import.taken.push(TakenOver {
                name,
                held: Arc::clone(&one.held),
                place: one.place.clone(),
            });
        }
        Err(error) => import.leave(one.place.clone(), vec![name], failed(error)),
    }
}
