//! The last lines of a container's log, which often have the reason of a failure.

use super::daemon::Daemon;
use super::engine::Docker;
use crate::service::replica::ReplicaId;
use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt;
use std::time::Duration;

/// Lines that are kept; a failure's reason is in the last few.
const LINES: usize = 20;
const LINE_BYTES: usize = 400;
/// Timeout. Reading takes milliseconds, more on a busy machine, and delays the replacement.
const WITHIN: Duration = Duration::from_secs(2);

impl Docker {
    pub(super) async fn read_last_logs(&self, id: &ReplicaId) -> Vec<String> {
        let mut text = Vec::new();
        let read = self.daemon.read_log(id, &mut text);
        if tokio::time::timeout(WITHIN, read).await.is_err() {
            log::debug!("reading the log of {id} took too long");
        }
        last_lines(&String::from_utf8_lossy(&text))
    }
}

impl Daemon {
    async fn read_log(&self, id: &ReplicaId, text: &mut Vec<u8>) {
        let Ok(client) = self.client("read the log").await else {
            return;
        };
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: LINES.to_string(),
            ..Default::default()
        };
        let mut log = client.logs(&id.0, Some(options));
        while let Some(piece) = log.next().await {
            match piece {
                Ok(piece) => text.extend_from_slice(&piece.into_bytes()),
                Err(error) => return log::debug!("cannot read the log of {id}: {error}"),
            }
        }
    }
}

fn last_lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| {
        let plain = line.chars().filter(|c| !c.is_control() || *c == '\t');
        let mut line: String = plain.collect();
        while line.len() > LINE_BYTES {
            line.pop();
        }
        line
    });
    let lines: Vec<String> = lines.filter(|line| !line.trim().is_empty()).collect();
    let last = lines.len().saturating_sub(LINES);
    lines[last..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_plain_and_short() {
        let text = format!("{}\n\n\x1b[31mno DATABASE_URL\r\n", "x".repeat(1000));
        let lines = last_lines(&text);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), LINE_BYTES);
        assert_eq!(lines[1], "[31mno DATABASE_URL");
        let many: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert_eq!(last_lines(&many).first().map(String::as_str), Some("80"));
    }
}
