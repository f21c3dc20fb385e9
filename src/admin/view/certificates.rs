//! Certificates: those that are served, and those that are still to come.

use crate::certs::{CertificateSource, Certificates, Held, NameReport, Reports};
use crate::service::time::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// Every certificate.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Certificates")]
pub struct CertificatesJson {
    /// The user's own files first, then names in the order of the alphabet.
    pub certificates: Vec<CertificateJson>,
}

/// A certificate, or a name that has none yet.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Certificate")]
pub struct CertificateJson {
    /// Names that it is valid for, the one of the entry first.
    pub names: Vec<String>,
    /// `held`, `expired` or `missing`.
    pub state: String,
    /// `file`, `acme` or `local`.
    pub source: String,
    /// Path of a file, or the authority.
    pub origin: String,
    /// Name of the issuer, as the certificate has it.
    pub issuer: Option<String>,
    pub serial: Option<String>,
    pub not_before: Option<String>,
    pub not_after: Option<String>,
    /// Seconds until the end; negative after it.
    pub expires_in: Option<i64>,
    /// An order is under way.
    pub ordering: bool,
    /// Clients asked for the name, and no route names it.
    pub on_demand: bool,
    /// Time of the next order.
    pub next_try: Option<String>,
    /// Reason of the next order.
    pub because: Option<String>,
    /// Failure of the last order, until one succeeds.
    pub last_error: Option<String>,
}

/// All certificates, at `now`.
pub fn certificates(table: &Certificates, reports: &Reports, now: SystemTime) -> CertificatesJson {
    let table = table.load();
    let files = table.all().filter_map(|held| match &held.source {
        CertificateSource::File(path) => Some(of_file(held, &path.display().to_string(), now)),
        _ => None,
    });
    let reports = reports.load();
    let ordered = reports.iter().map(|report| of_report(report, now));
    CertificatesJson {
        certificates: files.chain(ordered).collect(),
    }
}

fn of_file(held: &Held, path: &str, now: SystemTime) -> CertificateJson {
    let mut json = empty("file", path.to_owned());
    describe(&mut json, held, now);
    json
}

fn of_report(report: &NameReport, now: SystemTime) -> CertificateJson {
    let is_local = report.ca == "local";
    let mut json = empty(if is_local { "local" } else { "acme" }, report.ca.clone());
    json.names = vec![report.name.to_string()];
    if let Some(held) = &report.held {
        if let CertificateSource::Acme { ca } = &held.source
            && !ca.is_empty()
        {
            json.origin.clone_from(ca);
        }
        describe(&mut json, held, now);
        // A certificate taken over may serve several names, each with an entry of its own.
        let name = report.name.to_string();
        json.names.retain(|other| *other != name);
        json.names.insert(0, name);
    }
    json.ordering = report.is_ordering;
    json.on_demand = report.is_on_demand;
    json.next_try = report.next_try.map(|at| Utc(at).to_string());
    json.because = Some(report.because.clone());
    json.last_error.clone_from(&report.last_error);
    json
}

fn empty(source: &str, origin: String) -> CertificateJson {
    CertificateJson {
        names: Vec::new(),
        state: "missing".to_owned(),
        source: source.to_owned(),
        origin,
        issuer: None,
        serial: None,
        not_before: None,
        not_after: None,
        expires_in: None,
        ordering: false,
        on_demand: false,
        next_try: None,
        because: None,
        last_error: None,
    }
}

fn describe(json: &mut CertificateJson, held: &Held, now: SystemTime) {
    json.names = held.names.iter().map(ToString::to_string).collect();
    let is_expired = held.is_expired(now);
    json.state = if is_expired { "expired" } else { "held" }.to_owned();
    json.issuer = Some(held.issuer.clone());
    json.serial = Some(held.serial.clone());
    json.not_before = Some(Utc(held.not_before).to_string());
    json.not_after = Some(Utc(held.not_after).to_string());
    json.expires_in = Some(match held.not_after.duration_since(now) {
        Ok(left) => left.as_secs() as i64,
        Err(past) => -(past.duration().as_secs() as i64),
    });
}
