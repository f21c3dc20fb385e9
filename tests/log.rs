//! The log of the real binary, when what reads it stalls.

use crate::support::edge::Edge;
use crate::support::until;
use crate::support::upstream::Upstream;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// So small that a start fills it.
const PIPE_BYTES: i32 = 4096;

/// An edge whose log goes to a pipe that nothing reads.
struct Unread {
    edge: Edge,
    child: Child,
    log: Option<ChildStderr>,
}

impl Unread {
    async fn start(services: &str) -> Unread {
        let edge = Edge::prepare(services).with("TIDEGATE_LOG", "trace");
        let file = edge.file();
        let mut command = edge.command(&["run", "-c", file.to_str().expect("text")]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary");
        let log = child.stderr.take().expect("piped");
        fcntl(&log, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).expect("a small pipe");
        edge.listening().await;
        edge.ready().await;
        Unread {
            edge,
            child,
            log: Some(log),
        }
    }

    /// Asks until lines were dropped; each request is answered.
    async fn overflow(&self) {
        let dropped = async || self.edge.metric("tidegate_log_lines_dropped_total").await;
        until("lines are dropped", SOON, || async {
            for _ in 0..100 {
                assert_eq!(self.edge.get("/x").await.status, 200);
            }
            (dropped().await > Some(0.0)).then_some(())
        })
        .await;
    }

    fn terminate(&self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).expect("signalled");
    }

    async fn ended(&mut self) -> Option<i32> {
        let child = std::sync::Mutex::new(&mut self.child);
        until("it ends", SOON, || async {
            child.lock().expect("no panic").try_wait().expect("a child")
        })
        .await
        .code()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn services() -> (Upstream, String) {
    let upstream = Upstream::start("A").await;
    let services = format!(
        "services:\n  legacy:\n    addresses: [\"{}\"]\n    hold: {{ timeout: 0s }}\n    \
         healthcheck: {{ type: http, interval: 100ms, path: /api/v1/_health }}\n",
        upstream.address
    );
    (upstream, services)
}

#[tokio::test]
async fn a_reader_that_stalls_holds_up_neither_requests_nor_healing_nor_the_end() {
    let (upstream, services) = services().await;
    let mut unread = Unread::start(&services).await;
    unread.overflow().await;
    upstream.set_healthy(false);
    let edge = &unread.edge;
    until("the replica is out", SOON, || async {
        (edge.get("/x").await.status == 503).then_some(())
    })
    .await;
    upstream.set_healthy(true);
    edge.ready().await;
    assert_eq!(edge.get("/x").await.status, 200);
    unread.terminate();
    assert_eq!(unread.ended().await, Some(0));
}

#[tokio::test]
async fn a_reader_that_comes_back_hears_how_many_lines_it_lacks_and_the_last_ones() {
    let (_upstream, services) = services().await;
    let mut unread = Unread::start(&services).await;
    unread.overflow().await;
    let log = unread.log.take().expect("not read yet");
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(log).lines().map_while(Result::ok);
        lines.collect::<Vec<_>>()
    });
    unread.edge.ready().await;
    unread.terminate();
    assert_eq!(unread.ended().await, Some(0));
    let lines = reader.join().expect("no panic");
    let place = |words: &str| lines.iter().position(|line| line.contains(words));
    let dropped = place(" lines of this log were dropped").expect("a report");
    assert!(lines[dropped].contains(" WARN ] "), "{}", lines[dropped]);
    assert!(dropped < place("no request is in flight any more").expect("the end"));
}
