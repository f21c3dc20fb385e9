//! The order under way, so that a crash or an upgrade in its middle loses neither order nor key.

use super::file;
use super::folder::Store;
use crate::certs::CertName;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// An order that was placed and has no certificate yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub ca: String,
    /// `None`: about to be placed.
    pub url: Option<String>,
    /// Private key that is being certified, as PEM.
    pub key: String,
    /// Kind of the challenge that was answered.
    pub kind: String,
    /// In seconds since 1970.
    pub since: u64,
}

impl Store {
    pub fn pending(&self, name: &CertName) -> Option<Pending> {
        let read = file::read_json(&self.order_path(name));
        read.unwrap_or_else(|error| {
            log::warn!("the order of {name} that was under way cannot be read: {error}");
            None
        })
    }

    pub fn note_pending(&self, name: &CertName, pending: &Pending) -> io::Result<()> {
        file::write_json(&self.order_path(name), pending)
    }

    pub fn forget_pending(&self, name: &CertName) {
        if let Err(error) = file::remove(&self.order_path(name)) {
            log::warn!("the order of {name} cannot be forgotten: {error}");
        }
    }

    fn order_path(&self, name: &CertName) -> PathBuf {
        self.of_name(name).join("order.json")
    }
}
