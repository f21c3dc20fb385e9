//! The user's own certificates: files that are read again when they change.
//!
//! A pair whose halves do not match is a pair that is being copied: the old one is served until
//! both are there.

use crate::certs::settings::CertificateFiles;
use crate::certs::{CertificateWriter, Held};
use crate::config::{TlsConfig, read_certificate};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Interval at which the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The files, and the writer of their part of the table.
#[derive(Clone)]
pub struct OwnFiles(Arc<Mutex<Served>>);

struct Served {
    writer: CertificateWriter,
    pairs: Vec<Pair>,
}

struct Pair {
    files: CertificateFiles,
    held: Arc<Held>,
    /// State in which the files were read last; `None`: not known, so they are read again.
    read_at: Option<[Stamp; 2]>,
}

/// Time of change, size and inode; `None`: no file.
type Stamp = Option<(SystemTime, u64, u64)>;

impl OwnFiles {
    pub fn new(writer: CertificateWriter) -> OwnFiles {
        let pairs = Vec::new();
        OwnFiles(Arc::new(Mutex::new(Served { writer, pairs })))
    }

    /// Serves these certificates and no others.
    pub fn replace(&self, tls: Option<&TlsConfig>) {
        let pairs = tls.into_iter().flat_map(|tls| {
            let files = tls.settings.certificates.iter().cloned();
            let pairs = files.zip(tls.held.iter().map(Arc::clone));
            pairs.map(|(files, held)| Pair {
                files,
                held,
                read_at: None,
            })
        });
        let pairs: Vec<Pair> = pairs.collect();
        let now = SystemTime::now();
        for held in pairs.iter().map(|pair| &pair.held) {
            warn(held, now);
        }
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        served.pairs = pairs;
        served.publish();
    }

    /// Reads files that have changed, for as long as the process runs.
    pub async fn watch(self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let files = self.clone();
            // Disks may be slow, and there may be thousands of files.
            if let Err(error) = tokio::task::spawn_blocking(move || files.look()).await {
                log::error!("cannot look at the files of certificates: {error}");
            }
        }
    }

    fn look(&self) {
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut has_changed = false;
        for pair in &mut served.pairs {
            has_changed |= pair.look();
        }
        if has_changed {
            served.publish();
        }
    }
}

impl Served {
    fn publish(&mut self) {
        let held = self.pairs.iter().map(|pair| Arc::clone(&pair.held));
        self.writer.publish(held.collect());
    }
}

impl Pair {
    /// Reads the pair if a file has changed; returns whether the certificate is another one.
    fn look(&mut self) -> bool {
        let stamps = [stamp(&self.files.cert), stamp(&self.files.key)];
        if self.read_at == Some(stamps) {
            return false;
        }
        self.read_at = Some(stamps);
        match read_certificate(&self.files) {
            Ok(held) if held.fingerprint == self.held.fingerprint => false,
            Ok(held) => {
                let until = humantime::format_rfc3339_seconds(held.not_after);
                log::info!("new certificate for {}, until {until}", names(&held));
                warn(&held, SystemTime::now());
                self.held = Arc::new(held);
                true
            }
            Err(why) => {
                let names = names(&self.held);
                log::warn!("the certificate for {names} stays in use: {why}");
                false
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

fn names(held: &Held) -> String {
    let names: Vec<String> = held.names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn warn(held: &Held, now: SystemTime) {
    if let Some(warning) = held.warning(now) {
        log::warn!("{warning}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::{CertName, Certificates, certificates};
    use rcgen::{CertificateParams, KeyPair};
    use tempfile::TempDir;

    /// A folder with a certificate for `a.test`.
    struct Folder(TempDir);

    impl Folder {
        fn files(&self) -> CertificateFiles {
            CertificateFiles {
                cert: self.0.path().join("a.pem"),
                key: self.0.path().join("a.key"),
            }
        }

        /// PEM of another certificate, and of its key.
        fn pair() -> (String, String) {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(["a.test".to_owned()]).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            (certificate.pem(), key.serialize_pem())
        }

        fn write(&self, (certificate, key): &(String, String)) {
            fs::write(self.files().cert, certificate).unwrap();
            fs::write(self.files().key, key).unwrap();
        }
    }

    fn watched() -> (Folder, OwnFiles, Certificates) {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write(&Folder::pair());
        let (writer, _orders, reader) = certificates();
        let own = OwnFiles::new(writer);
        let pair = Pair {
            held: Arc::new(read_certificate(&folder.files()).unwrap()),
            files: folder.files(),
            read_at: None,
        };
        own.0.lock().unwrap().pairs.push(pair);
        own.0.lock().unwrap().publish();
        (folder, own, reader)
    }

    fn served(reader: &Certificates) -> [u8; 32] {
        let name: CertName = "a.test".parse().unwrap();
        reader.load().find(&name).unwrap().fingerprint
    }

    #[test]
    fn a_pair_is_replaced_once_both_halves_are_there() {
        let (folder, own, reader) = watched();
        let first = served(&reader);
        own.look();
        assert_eq!(served(&reader), first);
        let (certificate, key) = Folder::pair();
        fs::write(folder.files().cert, certificate).unwrap();
        own.look();
        assert_eq!(served(&reader), first, "the key is still the old one");
        fs::write(folder.files().key, key).unwrap();
        own.look();
        assert_ne!(served(&reader), first);
    }

    #[test]
    fn a_pair_that_is_gone_or_damaged_stays_in_use() {
        let (folder, own, reader) = watched();
        let first = served(&reader);
        fs::remove_file(folder.files().key).unwrap();
        own.look();
        assert_eq!(served(&reader), first);
        fs::write(folder.files().key, "nonsense").unwrap();
        own.look();
        assert_eq!(served(&reader), first);
        folder.write(&Folder::pair());
        own.look();
        assert_ne!(served(&reader), first);
    }
}
