//! The user's own certificates: files that are read as the configuration is.

use super::value::{ValueError, text};
use crate::certs::held::{CertificateSource, Held};
use crate::certs::settings::CertificateFiles;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use serde::Deserialize;
use serde_yaml::Value;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CERTIFICATES_MAX: usize = 10_000;
/// Ten times a chain with its key.
const FILE_BYTES_MAX: u64 = 256 << 10;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateKeys {
    pub cert: Option<Scalar>,
    pub key: Option<Scalar>,
}

impl Shape for CertificateKeys {
    fn elsewhere(key: &str) -> Option<&'static str> {
        matches!(key, "chain" | "ca").then_some("the chain follows the certificate in `cert`")
    }
}

/// The certificates that can be read, with their files.
pub fn certificates(at: &At<'_>, typed: Option<Vec<Value>>) -> Vec<(CertificateFiles, Arc<Held>)> {
    let typed = typed.unwrap_or_default();
    if typed.len() > CERTIFICATES_MAX {
        at.error(format!("more than {CERTIFICATES_MAX} certificates"));
        return Vec::new();
    }
    let one = |(index, value)| certificate(&at.index(index), value);
    typed.into_iter().enumerate().filter_map(one).collect()
}

fn certificate(at: &At<'_>, value: Value) -> Option<(CertificateFiles, Arc<Held>)> {
    let keys: CertificateKeys = at.shape(value);
    let cert = at.file("cert", keys.cert.as_ref());
    if keys.cert.is_none() {
        at.error_hint(
            "names no file",
            "as in `{ cert: a.pem, key: a.key }`; without `key`, the key is in the same file",
        );
    }
    let key = match &keys.key {
        None => cert.clone(),
        typed => at.file("key", typed.as_ref()),
    };
    let ((cert, chain), (key, secret)) = (cert?, key?);
    let source = CertificateSource::File(cert.clone());
    match Held::from_pem(&chain, &secret, source) {
        Ok(held) => Some((CertificateFiles { cert, key }, Arc::new(held))),
        Err(error) => {
            let (place, path) = match error.is_about_key() && keys.key.is_some() {
                true => ("key", &key),
                false => ("cert", &cert),
            };
            let at = at.key(place);
            at.error_hint(format!("`{}`: {error}", path.display()), error.hint());
            None
        }
    }
}

/// Reads a certificate again; the error says which file is wrong, and how.
pub fn read_certificate(files: &CertificateFiles) -> Result<Held, String> {
    let [chain, key] = [&files.cert, &files.key].map(|path| read(path));
    let chain = chain.map_err(|error| error.message)?;
    let key = key.map_err(|error| error.message)?;
    let source = CertificateSource::File(files.cert.clone());
    Held::from_pem(&chain, &key, source).map_err(|error| {
        let path = match error.is_about_key() {
            true => &files.key,
            false => &files.cert,
        };
        format!("`{}`: {error}", path.display())
    })
}

impl At<'_> {
    /// Path at `key`, and the content of its file; a relative one is looked for beside the
    /// configuration. `None` after a problem, and where nothing is typed.
    pub(super) fn file(&self, key: &str, typed: Option<&Scalar>) -> Option<(PathBuf, Vec<u8>)> {
        let at = self.key(key);
        let path = at.accept(text(typed?))?;
        let path = self.folder().join(path);
        let content = at.accept(read(&path))?;
        Some((path, content))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ValueError> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| {
        let message = format!("cannot open `{shown}`: {error}");
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => ValueError::hint(
                message,
                "the user that runs Tidegate must be able to read it",
            ),
            _ => ValueError::new(message),
        }
    })?;
    let mut content = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content);
    read.map_err(|error| ValueError::new(format!("cannot read `{shown}`: {error}")))?;
    match content.len() as u64 > FILE_BYTES_MAX {
        true => Err(ValueError::new(format!("`{shown}` is larger than 256 KiB"))),
        false => Ok(content),
    }
}
