//! The folder, and the names of what is in it.

use super::file;
use crate::acme::brakes::Brakes;
use crate::certs::CertName;
use std::io;
use std::path::{Path, PathBuf};

/// The folder `STATE/tls`. Cheap to clone; only the process that controls the containers writes.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    pub fn new(state_dir: &Path) -> Store {
        Store {
            root: state_dir.join("tls"),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Orders of the last day.
    pub fn brakes(&self) -> Brakes {
        let read = file::read_json(&self.root.join("orders.json"));
        read.unwrap_or_else(|error| {
            log::warn!("the orders of the last day cannot be read: {error}");
            None
        })
        .unwrap_or_default()
    }

    pub fn note_brakes(&self, brakes: &Brakes) -> io::Result<()> {
        file::write_json(&self.root.join("orders.json"), brakes)
    }

    /// Key and root of the local CA, as PEM.
    pub fn local_ca(&self) -> io::Result<Option<String>> {
        let text = file::read(&self.local_ca_path())?;
        Ok(text.and_then(|text| String::from_utf8(text).ok()))
    }

    pub fn keep_local_ca(&self, pem: &str) -> io::Result<()> {
        file::write(&self.local_ca_path(), pem.as_bytes())
    }

    pub fn set_local_ca_aside(&self, why: &str) {
        file::set_aside(&self.local_ca_path(), why);
    }

    fn local_ca_path(&self) -> PathBuf {
        self.root.join("local-ca.pem")
    }

    /// Folder of one name's certificates.
    pub(super) fn of_name(&self, name: &CertName) -> PathBuf {
        self.root.join("held").join(name.file_name())
    }
}
