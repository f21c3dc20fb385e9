//! Certificates that are held: key and chain in one file, which the next one never overwrites.

use super::file;
use super::folder::Store;
use crate::certs::CertName;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Certificates of a name that stay: the current one, and the one before it for who looks.
const KEPT: usize = 2;

/// A certificate read from its file.
pub struct Kept<T> {
    pub path: PathBuf,
    pub value: T,
}

impl Store {
    /// The newest certificate of `name` that `parse` accepts. Others are said and set aside.
    pub fn held<T>(
        &self,
        name: &CertName,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> io::Result<Option<Kept<T>>> {
        let mut numbers = numbers(&self.of_name(name))?;
        numbers.sort_unstable();
        for number in numbers.into_iter().rev() {
            let path = self.pem(name, number);
            let text = match file::read(&path) {
                Ok(Some(text)) => text,
                Ok(None) => continue,
                Err(error) => {
                    log::error!("{} cannot be read: {error}", path.display());
                    continue;
                }
            };
            let parsed = match String::from_utf8(text) {
                Ok(text) => parse(&text),
                Err(_) => Err("not a text".to_owned()),
            };
            match parsed {
                Ok(value) => return Ok(Some(Kept { path, value })),
                Err(why) => file::set_aside(&path, &why),
            }
        }
        Ok(None)
    }

    /// Whether no certificate of `name` is there.
    pub fn is_empty(&self, name: &CertName) -> bool {
        numbers(&self.of_name(name)).is_ok_and(|numbers| numbers.is_empty())
    }

    /// Writes a new certificate beside the old ones, and removes the oldest.
    pub fn keep(&self, name: &CertName, pem: &str) -> io::Result<PathBuf> {
        let folder = self.of_name(name);
        let mut present = numbers(&folder)?;
        present.sort_unstable();
        let next = present.last().map_or(1, |last| last + 1);
        let path = self.pem(name, next);
        file::write(&path, pem.as_bytes())?;
        let surplus = (present.len() + 1).saturating_sub(KEPT);
        for old in &present[..surplus] {
            let _ = file::remove(&self.pem(name, *old));
        }
        Ok(path)
    }

    fn pem(&self, name: &CertName, number: u32) -> PathBuf {
        self.of_name(name).join(format!("{number}.pem"))
    }
}

fn numbers(folder: &Path) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names
        .filter_map(|name| name.strip_suffix(".pem")?.parse().ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        match text.ends_with("END") {
            true => Ok(text.to_owned()),
            false => Err("cut off".to_owned()),
        }
    }

    fn name(text: &str) -> CertName {
        text.parse().unwrap()
    }

    fn files(store: &Store, name: &CertName) -> Vec<String> {
        let entries = fs::read_dir(store.of_name(name)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_newest_certificate_counts_and_two_stay() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        assert!(store.held(&name("a.test"), parse).unwrap().is_none());
        for n in 1..=11 {
            store.keep(&name("a.test"), &format!("{n} END")).unwrap();
        }
        let held = store.held(&name("a.test"), parse).unwrap().unwrap();
        assert_eq!(held.value, "11 END");
        assert_eq!(files(&store, &name("a.test")), ["10.pem", "11.pem"]);
    }

    #[test]
    fn a_file_that_was_cut_off_is_set_aside_and_the_one_before_it_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let wild = name("*.a.test");
        store.keep(&wild, "1 END").unwrap();
        store.keep(&wild, "2 EN").unwrap();
        let held = store.held(&wild, parse).unwrap().unwrap();
        assert_eq!(held.value, "1 END");
        assert_eq!(files(&store, &wild), ["1.pem", "2.pem.bad"]);
        assert!(folder.path().join("tls/held/_wildcard.a.test").is_dir());
    }
}
