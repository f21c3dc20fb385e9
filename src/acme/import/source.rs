//! Sources of certificates, told apart by their shape.

use super::folders::{caddy, certbot, folders, lineage};
use super::foreign::{Foreign, IssuedBy, Unreadable, read};
use super::traefik;
use std::fmt;
use std::path::{Path, PathBuf};

/// Folders below a home or a volume in which Caddy has its data.
const CADDY_BELOW: [&str; 3] = ["", "caddy", ".local/share/caddy"];

/// A place that holds certificates of another program.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// `acme.json`.
    Traefik(PathBuf),
    /// The folder with `certificates`.
    Caddy(PathBuf),
    /// The folder `live`.
    Certbot(PathBuf),
    /// One folder below `live`.
    Lineage(PathBuf),
}

/// Reads every certificate of a source.
pub fn read_source(path: &Path) -> Result<Vec<Result<Foreign, Unreadable>>, String> {
    let source = source(path)?;
    let found = match &source {
        Source::Traefik(file) => traefik::read(&file.display().to_string(), &read(file)?)?,
        Source::Caddy(data) => caddy(data)?,
        Source::Certbot(live) => certbot(live)?,
        Source::Lineage(folder) => vec![lineage(folder, IssuedBy::Unknown)],
    };
    match found.is_empty() {
        true => Err(format!("{source} holds no certificates")),
        false => Ok(found),
    }
}

fn source(path: &Path) -> Result<Source, String> {
    let shown = path.display();
    let about = path.metadata();
    let about = about.map_err(|error| format!("cannot read {shown}: {error}"))?;
    if !about.is_dir() {
        return Ok(Source::Traefik(path.to_owned()));
    }
    let has_chain = |folder: &Path| {
        folder.join("fullchain.pem").is_symlink() || folder.join("fullchain.pem").is_file()
    };
    if path.join("live").is_dir() {
        return Ok(Source::Certbot(path.join("live")));
    }
    if has_chain(path) {
        return Ok(Source::Lineage(path.to_owned()));
    }
    let mut data = CADDY_BELOW.iter().map(|below| path.join(below));
    if let Some(data) = data.find(|data| data.join("certificates").is_dir()) {
        return Ok(Source::Caddy(data));
    }
    let acme_json = path.join("acme.json");
    if acme_json.is_file() {
        return Ok(Source::Traefik(acme_json));
    }
    if folders(path)?.iter().any(|folder| has_chain(folder)) {
        return Ok(Source::Certbot(path.to_owned()));
    }
    Err(format!(
        "{shown} is none of the folders that are known: Caddy's has `certificates`, certbot's has \
         `live`, Traefik's has `acme.json`"
    ))
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Source::Traefik(path)
        | Source::Caddy(path)
        | Source::Certbot(path)
        | Source::Lineage(path)) = self;
        path.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn file(folder: &Path, path: &str, text: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn places(found: &[Result<Foreign, Unreadable>]) -> Vec<(String, bool)> {
        let places = found.iter().map(|entry| match entry {
            Ok(found) => (found.place.clone(), true),
            Err(broken) => (broken.place.clone(), false),
        });
        let name = |place: String| place.rsplit('/').next().unwrap().to_owned();
        places
            .map(|(place, is_read)| (name(place), is_read))
            .collect()
    }

    #[test]
    fn caddys_folder_is_found_in_a_volume_and_in_a_home() {
        for below in CADDY_BELOW {
            let folder = tempfile::tempdir().unwrap();
            let data = folder.path().join(below);
            let of = "certificates/acme-v02.api.letsencrypt.org-directory";
            file(
                &data,
                &format!("{of}/a.example.com/a.example.com.crt"),
                "chain",
            );
            file(
                &data,
                &format!("{of}/a.example.com/a.example.com.key"),
                "key",
            );
            file(
                &data,
                &format!("{of}/a.example.com/a.example.com.json"),
                "{}",
            );
            file(
                &data,
                &format!("{of}/b.example.com/b.example.com.crt"),
                "chain",
            );
            file(&data, "certificates/local/nas.local/nas.local.crt", "chain");
            file(&data, "certificates/local/nas.local/nas.local.key", "key");
            let found = read_source(folder.path()).unwrap();
            let expected = [
                ("a.example.com.crt".to_owned(), true),
                ("b.example.com.crt".to_owned(), false),
                ("nas.local.crt".to_owned(), true),
            ];
            assert_eq!(places(&found), expected);
            let first = found[0].as_ref().unwrap();
            assert_eq!(
                (&first.chain[..], &first.key[..]),
                (&b"chain"[..], &b"key"[..])
            );
            let own = found[2].as_ref().unwrap();
            assert!(own.issued_by.is_caddys_own() && !first.issued_by.is_caddys_own());
        }
    }

    #[test]
    fn certbots_links_are_followed_and_one_that_leads_nowhere_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        file(root, "archive/a.example.com/fullchain3.pem", "chain");
        file(root, "archive/a.example.com/privkey3.pem", "key");
        file(root, "live/README", "not a certificate");
        let server = "server = https://acme-v02.api.letsencrypt.org/directory\n";
        file(
            root,
            "renewal/a.example.com.conf",
            &format!("version = 2.1\n[x]\n{server}"),
        );
        for (name, to) in [("a.example.com", "3"), ("gone.example.com", "1")] {
            fs::create_dir_all(root.join("live").join(name)).unwrap();
            for file in ["fullchain", "privkey"] {
                let target = format!("../../archive/{name}/{file}{to}.pem");
                let link = root.join("live").join(name).join(format!("{file}.pem"));
                symlink(target, link).unwrap();
            }
        }
        for source in ["", "live"] {
            let found = read_source(&root.join(source)).unwrap();
            let first = found[0].as_ref().unwrap();
            assert_eq!(first.chain, b"chain");
            let url = "https://acme-v02.api.letsencrypt.org/directory".to_owned();
            assert_eq!(first.issued_by, IssuedBy::Url(url));
            let why = &found[1].as_ref().unwrap_err().why;
            assert!(why.contains("copy the folder that it leads into"), "{why}");
            assert_eq!(found.len(), 2);
        }
        let one = read_source(&root.join("live/a.example.com")).unwrap();
        assert_eq!(places(&one), [("fullchain.pem".to_owned(), true)]);
    }

    #[test]
    fn a_source_without_certificates_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let refused = |path: PathBuf| read_source(&path).unwrap_err();
        assert!(refused(root.to_owned()).contains("none of the folders"));
        assert!(refused(root.join("acme.json")).contains("cannot read"));
        file(root, "acme.json", "{}");
        assert!(refused(root.join("acme.json")).contains("holds no certificates"));
        assert!(refused(root.to_owned()).contains("holds no certificates"));
        fs::create_dir(root.join("live")).unwrap();
        assert!(refused(root.to_owned()).contains("live holds no certificates"));
    }
}
