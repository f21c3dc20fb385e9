//! Switches in the environment: where to listen, where the data is, and how to misbehave.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

/// The exit code of every exit on demand, so that a test can tell it from a crash.
pub const EXIT_ON_DEMAND: i32 = 3;

#[derive(Debug)]
pub struct Switches {
    /// `ACTS_LISTEN`
    pub listen: SocketAddr,
    /// `ACTS_DATA`
    pub data: PathBuf,
    /// `ACTS_START_DELAY_MS`
    pub start_delay: Duration,
    /// `ACTS_ANSWER_DELAY_MS`
    pub answer_delay: Duration,
    /// `ACTS_HANG_AFTER_MS`
    pub hang_at: Option<Instant>,
    /// `ACTS_EXIT_AFTER_MS`
    pub exit_at: Option<Instant>,
    /// `ACTS_FAIL_HEALTH`
    pub fail_health: bool,
}

impl Switches {
    /// Reads every switch; the times count from now.
    pub fn from(environment: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let now = Instant::now();
        let millis = |name| {
            read(&environment, name, "a number of milliseconds")
                .map(|found| found.map(|ms: u32| Duration::from_millis(ms.into())))
        };
        Ok(Self {
            listen: read(&environment, "ACTS_LISTEN", "an address such as 0.0.0.0:80")?
                .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 80))),
            data: read(&environment, "ACTS_DATA", "a folder")?.unwrap_or_else(|| "/data".into()),
            start_delay: millis("ACTS_START_DELAY_MS")?.unwrap_or_default(),
            answer_delay: millis("ACTS_ANSWER_DELAY_MS")?.unwrap_or_default(),
            hang_at: millis("ACTS_HANG_AFTER_MS")?.map(|after| now + after),
            exit_at: millis("ACTS_EXIT_AFTER_MS")?.map(|after| now + after),
            fail_health: read(&environment, "ACTS_FAIL_HEALTH", "0 or 1")? == Some(1u8),
        })
    }

    pub fn arm_exit(&self) {
        if let Some(at) = self.exit_at {
            tokio::spawn(async move {
                tokio::time::sleep_until(at).await;
                std::process::exit(EXIT_ON_DEMAND);
            });
        }
    }
}

/// An empty value counts as absent, as Compose files leave it when a variable is not set.
fn read<T: FromStr>(
    environment: impl Fn(&str) -> Option<String>,
    name: &str,
    expected: &str,
) -> Result<Option<T>, String> {
    match environment(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => value
            .parse()
            .map(Some)
            .map_err(|_| format!("{name} is `{value}`, expected {expected}")),
    }
}
