//! `tidegate trust`: the root of the local CA, printed or installed on this machine.

use super::arguments::Running;
use super::output::{FAILED, fail, print};
use crate::acme::{Store, root_pem};
use clap::Args;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Folder in which Debian and Ubuntu look for roots of this machine.
const ROOTS: &str = "/usr/local/share/ca-certificates";
const FILE: &str = "tidegate-local-ca.crt";
const UPDATE: &str = "update-ca-certificates";

#[derive(Args)]
pub struct Trust {
    /// Have this machine trust the root, as on Debian and Ubuntu; takes root
    #[arg(long)]
    install: bool,
    #[command(flatten)]
    running: Running,
}

impl Trust {
    pub fn run(self) -> ExitCode {
        let folder = match self.running.state_dir() {
            Ok(folder) => folder,
            Err(code) => return code,
        };
        let shown = folder.display();
        let root = match root_pem(&Store::new(&folder)) {
            Ok(Some(root)) => root,
            Ok(None) => {
                return fail(
                    FAILED,
                    format!(
                        "there is no local CA in {shown} yet\n  hint: it is made for the first \
                         private name with TLS, as in `routes: [{{ host: app.localhost }}]`"
                    ),
                );
            }
            Err(error) => {
                return fail(
                    FAILED,
                    format!(
                        "the local CA in {shown} cannot be read: {error}\n  hint: be the user that \
                         runs Tidegate, as with `sudo`"
                    ),
                );
            }
        };
        if !self.install {
            return print(root);
        }
        match install(&root) {
            Ok(()) => print(format_args!(
                "this machine trusts the local CA of {shown} now\nbrowsers with a store of their own, \
                 as Firefox, take it by hand: import {ROOTS}/{FILE}\n"
            )),
            Err(why) => fail(FAILED, why),
        }
    }
}

fn install(root: &str) -> Result<(), String> {
    let folder = Path::new(ROOTS);
    if !folder.is_dir() {
        return Err(format!(
            "{ROOTS} is not there: this system keeps its roots elsewhere\n  hint: `tidegate trust > \
             {FILE}` writes the root, and the system's manual says where it belongs"
        ));
    }
    let path = folder.join(FILE);
    fs::write(&path, root).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "\n  hint: be root, as with `sudo`",
            _ => "",
        };
        format!("cannot write {}: {error}{hint}", path.display())
    })?;
    let updated = Command::new(UPDATE).output();
    let updated = updated.map_err(|error| {
        format!("cannot run {UPDATE}: {error}\n  hint: install the package ca-certificates")
    })?;
    if !updated.status.success() {
        let why = String::from_utf8_lossy(&updated.stderr);
        return Err(format!("{UPDATE} failed: {}", why.trim()));
    }
    Ok(())
}
