//! Settings for tests.

use crate::certs::settings::{AcmeSettings, Ca};

/// Orders at a CA that nobody runs.
pub fn settings() -> AcmeSettings {
    AcmeSettings {
        for_routes: true,
        ca: vec![Ca::Directory("https://127.0.0.1:1/dir".to_owned())],
        ..AcmeSettings::nothing()
    }
}
