//! Settings for tests.

use crate::certs::settings::{AcmeSettings, Ca, ChallengeKind};

/// Orders at a CA that nobody runs.
pub fn settings() -> AcmeSettings {
    AcmeSettings {
        email: None,
        for_routes: true,
        ca: vec![Ca::Directory("https://127.0.0.1:1/dir".to_owned())],
        ca_root: None,
        eab: None,
        profile: None,
        challenges: vec![ChallengeKind::TlsAlpn01, ChallengeKind::Http01],
        dns: None,
        hosts: Vec::new(),
        on_demand: None,
    }
}
