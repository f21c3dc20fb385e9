//! The plugin itself.

use super::line::{Entry, Format};
use crate::plugin::prelude::log_writer::{Output, Queue, QueueEnd, Writer};
use crate::plugin::prelude::*;
use prometheus::IntCounter;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use tokio::signal::unix::{SignalKind, signal};

/// Waking the writer for each line would cost more than the writing.
const GATHERS_FOR: Duration = Duration::from_millis(10);

/// Writes a line for every finished request, on a thread of its own.
///
/// Requests never wait for the log: when the disk is too slow, lines are left out and counted in
/// `tidegate_access_log_dropped_total`. A line holds the path with its query, and no header but
/// `Host`; keep secrets out of queries. USR1 reopens the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// `json`, one object on each line, or `text`, similar to the combined format of web servers.
    #[serde(default)]
    format: Format,
    /// The file of the log; without it, lines go to the standard output.
    path: Option<PathBuf>,
}

impl Plugin for AccessLog {
    const NAME: &'static str = "access-log";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        if self
            .path
            .as_ref()
            .is_some_and(|path| path.as_os_str().is_empty())
        {
            return Err(PluginError::new("`path` is empty"));
        }
        let dropped = IntCounter::new(
            "tidegate_access_log_dropped_total",
            "Lines that the access log left out because the disk was too slow or full.",
        );
        let dropped = dropped.expect("ours and valid");
        let metrics = prometheus::Registry::new();
        let registered = metrics.register(Box::new(dropped.clone()));
        registered.expect("it is the only one");
        hooks.metrics(metrics);

        let (queue, waiting) = Queue::new(dropped.clone());
        let queue = Arc::new(queue);
        let output = self.path.map_or_else(Output::stdout, Output::file);
        let writer = Writer::new(output, GATHERS_FOR, dropped);
        hooks.background(run(Arc::downgrade(&queue), waiting, writer));
        let format = self.format;
        hooks.observer(Recorder { queue, format });
        Ok(())
    }
}

struct Recorder {
    queue: Arc<Queue<Entry>>,
    format: Format,
}

impl Observer for Recorder {
    fn request(&self, record: &Record<'_>) {
        self.queue.push(Entry::new(record, self.format));
    }

    fn flush(&self) {
        self.queue.flush();
    }
}

/// Starts the writer's thread, then passes USR1 on to it. The thread outlives this task: until the
/// [`Recorder`] is dropped, the thread writes lines of requests in flight.
async fn run(queue: Weak<Queue<Entry>>, waiting: QueueEnd<Entry>, writer: Writer<Entry>) {
    let usr1 = signal(SignalKind::user_defined1());
    let Some(started) = queue
        .upgrade()
        .map(|queue| queue.start("access-log", writer, waiting))
    else {
        return;
    };
    if let Err(error) = started {
        log::error!("access-log: no lines are written: cannot start a thread: {error}");
        return;
    }
    let guard = FlushOnDrop(queue);
    let mut usr1 = match usr1 {
        Ok(usr1) => usr1,
        Err(error) => {
            log::error!("access-log: USR1 does not reopen the file: {error}");
            return std::future::pending().await;
        }
    };
    while usr1.recv().await.is_some() {
        log_writer::reopen(&guard.0).await;
    }
}

/// The end of the background task may precede the end of the process.
struct FlushOnDrop(Weak<Queue<Entry>>);

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        if let Some(queue) = self.0.upgrade() {
            queue.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log_writer::QUEUE_LINES_MAX;
    use std::fs;
    use std::path::Path;

    fn install(path: &Path) -> testing::Installed {
        let yaml = format!("{{ format: text, path: {} }}", path.display());
        testing::install::<AccessLog>(&yaml).unwrap()
    }

    fn request(installed: &testing::Installed, target: &str) {
        let exchange = testing::routed();
        let record = Record {
            target,
            ..testing::record(&exchange)
        };
        installed.observers[0].request(&record);
    }

    fn dropped(installed: &testing::Installed) -> String {
        let text = testing::metrics(installed);
        let name = "\ntidegate_access_log_dropped_total ";
        text.split(name).nth(1).unwrap().trim().to_string()
    }

    /// Runs the background task until it has started its thread.
    async fn start(installed: &mut testing::Installed) -> tokio::task::JoinHandle<()> {
        let task = tokio::spawn(installed.background.remove(0));
        tokio::task::yield_now().await;
        task
    }

    #[tokio::test]
    async fn every_line_is_written_by_the_time_the_plugin_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut installed = install(&path);
        request(&installed, "/before-the-start");
        let task = start(&mut installed).await;
        for _ in 0..1_000 {
            request(&installed, "/later");
        }
        drop(installed);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.lines().next().unwrap().contains("/before-the-start"));
        assert_eq!(text.lines().count(), 1_001);
        task.abort();
    }

    #[tokio::test]
    async fn every_line_is_written_by_the_time_the_background_task_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut installed = install(&path);
        let task = start(&mut installed).await;
        request(&installed, "/one");
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[tokio::test]
    async fn after_usr1_lines_go_to_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let old = folder.path().join("access.log.1");
        let mut installed = install(&path);
        let task = start(&mut installed).await;
        request(&installed, "/old");
        while fs::read_to_string(&path).unwrap_or_default().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        fs::rename(&path, &old).unwrap();
        nix::sys::signal::raise(nix::sys::signal::SIGUSR1).unwrap();
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        request(&installed, "/new");
        drop(installed);
        assert!(fs::read_to_string(&old).unwrap().contains("/old"));
        let new = fs::read_to_string(&path).unwrap();
        assert!(new.contains("/new") && !new.contains("/old"), "{new}");
        task.abort();
    }

    #[test]
    fn lines_that_nobody_takes_are_counted_and_nobody_waits() {
        let installed = install(Path::new("/nowhere/access.log"));
        for _ in 0..QUEUE_LINES_MAX + 5 {
            request(&installed, "/");
        }
        assert_eq!(dropped(&installed), "5");
    }

    #[tokio::test]
    async fn lines_that_the_disk_refuses_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut installed = install(folder.path());
        let task = start(&mut installed).await;
        for _ in 0..3 {
            request(&installed, "/");
        }
        task.abort();
        let _ = task.await;
        assert_eq!(dropped(&installed), "3");
    }

    #[test]
    fn bad_values_are_explained() {
        for (yaml, problem) in [
            (
                "format: xml",
                "unknown variant `xml`, expected `json` or `text`",
            ),
            ("path: ''", "`path` is empty"),
            (
                "file: x",
                "unknown field `file`, expected `format` or `path`",
            ),
        ] {
            let error = testing::install::<AccessLog>(yaml).err().expect(yaml);
            assert!(error.contains(problem), "{yaml:?}: {error}");
        }
    }
}
