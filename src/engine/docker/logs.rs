//! Logs of containers, line by line.

use super::daemon::Daemon;
use super::engine::Docker;
use super::error::CallFailure;
use crate::engine::EngineError;
use crate::service::replica::ReplicaId;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::collections::VecDeque;
use std::sync::Arc;

/// Limit of a line; longer ones are split.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Docker's time to the nanosecond, as text that sorts by time.
    pub time: String,
    pub is_error: bool,
    pub text: String,
}

impl Docker {
    /// The `last` lines of a container, or all of them, and with `follow` new ones until it ends.
    pub fn log(
        &self,
        id: &ReplicaId,
        last: Option<u32>,
        follow: bool,
    ) -> BoxStream<'static, Result<LogLine, EngineError>> {
        let (daemon, id) = (Arc::clone(&self.daemon), id.clone());
        let opened = async move { daemon.open_log(&id, last, follow).await };
        stream::once(opened)
            .flat_map(|opened| match opened {
                Ok(lines) => lines,
                Err(error) => stream::once(async { Err(error) }).boxed(),
            })
            .boxed()
    }
}

impl Daemon {
    async fn open_log(
        self: Arc<Daemon>,
        id: &ReplicaId,
        last: Option<u32>,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine, EngineError>>, EngineError> {
        const OP: &str = "read the log";
        let client = self.client(OP).await?;
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            timestamps: true,
            follow,
            tail: last.map_or("all".to_owned(), |last| last.to_string()),
            ..Default::default()
        };
        let pieces = client.logs(&id.0, Some(options));
        let state = (pieces.boxed(), Splitter::default(), self);
        let lines = stream::unfold(state, async |(mut pieces, mut splitter, daemon)| {
            loop {
                if let Some(line) = splitter.lines.pop_front() {
                    return Some((Ok(line), (pieces, splitter, daemon)));
                }
                match pieces.next().await {
                    Some(Ok(piece)) => splitter.take(&piece),
                    Some(Err(error)) => {
                        let failure = CallFailure::new(OP, &daemon.host, error);
                        let ended = stream::empty().boxed();
                        return Some((Err(failure.into()), (ended, splitter, daemon)));
                    }
                    None if splitter.is_done() => return None,
                    None => splitter.end(),
                }
            }
        });
        Ok(lines.boxed())
    }
}

/// Assembles lines. Docker cuts long lines, and gives each piece a time.
#[derive(Default)]
struct Splitter {
    lines: VecDeque<LogLine>,
    /// Unfinished lines of standard output and of standard error.
    begun: [Option<LogLine>; 2],
}

impl Splitter {
    fn take(&mut self, piece: &LogOutput) {
        let is_error = matches!(piece, LogOutput::StdErr { .. });
        let text = String::from_utf8_lossy(piece.as_ref());
        for part in text.split_inclusive('\n') {
            let (time, words) = match part.split_once(' ') {
                Some((time, words)) if is_time(time) => (time, words),
                _ => ("", part),
            };
            let begun = &mut self.begun[usize::from(is_error)];
            let line = begun.get_or_insert_with(|| LogLine {
                time: time.to_owned(),
                is_error,
                text: String::new(),
            });
            line.text.push_str(words.trim_end_matches(['\r', '\n']));
            if part.ends_with('\n') || line.text.len() >= LINE_BYTES_MAX {
                self.lines.extend(begun.take());
            }
        }
    }

    fn end(&mut self) {
        for begun in &mut self.begun {
            self.lines.extend(begun.take());
        }
    }

    fn is_done(&self) -> bool {
        self.lines.is_empty() && self.begun.iter().all(Option::is_none)
    }
}

fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[0].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[(bool, &str)]) -> Vec<(bool, String, String)> {
        let mut splitter = Splitter::default();
        for (is_error, text) in pieces {
            let message = text.to_string().into();
            splitter.take(&match is_error {
                true => LogOutput::StdErr { message },
                false => LogOutput::StdOut { message },
            });
        }
        splitter.end();
        let lines = splitter.lines.into_iter();
        lines
            .map(|line| (line.is_error, line.time, line.text))
            .collect()
    }

    #[test]
    fn pieces_become_lines_whoever_cut_them() {
        let at = "2026-11-25T01:17:18.000000001Z";
        let later = "2026-11-25T01:17:19.000000001Z";
        let found = lines(&[
            (false, &format!("{at} one\n")),
            (false, &format!("{at} tw")),
            (true, &format!("{at} oh\r\n")),
            (false, &format!("{later} o\n")),
            (false, &format!("{later} \n{later} no end")),
        ]);
        let line = |is_error, time: &str, text: &str| (is_error, time.to_owned(), text.to_owned());
        assert_eq!(
            found,
            [
                line(false, at, "one"),
                line(true, at, "oh"),
                line(false, at, "two"),
                line(false, later, ""),
                line(false, later, "no end"),
            ]
        );
    }

    #[test]
    fn a_line_without_end_is_shown_in_pieces() {
        let long = "x".repeat(LINE_BYTES_MAX);
        let found = lines(&[(false, &long), (false, &long), (false, "y\n")]);
        assert_eq!(found.len(), 3);
    }
}
