//! State of a name between restarts: attempts, and the CA's advice.

use super::file;
use super::folder::Store;
use crate::acme::attempts::Attempts;
use crate::acme::due::Window;
use crate::certs::CertName;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// State of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameState {
    /// CA of the certificate that is held.
    pub ca: Option<String>,
    pub attempts: Attempts,
    pub window: Option<Window>,
    /// Time at which the CA is asked for its window again.
    pub ask_again: Option<SystemTime>,
}

/// The file's form; times in seconds since 1970.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    ca: Option<String>,
    window: Option<(u64, u64)>,
    ask_again: Option<u64>,
    failures: u32,
    failures_here: u32,
    next_ca: usize,
    rehearsed: bool,
    last_try: Option<u64>,
    not_before: Option<u64>,
    why: Option<String>,
}

impl Store {
    pub fn state(&self, name: &CertName) -> NameState {
        let stored: Option<Stored> =
            file::read_json(&self.state_path(name)).unwrap_or_else(|error| {
                log::warn!("the state of {name} cannot be read: {error}");
                None
            });
        NameState::from(stored.unwrap_or_default())
    }

    pub fn note_state(&self, name: &CertName, state: &NameState) -> io::Result<()> {
        file::write_json(&self.state_path(name), &Stored::from(state))
    }

    fn state_path(&self, name: &CertName) -> PathBuf {
        self.of_name(name).join("state.json")
    }
}

impl From<Stored> for NameState {
    fn from(stored: Stored) -> NameState {
        NameState {
            ca: stored.ca,
            attempts: Attempts {
                failures: stored.failures,
                failures_here: stored.failures_here,
                ca: stored.next_ca,
                rehearsed: stored.rehearsed,
                last: stored.last_try.map(time),
                not_before: stored.not_before.map(time),
                why: stored.why,
            },
            window: stored.window.map(|(start, end)| Window {
                start: time(start),
                end: time(end),
            }),
            ask_again: stored.ask_again.map(time),
        }
    }
}

impl From<&NameState> for Stored {
    fn from(state: &NameState) -> Stored {
        let attempts = &state.attempts;
        Stored {
            ca: state.ca.clone(),
            window: state
                .window
                .map(|window| (seconds(window.start), seconds(window.end))),
            ask_again: state.ask_again.map(seconds),
            failures: attempts.failures,
            failures_here: attempts.failures_here,
            next_ca: attempts.ca,
            rehearsed: attempts.rehearsed,
            last_try: attempts.last.map(seconds),
            not_before: attempts.not_before.map(seconds),
            why: attempts.why.clone(),
        }
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Times beyond what a clock can show are left from nonsense in the file.
fn time(seconds: u64) -> SystemTime {
    let since = Duration::from_secs(seconds.min(1 << 40));
    UNIX_EPOCH + since
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_name_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let name: CertName = "a.test".parse().unwrap();
        assert_eq!(store.state(&name), NameState::default());
        let mut state = NameState {
            ca: Some("letsencrypt".to_owned()),
            window: Some(Window {
                start: time(10),
                end: time(20),
            }),
            ask_again: Some(time(7)),
            ..NameState::default()
        };
        state
            .attempts
            .failed("why".to_owned(), time(5), Some(time(9)));
        store.note_state(&name, &state).unwrap();
        assert_eq!(store.state(&name), state);
        // Keys of a later version are no problem, nor is nonsense.
        let path = store.state_path(&name);
        std::fs::write(&path, "{\"new\": 1, \"last_try\": 18446744073709551615}").unwrap();
        assert!(store.state(&name).attempts.last.is_some());
    }
}
