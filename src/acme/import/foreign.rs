//! A certificate of another program, as it is found.

use crate::certs::settings::{AcmeSettings, Ca};
use std::io::Read;
use std::path::Path;

/// Files of the other programs are some kilobytes; `acme.json` has all certificates in one.
const SIZE_MAX: u64 = 64 << 20;

/// A certificate with its key, not looked into yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Foreign {
    /// File, and place in it.
    pub place: String,
    /// PEM.
    pub chain: Vec<u8>,
    /// PEM.
    pub key: Vec<u8>,
    pub issued_by: IssuedBy,
}

/// A certificate that cannot be read, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub place: String,
    pub why: String,
}

/// The authority, as far as the other program notes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuedBy {
    /// A URL at the authority.
    Url(String),
    /// Caddy's folder for the authority.
    Folder(String),
    Unknown,
}

impl IssuedBy {
    /// The authority, where the configuration or this program has a name for it.
    pub fn ca(&self, settings: &AcmeSettings) -> Option<Ca> {
        let mut known = settings.ca.iter().chain(&Ca::NAMED);
        let is_it = |ca: &&Ca| match (self, ca.directory()) {
            (IssuedBy::Url(url), Some(directory)) => {
                host(url).is_some_and(|found| Some(found) == host(directory))
            }
            (IssuedBy::Folder(folder), Some(directory)) => *folder == caddy_folder(directory),
            (IssuedBy::Unknown, _) | (_, None) => false,
        };
        known.find(is_it).cloned()
    }

    /// Whether the certificate comes from an authority of Caddy's own, which browsers distrust.
    pub fn is_caddys_own(&self) -> bool {
        matches!(self, IssuedBy::Folder(folder) if folder == "local")
    }
}

/// Host and port of a URL.
fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://")?;
    rest.split('/').next()
}

/// Name of Caddy's folder for a directory: the URL without its scheme, with `-` for `/` and `:`.
fn caddy_folder(directory: &str) -> String {
    let bare = directory.trim_start_matches("https://").to_lowercase();
    bare.replace(['/', ':'], "-")
}

/// Reads a file, and says which one cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let explain = |error: std::io::Error| {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => "; be root, as with `sudo`",
            std::io::ErrorKind::NotFound if path.is_symlink() => {
                "; a link leads there, so copy the folder that it leads into as well"
            }
            _ => "",
        };
        format!("cannot read {shown}: {error}{hint}")
    };
    let file = std::fs::File::open(path).map_err(explain)?;
    let mut content = Vec::new();
    let read = file.take(SIZE_MAX + 1).read_to_end(&mut content);
    read.map_err(explain)?;
    match content.len() as u64 > SIZE_MAX {
        true => Err(format!("{shown} is too large to hold certificates")),
        false => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::testing::settings;

    #[test]
    fn an_authority_is_known_by_any_of_its_urls_and_by_caddys_folder() {
        let url = |url: &str| IssuedBy::Url(url.to_owned());
        let folder = |folder: &str| IssuedBy::Folder(folder.to_owned());
        let mut settings = settings();
        let own = Ca::Directory("https://ca.example.net:9000/acme/directory".to_owned());
        settings.ca.push(own.clone());
        for (issued_by, expected) in [
            (
                url("https://acme-v02.api.letsencrypt.org/acme/acct/1"),
                Some(Ca::LetsEncrypt),
            ),
            (
                url("https://acme-staging-v02.api.letsencrypt.org/directory"),
                Some(Ca::LetsEncryptStaging),
            ),
            (url("https://ca.example.net:9000/x"), Some(own.clone())),
            (url("https://ca.example.net/x"), None),
            (url("nonsense"), None),
            (
                folder("acme-v02.api.letsencrypt.org-directory"),
                Some(Ca::LetsEncrypt),
            ),
            (folder("acme.zerossl.com-v2-dv90"), Some(Ca::ZeroSsl)),
            (folder("ca.example.net-9000-acme-directory"), Some(own)),
            (folder("local"), None),
            (IssuedBy::Unknown, None),
        ] {
            assert_eq!(issued_by.ca(&settings), expected, "{issued_by:?}");
        }
    }
}
