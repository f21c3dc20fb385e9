//! Certificates from a real ACME server: ordered, kept, renewed, and what goes wrong on the way.

mod keeper;
mod named;
mod on_demand;
mod served;
mod taken_over;

use crate::support::pebble::{Behaviour, EAB_KEY_ID, Pebble};
use crate::support::until;
use ChallengeKind::{Http01, TlsAlpn01};
use keeper::{AnswerServer, Kept, SOON, files, wanted};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tidegate::certs::CertificateSource;
use tidegate::certs::settings::{AcmeSettings, Ca, ChallengeKind, ExternalAccount};

const NAME: &str = "a.example.com";

fn change(wanted: &mut tidegate::acme::Wanted, change: impl FnOnce(&mut AcmeSettings)) {
    change(Arc::make_mut(&mut wanted.settings));
}

#[tokio::test]
async fn a_certificate_comes_by_each_kind_of_challenge_and_is_kept_for_our_user_alone() {
    for kind in [TlsAlpn01, Http01] {
        let pebble = Pebble::start(Behaviour::default()).await;
        let names = [NAME, "b.example.com", "127.0.0.1"];
        let mut wanted = wanted(&pebble, &names, &[kind]);
        // The address is a private one, which a CA of one's own certifies.
        change(&mut wanted, |settings| {
            settings.ca_root = Some(pebble.root())
        });
        let kept = Kept::serving(wanted, &pebble).await;
        for name in names {
            kept.has(name).await;
            let ca = pebble.directory();
            assert_eq!(kept.origin(name), CertificateSource::Acme { ca });
        }
        let folder = kept.tls_folder();
        let kept_files = [files(&folder, ".pem"), files(&folder, ".json")].concat();
        assert!(kept_files.len() > names.len(), "{kept_files:?}");
        for path in kept_files {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
        assert_eq!(
            files(&folder, "order.json"),
            Vec::<std::path::PathBuf>::new()
        );
        let events = kept.events.lock().unwrap().join("\n");
        assert!(
            events.contains(&format!("{NAME}: new certificate of https://localhost")),
            "{events}"
        );

        // A restart has everything, and asks nobody.
        let mut pebble = pebble;
        pebble.down();
        let serial = kept.serial(NAME);
        let mut wanted = keeper::wanted(&pebble, &names, &[kind]);
        change(&mut wanted, |settings| {
            settings.ca_root = Some(pebble.root())
        });
        let again = Kept::waiting(kept.crash(), wanted);
        assert_eq!(again.serial(NAME), serial);
    }
}

#[tokio::test]
async fn nonces_that_are_refused_are_no_failure() {
    let behaviour = Behaviour {
        bad_nonces: 8,
        ..Behaviour::default()
    };
    let pebble = Pebble::start(behaviour).await;
    let kept = Kept::serving(wanted(&pebble, &[NAME], &[Http01]), &pebble).await;
    kept.has(NAME).await;
}

#[tokio::test]
async fn a_ca_that_is_down_is_said_and_asked_again() {
    let mut pebble = Pebble::prepare(Behaviour::default());
    let kept = Kept::serving(wanted(&pebble, &[NAME], &[Http01]), &pebble).await;
    let why = kept.fails(NAME).await;
    assert!(why.contains("localhost cannot be reached"), "{why}");
    let report = kept.report(NAME).unwrap();
    let next = report.next_try.unwrap();
    let wait = next.duration_since(std::time::SystemTime::now()).unwrap();
    assert!((40..=70).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!(report.because, "the last attempt failed");
    pebble.up().await;
    // A restart does not begin at zero: the pause goes on. So the state is let go, as a user would.
    let mut again = wanted(&pebble, &[NAME], &[Http01]);
    let folder = kept.crash();
    fs::remove_file(files(folder.path(), "state.json").remove(0)).unwrap();
    change(&mut again, |settings| settings.email = None);
    let again = Kept::waiting(folder, again).served(&pebble).await;
    again.has(NAME).await;
}

#[tokio::test]
async fn a_challenge_that_cannot_work_costs_no_order() {
    let pebble = Pebble::start(Behaviour::default()).await;
    let kept = Kept::start(wanted(&pebble, &[NAME], &[Http01, TlsAlpn01])).await;
    // Nothing listens at either port.
    let why = kept.fails(NAME).await;
    assert!(why.contains("http-01: 127.0.0.1:"), "{why}");
    assert!(why.contains("tls-alpn-01: 127.0.0.1:"), "{why}");
    assert!(why.contains("no order is placed"), "{why}");
    assert_eq!(pebble.orders(), 0, "{}", pebble.log());
    // Another program listens there.
    let folder = kept.crash();
    fs::remove_dir_all(folder.path().join("tls")).unwrap();
    let kept = Kept::waiting(folder, wanted(&pebble, &[NAME], &[Http01]));
    let _other = AnswerServer::start(&pebble, &Default::default()).await;
    kept.handle.take_control().await;
    let why = kept.fails(NAME).await;
    assert!(
        why.contains("another program answers there, with status 404"),
        "{why}"
    );
    assert_eq!(pebble.orders(), 0, "{}", pebble.log());
}

#[tokio::test]
async fn a_short_certificate_is_renewed_at_half_of_its_lifetime() {
    let behaviour = Behaviour {
        lifetime: Duration::from_secs(12),
        ..Behaviour::default()
    };
    let pebble = Pebble::start(behaviour).await;
    let kept = Kept::serving(wanted(&pebble, &[NAME], &[TlsAlpn01]), &pebble).await;
    let first = kept.has(NAME).await;
    let report = kept.report(NAME).unwrap();
    assert_eq!(report.because, "at half of its short lifetime");
    until("another certificate", SOON, || async {
        kept.serial(NAME).filter(|serial| *serial != first)
    })
    .await;
    let held = files(&kept.tls_folder().join("held"), ".pem");
    assert_eq!(held.len(), 2, "{held:?}");
}

#[tokio::test]
async fn an_account_is_bound_where_the_ca_wants_it() {
    let behaviour = Behaviour {
        wants_binding: true,
        ..Behaviour::default()
    };
    let pebble = Pebble::start(behaviour).await;
    let kept = Kept::serving(wanted(&pebble, &[NAME], &[Http01]), &pebble).await;
    let why = kept.fails(NAME).await;
    assert!(why.contains("set `tls.eab`"), "{why}");
    drop(kept);
    let mut wanted = wanted(&pebble, &[NAME], &[Http01]);
    change(&mut wanted, |settings| {
        settings.eab = Some(ExternalAccount {
            key_id: EAB_KEY_ID.to_owned(),
            hmac_key_file: pebble.binding_key(),
        });
    });
    let kept = Kept::serving(wanted, &pebble).await;
    kept.has(NAME).await;
}

#[tokio::test]
async fn the_next_ca_is_asked_and_a_profile_that_is_unknown_is_said() {
    let pebble = Pebble::start(Behaviour::default()).await;
    let mut wanted = wanted(&pebble, &[NAME], &[Http01]);
    change(&mut wanted, |settings| {
        settings.profile = Some("shortlived".to_owned())
    });
    let kept = Kept::serving(wanted, &pebble).await;
    let why = kept.fails(NAME).await;
    assert!(
        why.contains("has no profile `shortlived`: it has no profiles"),
        "{why}"
    );
    assert_eq!(pebble.orders(), 0);
}

#[tokio::test]
async fn a_local_name_has_a_certificate_at_once() {
    let pebble = Pebble::prepare(Behaviour::default());
    let mut wanted = wanted(
        &pebble,
        &["app.localhost", "*.home.arpa", "192.168.1.5"],
        &[Http01],
    );
    change(&mut wanted, |settings| {
        settings.ca = vec![Ca::LetsEncrypt];
        settings.ca_root = None;
    });
    let kept = Kept::start(wanted).await;
    kept.has("app.localhost").await;
    kept.has("x.home.arpa").await;
    kept.has("192.168.1.5").await;
    assert_eq!(kept.origin("app.localhost"), CertificateSource::Local);
    assert!(kept.tls_folder().join("local-ca.pem").exists());
}
