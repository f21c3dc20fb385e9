//! Folders of Caddy and certbot: a file with the chain and one with the key for each certificate.

use super::foreign::{Foreign, IssuedBy, Unreadable, read};
use std::fs;
use std::path::{Path, PathBuf};

/// Certificates in Caddy's data folder: `certificates/AUTHORITY/NAME/NAME.crt` and `.key`.
pub fn caddy(data: &Path) -> Result<Vec<Result<Foreign, Unreadable>>, String> {
    let mut found = Vec::new();
    for authority in folders(&data.join("certificates"))? {
        let folder = authority.file_name().unwrap_or_default();
        let issued_by = IssuedBy::Folder(folder.to_string_lossy().into_owned());
        for name in folders(&authority)? {
            let chains = entries(&name)?.into_iter();
            let chains = chains.filter(|path| path.extension().is_some_and(|it| it == "crt"));
            for chain in chains {
                let key = chain.with_extension("key");
                found.push(pair(&chain, &key, issued_by.clone()));
            }
        }
    }
    Ok(found)
}

/// Certificates in certbot's folder `live`: `NAME/fullchain.pem` and `privkey.pem`. `renewal` has a
/// file for each with the authority.
pub fn certbot(live: &Path) -> Result<Vec<Result<Foreign, Unreadable>>, String> {
    let renewal = live.parent().unwrap_or(live).join("renewal");
    let names = folders(live)?.into_iter();
    let found = names.map(|name| {
        let file = name.file_name().unwrap_or_default().to_string_lossy();
        let renewal = fs::read_to_string(renewal.join(format!("{file}.conf")));
        let issued_by = renewal.ok().and_then(|text| server(&text));
        lineage(&name, issued_by.unwrap_or(IssuedBy::Unknown))
    });
    Ok(found.collect())
}

/// The certificate in one folder below `live`.
pub fn lineage(folder: &Path, issued_by: IssuedBy) -> Result<Foreign, Unreadable> {
    let chain = folder.join("fullchain.pem");
    pair(&chain, &folder.join("privkey.pem"), issued_by)
}

/// The line `server = URL` of a file in `renewal`.
fn server(text: &str) -> Option<IssuedBy> {
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    let (_, url) = pairs.find(|(name, _)| name.trim() == "server")?;
    Some(IssuedBy::Url(url.trim().to_owned()))
}

fn pair(chain: &Path, key: &Path, issued_by: IssuedBy) -> Result<Foreign, Unreadable> {
    let place = chain.display().to_string();
    match (read(chain), read(key)) {
        (Ok(chain), Ok(key)) => Ok(Foreign {
            place,
            chain,
            key,
            issued_by,
        }),
        (Err(why), _) | (_, Err(why)) => Err(Unreadable { place, why }),
    }
}

/// Folders in a folder, in the order of their names.
pub fn folders(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut entries = entries(folder)?;
    entries.retain(|path| path.is_dir());
    Ok(entries)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let explain = |error: std::io::Error| {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => "; be root, as with `sudo`",
            _ => "",
        };
        format!("cannot list {}: {error}{hint}", folder.display())
    };
    let entries = fs::read_dir(folder).map_err(explain)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_, _>>().map_err(explain)?;
    paths.sort();
    Ok(paths)
}
