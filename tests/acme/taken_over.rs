//! Certificates of other programs: taken over by the real binary, and served without an order.

use super::keeper::files;
use super::served::{Served, held};
use crate::support::pebble::Behaviour;
use crate::support::tls::{Authority, Client};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

const HOST: &str = "a.example.com";
/// A user without rights, by the same number on every Linux.
const NOBODY: u32 = 65534;

/// Traefik's file with a certificate for each list of names, and one that is broken.
fn acme_json(folder: &Path, authority: &Authority, account: &str, all: &[&[&str]]) -> PathBuf {
    let certificates = all.iter().map(|names| {
        let (chain, key) = authority.pair(names);
        json!({
            "domain": { "main": names[0], "sans": names[1..] },
            "certificate": BASE64_STANDARD.encode(chain),
            "key": BASE64_STANDARD.encode(key),
            "Store": "default",
        })
    });
    let mut certificates: Vec<Value> = certificates.collect();
    certificates.push(json!({ "domain": { "main": "broken.example.com" }, "key": "" }));
    let account = json!({ "Registration": { "uri": account } });
    let file = json!({ "le": { "Account": account, "Certificates": certificates } });
    let path = folder.join("acme.json");
    fs::write(&path, file.to_string()).unwrap();
    path
}

#[tokio::test]
async fn a_certificate_of_traefik_is_served_at_once_and_nothing_is_ordered() {
    let served = Served::prepare(Behaviour::default()).await;
    served.write(HOST, "");
    let authority = Authority::new("root");
    let folder = tempfile::tempdir().unwrap();
    let account = format!("{}/account/1", served.pebble.directory());
    let names: [&[&str]; 2] = [&["*.example.com", "example.com"], &["other.example.org"]];
    let file = acme_json(folder.path(), &authority, &account, &names);
    let file = file.to_str().unwrap();
    let import = ["certs", "import", file];
    let ran = served.edge.tidegate(&import).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in [
        "NAME           ISSUER  ENDS IN",
        "a.example.com  root",
        "acme.json, resolver le, *.example.com",
        "other.example.org: no route and no `tls.hosts` needs it",
        "resolver le, broken.example.com: `certificate` is missing",
    ] {
        assert!(ran.out.contains(part), "{part} is not in\n{}", ran.out);
    }
    let tls = served.edge.folder.path().join("tls");
    let written = files(&tls, ".pem");
    assert_eq!(written.len(), 1, "{written:?}");
    let mode = fs::metadata(&written[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let served = served.start().await;
    let client = Client::new(served.https, &authority);
    assert_eq!(client.get(HOST, "/x").await.status, 200);
    let shown = held(&served.edge, HOST).await;
    assert_eq!(shown["issuer"], "root");
    assert_eq!(shown["because"], "at two thirds of its lifetime");
    assert_eq!(served.pebble.orders(), 0, "{}", served.pebble.log());

    // The process that runs has its own view of the folder.
    let ran = served.edge.tidegate(&import).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("another tidegate (process"), "{}", ran.err);
    assert!(ran.err.contains("stop it, import, and start it again"));
    assert_eq!(files(&tls, ".pem").len(), 1);
}

#[tokio::test]
async fn another_import_finds_it_held_and_root_writes_for_the_owner_of_the_folder() {
    let served = Served::prepare(Behaviour::default()).await;
    served.write(HOST, "");
    let authority = Authority::new("root");
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live").join(HOST);
    fs::create_dir_all(&live).unwrap();
    let (chain, key) = authority.pair(&[HOST]);
    fs::write(live.join("fullchain.pem"), chain).unwrap();
    fs::write(live.join("privkey.pem"), key).unwrap();
    let state = served.edge.folder.path();
    let is_root = nix::unistd::geteuid().is_root();
    if is_root {
        chown(state, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let source = folder.path().to_str().unwrap();
    let ran = served
        .edge
        .tidegate(&["certs", "import", source, "--json"])
        .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let result: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(result["taken"][0]["name"], HOST);
    let written = files(&state.join("tls"), ".pem");
    if is_root {
        assert_eq!(fs::metadata(&written[0]).unwrap().uid(), NOBODY);
    }
    let again = served.edge.tidegate(&["certs", "import", source]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    let says = format!("{HOST}: is held already");
    assert!(again.out.contains(&says), "{}", again.out);

    for (source, says) in [
        ("/nowhere", "cannot read /nowhere"),
        ("/dev/null", "/dev/null holds no certificates"),
    ] {
        let ran = served.edge.tidegate(&["certs", "import", source]).await;
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.err.contains(says), "{}", ran.err);
    }
    served
        .edge
        .write("services: { any: { addresses: [\"127.0.0.1:1\"] } }\n");
    let ran = served.edge.tidegate(&["certs", "import", source]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("wants no certificates"), "{}", ran.err);
}
