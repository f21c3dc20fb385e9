//! Accounts at CAs, each with its key.

use super::file;
use super::folder::Store;
use instant_acme::AccountCredentials;
use std::io;
use std::path::PathBuf;

impl Store {
    /// `ca`: the CA's name as a file name.
    pub fn account(&self, ca: &str) -> io::Result<Option<AccountCredentials>> {
        file::read_json(&self.account_path(ca))
    }

    pub fn keep_account(&self, ca: &str, account: &AccountCredentials) -> io::Result<()> {
        file::write_json(&self.account_path(ca), account)
    }

    /// Sets an account aside that the CA does not know any more.
    pub fn drop_account(&self, ca: &str, why: &str) {
        file::set_aside(&self.account_path(ca), why);
    }

    fn account_path(&self, ca: &str) -> PathBuf {
        self.root().join("accounts").join(format!("{ca}.json"))
    }
}
