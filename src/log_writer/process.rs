//! The process's own log: what `log::…!` says, on the standard error.

use super::dropped::dropped_log_lines;
use super::message::Line;
use super::queue::Queue;
use super::writer::{Output, Writer};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A line as it was formatted by the thread that logged it.
struct FormattedLine(Vec<u8>);

impl Line for FormattedLine {
    fn bytes(&self) -> usize {
        size_of::<FormattedLine>() + self.0.capacity()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn report_dropped(count: u64, out: &mut Vec<u8>) {
        let now = humantime::format_rfc3339_millis(SystemTime::now());
        let _ = writeln!(
            out,
            "[{now} WARN ] {count} lines of this log were dropped: nothing read them in time"
        );
    }

    /// Nothing would read that either; the metric counts.
    fn report_failure(_: &str, _: &io::Error) {}
}

/// Spells out what a terminal would obey.
pub type Escape = fn(&str) -> Cow<'_, str>;

struct Logger {
    inner: env_logger::Logger,
    /// Whether a terminal shows the log, whose lines quote containers and the engine.
    escape: Option<Escape>,
    queue: Arc<Queue<FormattedLine>>,
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &log::Record<'_>) {
        let Some(escape) = self.escape.filter(|_| self.inner.matches(record)) else {
            return self.inner.log(record);
        };
        let text = record.args().to_string();
        let args = escape(&text);
        self.inner
            .log(&record.to_builder().args(format_args!("{args}")).build());
    }

    /// Waits until everything said before is written, for a second at most.
    fn flush(&self) {
        self.queue.flush();
    }
}

/// Target of `env_logger`, which writes each line whole.
struct QueuePipe(Arc<Queue<FormattedLine>>);

impl Write for QueuePipe {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(FormattedLine(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `TIDEGATE_LOG` sets what is shown, as in `debug` or `tidegate=debug,pingora=warn`.
///
/// Each message goes through `escape` when the standard error is a terminal.
pub fn start(escape: Escape) -> io::Result<()> {
    let (queue, waiting) = Queue::new(dropped_log_lines().clone());
    let queue = Arc::new(queue);
    let writer = Writer::new(
        Output::stderr(),
        Duration::ZERO,
        dropped_log_lines().clone(),
    );
    queue.start("log", writer, waiting)?;
    // Pingora's proxy has a line for each client that leaves in the midst of a request, and its
    // connectors one without any address for each idle connection that ended as it was wanted.
    let default = "tidegate=info,pingora_proxy=off,pingora_core::connectors=off,warn";
    let filter = env_logger::Env::new().filter_or("TIDEGATE_LOG", default);
    let inner = env_logger::Builder::new()
        .write_style(anstream::AutoStream::choice(&io::stderr()).into())
        .parse_env(filter)
        .format_timestamp_millis()
        .format_target(false)
        // At that level bollard shows the environment of every container, secrets included.
        .filter_module("bollard", log::LevelFilter::Warn)
        .target(env_logger::Target::Pipe(Box::new(QueuePipe(Arc::clone(
            &queue,
        )))))
        .build();
    let level = inner.filter();
    let escape = io::stderr().is_terminal().then_some(escape);
    let logger = Logger {
        inner,
        escape,
        queue,
    };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Prints a panic as the standard library does, which would wait for the reader.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => log::error!("thread '{name}' {panic}\n{backtrace}"),
        _ => log::error!("thread '{name}' {panic}"),
    }
    if name == "main" {
        // The process ends with this thread.
        log::logger().flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::{Level, Log, Record};
    use std::sync::Mutex;

    struct Seen(Arc<Mutex<Vec<u8>>>);

    impl Write for Seen {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(message: &str, escape: Option<Escape>) -> String {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let target = Box::new(Seen(Arc::clone(&seen)));
        let inner = env_logger::Builder::new()
            .filter_level(log::LevelFilter::Info)
            .write_style(env_logger::WriteStyle::Always)
            .target(env_logger::Target::Pipe(target))
            .build();
        let (queue, _waiting) = Queue::new(dropped_log_lines().clone());
        let logger = Logger {
            inner,
            escape,
            queue: Arc::new(queue),
        };
        let record = format_args!("{message}");
        logger.log(&Record::builder().args(record).level(Level::Warn).build());
        let seen = seen.lock().unwrap();
        String::from_utf8(seen.clone()).unwrap()
    }

    #[test]
    fn a_terminal_gets_messages_of_containers_spelled_out() {
        let escape: Escape = |text| Cow::Owned(text.replace('\x1b', "\\x1b"));
        let message = "image \x1b[2J: not found";
        assert!(shown(message, Some(escape)).contains("image \\x1b[2J: not found"));
        assert!(shown(message, None).contains(message));
    }
}
