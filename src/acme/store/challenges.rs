//! Answers to challenges as files: during an upgrade a CA's connection may meet either process.

use super::file;
use super::folder::Store;
use std::fs;
use std::io;
use std::path::PathBuf;

/// Answers that are read at most, whatever lies in the folder.
const READ_MAX: usize = 1_000;

/// An answer for a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// HTTP-01: the key authorization, by token.
    Http { token: String, answer: String },
    /// TLS-ALPN-01: certificate and key as PEM, by the name in the hello.
    Alpn { name: String, pem: String },
}

impl Store {
    pub fn post(&self, posted: &Posted) -> io::Result<()> {
        let (path, content) = match posted {
            Posted::Http { token, answer } => (self.challenge("http", token), answer),
            Posted::Alpn { name, pem } => (self.challenge("alpn", name), pem),
        };
        file::write(&path, content.as_bytes())
    }

    pub fn withdraw(&self, posted: &Posted) {
        let path = match posted {
            Posted::Http { token, .. } => self.challenge("http", token),
            Posted::Alpn { name, .. } => self.challenge("alpn", name),
        };
        if let Err(error) = file::remove(&path) {
            log::warn!("{} cannot be removed: {error}", path.display());
        }
    }

    /// Removes every answer: those of orders that nobody goes on with.
    pub fn withdraw_all(&self) {
        for posted in self.posted() {
            self.withdraw(&posted);
        }
    }

    /// All answers in the folder.
    pub fn posted(&self) -> Vec<Posted> {
        let http = self.all("http").into_iter();
        let http = http.map(|(token, answer)| Posted::Http { token, answer });
        let alpn = self.all("alpn").into_iter();
        let alpn = alpn.map(|(name, pem)| Posted::Alpn { name, pem });
        http.chain(alpn).collect()
    }

    fn all(&self, kind: &str) -> Vec<(String, String)> {
        let Ok(entries) = fs::read_dir(self.root().join("challenges").join(kind)) else {
            return Vec::new();
        };
        entries
            .take(READ_MAX)
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                // One that is just being written.
                if name.ends_with(".next") {
                    return None;
                }
                let content = file::read(&entry.path()).ok()??;
                Some((name, String::from_utf8(content).ok()?))
            })
            .collect()
    }

    fn challenge(&self, kind: &str, name: &str) -> PathBuf {
        let folder = self.root().join("challenges").join(kind);
        folder.join(name.replace('/', "_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_there_for_everybody_until_it_is_withdrawn() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let http = Posted::Http {
            token: "abc".to_owned(),
            answer: "abc.def".to_owned(),
        };
        let alpn = Posted::Alpn {
            name: "a.test".to_owned(),
            pem: "pem".to_owned(),
        };
        store.post(&http).unwrap();
        store.post(&alpn).unwrap();
        assert_eq!(
            Store::new(folder.path()).posted(),
            [http.clone(), alpn.clone()]
        );
        store.withdraw(&http);
        store.withdraw(&alpn);
        store.withdraw(&alpn);
        assert_eq!(store.posted(), []);
    }
}
