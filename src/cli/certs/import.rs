//! `tidegate certs import`: certificates of other programs, written to the state folder.

use crate::acme::{
    Foreign, NotTaken, Store, TakenOver, Unreadable, Wanted, read_source, take_over,
};
use crate::app;
use crate::certs::CertName;
use crate::cli::arguments::Running;
use crate::cli::output::{FAILED, complain, fail, print, print_json, refuse};
use crate::cli::table::{coarse, write_table};
use crate::config::{self, Env, Flags, Overrides};
use crate::plugin::Registry;
use crate::service::store;
use crate::service::time::Utc;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

const STOP: &str = "stop it, import, and start it again: the certificates are served from the \
                    start on";

#[derive(Args)]
pub struct Import {
    /// Traefik's `acme.json`, Caddy's data folder, or certbot's `/etc/letsencrypt`
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<PathBuf>,
}

/// The result as JSON.
#[derive(Serialize)]
struct ImportJson {
    taken: Vec<TakenJson>,
    left: Vec<LeftJson>,
}

#[derive(Serialize)]
struct TakenJson {
    name: String,
    issuer: String,
    not_after: String,
    from: String,
}

#[derive(Serialize)]
struct LeftJson {
    /// None where the certificate cannot be read.
    names: Vec<String>,
    because: String,
    /// Whether a certificate for the names is held already.
    held: bool,
    from: String,
}

impl Import {
    pub fn run(self, running: &Running, registry: &Registry) -> ExitCode {
        let wanted = match wanted(running, registry) {
            Ok(wanted) => wanted,
            Err(code) => return code,
        };
        let folder = match running.state_dir() {
            Ok(folder) => folder,
            Err(code) => return code,
        };
        // Sources are read first: only root may read some of them, and root does not stay.
        let found = self.found();
        if found.is_empty() {
            return ExitCode::from(FAILED);
        }
        let lock = match app::open_state_dir(&folder, STOP) {
            Ok(lock) => lock,
            Err(error) => return fail(FAILED, error),
        };
        let now = SystemTime::now();
        let import = take_over(&Store::new(&folder), &wanted, found, now);
        drop(lock);
        let printed = match running.output.json {
            true => print_json(&ImportJson {
                taken: import.taken.iter().map(taken_json).collect(),
                left: import.left.iter().map(left_json).collect(),
            }),
            false => print(text(&import.taken, &import.left, now)),
        };
        match import.is_in_vain() {
            true => ExitCode::from(FAILED),
            false => printed,
        }
    }

    /// Certificates of all sources; one that cannot be read is said.
    fn found(&self) -> Vec<Result<Foreign, Unreadable>> {
        let mut found = Vec::new();
        for source in &self.sources {
            match read_source(source) {
                Ok(more) => found.extend(more),
                Err(why) => complain(format_args!("tidegate: {why}")),
            }
        }
        found
    }
}

/// Names that the configuration wants certificates for.
fn wanted(running: &Running, registry: &Registry) -> Result<Wanted, ExitCode> {
    let text = running.file.find()?;
    let (_writer, reader) = store::store();
    let overrides = Overrides::new(Flags::default(), Env::process());
    let config = config::load(&text, &overrides, registry, reader, None);
    let wanted = app::wanted_of(&config.map_err(|problems| refuse(&problems))?);
    match wanted.names().is_empty() && wanted.settings.on_demand.is_none() {
        false => Ok(wanted),
        true => Err(fail(
            FAILED,
            format_args!(
                "{} wants no certificates\n  hint: add `tls: {{ email: you@example.com }}`, and \
                 routes with hosts",
                text.name
            ),
        )),
    }
}

fn text(taken: &[TakenOver], left: &[NotTaken], now: SystemTime) -> String {
    let mut out = String::new();
    if taken.is_empty() {
        out.push_str("no certificate was taken over\n");
    } else {
        let head = ["NAME", "ISSUER", "ENDS IN", "TAKEN FROM"];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(taken.iter().map(|one| {
            let left = one.held.not_after.duration_since(now).unwrap_or_default();
            [
                one.name.to_string(),
                one.held.issuer.clone(),
                coarse(left.as_secs_f64()),
                one.place.clone(),
            ]
        }));
        write_table(&mut out, &rows);
    }
    if !left.is_empty() {
        out.push_str("\nnot taken:\n");
    }
    for one in left {
        let names = spelled(&one.names).join(", ");
        let _ = match names.as_str() {
            "" => writeln!(out, "  {}: {}", one.place, one.why),
            names => writeln!(out, "  {names}: {} ({})", one.why, one.place),
        };
    }
    out
}

fn spelled(names: &[CertName]) -> Vec<String> {
    names.iter().map(CertName::to_string).collect()
}

fn taken_json(one: &TakenOver) -> TakenJson {
    TakenJson {
        name: one.name.to_string(),
        issuer: one.held.issuer.clone(),
        not_after: Utc(one.held.not_after).to_string(),
        from: one.place.clone(),
    }
}

fn left_json(one: &NotTaken) -> LeftJson {
    LeftJson {
        names: spelled(&one.names),
        because: one.why.clone(),
        held: one.is_held,
        from: one.place.clone(),
    }
}
