//! The process's own log: what `log::…!` says, on the standard error.

use super::dropped::dropped_log_lines;
use super::message::Line;
use super::queue::Queue;
use super::writer::{Output, Writer};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::panic;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A line as it was formatted by the thread that logged it.
struct Text(Vec<u8>);

impl Line for Text {
    fn bytes(&self) -> usize {
        size_of::<Text>() + self.0.capacity()
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

struct Logger {
    inner: env_logger::Logger,
    queue: Arc<Queue<Text>>,
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &log::Record<'_>) {
        self.inner.log(record);
    }

    /// Waits until everything said before is written, for a second at most.
    fn flush(&self) {
        self.queue.flush();
    }
}

/// Where `env_logger` puts each line, whole.
struct Pipe(Arc<Queue<Text>>);

impl Write for Pipe {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(Text(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `TIDEGATE_LOG` sets what is shown, as in `debug` or `tidegate=debug,pingora=warn`.
pub fn start() -> io::Result<()> {
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
        .target(env_logger::Target::Pipe(Box::new(Pipe(Arc::clone(&queue)))))
        .build();
    let level = inner.filter();
    if log::set_boxed_logger(Box::new(Logger { inner, queue })).is_ok() {
        log::set_max_level(level);
    }
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// As the standard library prints it, which would wait for the reader.
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
