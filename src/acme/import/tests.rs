use super::foreign::{Foreign, IssuedBy, Unreadable};
use super::take_over::{Import, take_over};
use crate::acme::folder::load;
use crate::acme::store::{Pending, Store};
use crate::acme::testing::settings;
use crate::acme::wanted::{Authority, Wanted};
use crate::certs::CertName;
use crate::certs::settings::{AcmeSettings, Ca, OnDemandSettings};
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// The first of January, 2030.
const NOW: Duration = Duration::from_secs(1_893_456_000);

struct Case {
    folder: TempDir,
    wanted: Wanted,
}

impl Case {
    fn new(routes: &[&str]) -> Case {
        let routes = routes.iter().map(|name| name.parse().unwrap());
        Case {
            folder: tempfile::tempdir().unwrap(),
            wanted: Wanted {
                settings: Arc::new(settings()),
                routes: routes.collect(),
                has_catch_all: false,
                files: Vec::new(),
            },
        }
    }

    fn set(mut self, change: impl FnOnce(&mut AcmeSettings)) -> Case {
        change(Arc::make_mut(&mut self.wanted.settings));
        self
    }

    fn store(&self) -> Store {
        Store::new(self.folder.path())
    }

    fn take(&self, found: Vec<Result<Foreign, Unreadable>>) -> Import {
        take_over(&self.store(), &self.wanted, found, UNIX_EPOCH + NOW)
    }

    /// Serial of the certificate that a start would serve for a name.
    fn served(&self, name: &str) -> Option<String> {
        let mut entry = crate::acme::entry::Entry::new(Authority::Acme);
        load(&self.store(), &name.parse().unwrap(), &mut entry);
        Some(entry.held?.serial.clone())
    }
}

/// A certificate for `names` until the end of `year`, with its key.
fn certificate(names: &[&str], year: i32) -> Foreign {
    issued_by("a CA", names, year)
}

fn issued_by(authority: &str, names: &[&str], year: i32) -> Foreign {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(DnType::CommonName, authority);
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, 12, 31);
    let signed = params
        .signed_by(&key, &Issuer::new(root, root_key))
        .unwrap();
    Foreign {
        place: format!("a place of {year}"),
        chain: signed.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
        issued_by: IssuedBy::Unknown,
    }
}

fn names(import: &Import) -> Vec<String> {
    let taken = import.taken.iter();
    taken.map(|one| one.name.to_string()).collect()
}

fn reasons(import: &Import) -> Vec<&str> {
    import.left.iter().map(|one| one.why.as_str()).collect()
}

#[test]
fn a_certificate_is_served_for_each_wanted_name_that_it_covers() {
    let case = Case::new(&[
        "a.example.com",
        "b.example.com",
        "example.com",
        "c.example.org",
    ]);
    let import = case.take(vec![Ok(certificate(
        &["*.example.com", "example.com"],
        2030,
    ))]);
    assert_eq!(
        names(&import),
        ["a.example.com", "b.example.com", "example.com"]
    );
    assert_eq!(reasons(&import), [""; 0]);
    for name in ["a.example.com", "b.example.com", "example.com"] {
        assert!(case.served(name).is_some(), "{name}");
    }
    assert_eq!(case.served("c.example.org"), None);
    let wild = Case::new(&["a.example.com"]).set(|settings| {
        settings.hosts = vec!["*.example.com".parse().unwrap()];
    });
    let import = wild.take(vec![Ok(certificate(
        &["*.example.com", "example.com"],
        2030,
    ))]);
    assert_eq!(names(&import), ["*.example.com"]);
}

#[test]
fn a_failure_of_the_past_and_an_order_under_way_are_forgotten() {
    let case = Case::new(&["a.example.com"]);
    let (store, name): (_, CertName) = (case.store(), "a.example.com".parse().unwrap());
    let mut state = store.state(&name);
    let now = UNIX_EPOCH + NOW;
    state.attempts.failed("refused".to_owned(), now, Some(now));
    store.note_state(&name, &state).unwrap();
    let pending = Pending {
        ca: "letsencrypt".to_owned(),
        url: None,
        key: String::new(),
        kind: "http-01".to_owned(),
        since: NOW.as_secs(),
    };
    store.note_pending(&name, &pending).unwrap();
    let found = Foreign {
        issued_by: IssuedBy::Url("https://127.0.0.1:1/account/7".to_owned()),
        ..certificate(&["a.example.com"], 2030)
    };
    assert_eq!(names(&case.take(vec![Ok(found)])), ["a.example.com"]);
    assert_eq!(store.state(&name).attempts, Default::default());
    assert_eq!(
        store.state(&name).ca.as_deref(),
        Some("https://127.0.0.1:1/dir")
    );
    assert_eq!(store.pending(&name), None);
}

#[test]
fn the_certificate_that_is_valid_longest_stays() {
    let case = Case::new(&["a.example.com"]);
    let later = certificate(&["a.example.com"], 2032);
    let found = vec![
        Ok(certificate(&["a.example.com"], 2031)),
        Ok(Foreign {
            place: "again".to_owned(),
            chain: later.chain.clone(),
            key: later.key.clone(),
            issued_by: IssuedBy::Unknown,
        }),
        Ok(later),
    ];
    let import = case.take(found);
    assert_eq!(names(&import), ["a.example.com"]);
    let expected = [
        "is held already",
        "one that is valid until 2032-12-31T00:00:00Z is held",
    ];
    assert_eq!(reasons(&import), expected);
    let served = case.served("a.example.com");
    let import = case.take(vec![Ok(certificate(&["a.example.com"], 2031))]);
    assert!(import.taken.is_empty() && !import.is_in_vain());
    assert_eq!(case.served("a.example.com"), served);
    let import = case.take(vec![Ok(certificate(&["a.example.com"], 2033))]);
    assert_eq!(names(&import), ["a.example.com"]);
    assert_ne!(case.served("a.example.com"), served);
}

#[test]
fn each_certificate_that_is_of_no_use_has_its_reason_and_stops_no_other() {
    let good = || certificate(&["a.example.com"], 2030);
    let case = Case::new(&["a.example.com", "nas.local"]);
    let with = |change: fn(&mut Foreign)| {
        let mut foreign = good();
        change(&mut foreign);
        Ok(foreign)
    };
    let found = vec![
        Err(Unreadable {
            place: "x".to_owned(),
            why: "`key` is missing".to_owned(),
        }),
        with(|it| it.key = KeyPair::generate().unwrap().serialize_pem().into_bytes()),
        with(|it| it.chain = b"nonsense".to_vec()),
        with(|it| it.key = vec![0xff]),
        Ok(certificate(&["a.example.com"], 2029)),
        with(|it| it.issued_by = IssuedBy::Folder("local".to_owned())),
        Ok(issued_by("(STAGING) Fake CA", &["a.example.com"], 2030)),
        Ok(good()),
        Ok(certificate(&["b.example.com"], 2028 + 2)),
        Ok(certificate(&["nas.local"], 2030)),
    ];
    let import = case.take(found);
    assert_eq!(names(&import), ["a.example.com"]);
    let expected = [
        "`key` is missing",
        "the key does not belong to the certificate",
        "no certificate in it",
        "not a text",
        "the certificate for a.example.com has expired: it was good until 2029-12-31T00:00:00Z, \
         and clients refuse it",
        "Caddy's own authority made it, which browsers do not trust",
        "Let's Encrypt's staging issued it, which nobody trusts",
        "no route and no `tls.hosts` needs it",
        "Tidegate's own authority certifies it",
    ];
    assert_eq!(reasons(&import), expected);
    let case = Case::new(&["z.example.com"]);
    assert!(case.take(vec![Ok(good())]).is_in_vain());
}

#[test]
fn a_staging_certificate_and_names_on_demand_are_taken_where_they_are_wanted() {
    let case = Case::new(&["a.example.com"]).set(|settings| {
        settings.ca = vec![Ca::LetsEncryptStaging];
    });
    let staging = issued_by("(STAGING) Fake CA", &["a.example.com"], 2030);
    assert_eq!(names(&case.take(vec![Ok(staging)])), ["a.example.com"]);
    let case = Case::new(&["*.example.com"]).set(|settings| {
        settings.for_routes = false;
        settings.on_demand = Some(OnDemandSettings {
            ask: "http://127.0.0.1:1/".to_owned(),
        });
    });
    let import = case.take(vec![Ok(certificate(
        &["b.example.com", "example.org"],
        2030,
    ))]);
    assert_eq!(names(&import), ["b.example.com"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_said() {
    let case = Case::new(&["a.example.com"]);
    std::fs::write(case.folder.path().join("tls"), "in the way").unwrap();
    let import = case.take(vec![Ok(certificate(&["a.example.com"], 2030))]);
    assert!(reasons(&import)[0].starts_with("the state folder cannot be used"));
    assert!(import.is_in_vain());
}

proptest! {
    #![proptest_config(crate::cases(8))]

    /// Every certificate is taken for a name, or named with a reason; and in whatever order they
    /// come, the one that is valid longest is served.
    #[test]
    fn none_is_lost_and_the_order_does_not_matter(
        years in prop::collection::vec(2025..2040_i32, 1..6),
    ) {
        let case = Case::new(&["a.example.com"]);
        let found = years.iter().map(|year| Ok(certificate(&["a.example.com"], *year)));
        let import = case.take(found.collect());
        prop_assert_eq!(import.taken.len() + import.left.len(), years.len());
        let longest = years.iter().max().copied().unwrap_or_default();
        prop_assert_eq!(import.taken.len(), usize::from(longest >= 2030));
        if let Some(taken) = import.taken.first() {
            prop_assert_eq!(&taken.place, &format!("a place of {longest}"));
            prop_assert_eq!(case.served("a.example.com"), Some(taken.held.serial.clone()));
            let at: SystemTime = UNIX_EPOCH + NOW;
            prop_assert!(taken.held.not_after > at);
        }
    }
}
