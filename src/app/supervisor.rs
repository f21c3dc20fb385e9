//! Notifications to the supervisor by systemd's protocol (see sd_notify(3)): lines of text in a
//! datagram to the socket in NOTIFY_SOCKET.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Timeout of a notification, for a supervisor that does not read.
const SEND_WITHIN: Duration = Duration::from_secs(1);
/// Time beyond the drain timeout, at which the process exits in any case.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

/// The supervisor of this process, if there is one. Passed on in an upgrade.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Supervisor {
    /// A path, or `@` and a name in the kernel's namespace.
    socket: Option<String>,
    /// Interval of the watchdog, in microseconds.
    watchdog: Option<u64>,
}

impl Supervisor {
    /// Supervisor in the environment of process `pid`.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>, pid: u32) -> Supervisor {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let of_another = variable("WATCHDOG_PID").is_some_and(|named| named != pid.to_string());
        let watchdog = variable("WATCHDOG_USEC").and_then(|usec| usec.parse().ok());
        Supervisor {
            socket: variable("NOTIFY_SOCKET"),
            watchdog: watchdog.filter(|usec| *usec > 0 && !of_another),
        }
    }

    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// Reports that connections are accepted.
    pub fn ready(&self) {
        self.notify("READY=1");
    }

    pub fn reloading(&self) {
        // systemd tells reloads apart by this time.
        let now = clock_gettime(ClockId::Monotonic);
        let now = now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000;
        self.notify(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    pub fn reloaded(&self, is_new: bool) {
        let status = match is_new {
            true => "",
            false => "the file was refused; the former configuration is in use",
        };
        self.notify(&format!("READY=1\nSTATUS={status}"));
    }

    /// Reports the shutdown, in which requests in flight may take as long as `drain`.
    pub fn stopping(&self, drain: Duration) {
        let within = (drain + LEAVE_WITHIN).as_micros();
        self.notify(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={within}"));
    }

    /// Reports that `pid` serves from now on.
    pub fn handed_over(&self, pid: u32) {
        self.notify(&format!("MAINPID={pid}"));
    }

    /// Feeds the watchdog twice per interval, as long as `alive` resolves.
    pub async fn watched(self, alive: impl AsyncFn()) {
        let Some(watchdog) = self.watchdog else {
            return;
        };
        loop {
            alive().await;
            self.notify("WATCHDOG=1");
            tokio::time::sleep(Duration::from_micros(watchdog / 2)).await;
        }
    }

    fn notify(&self, message: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = send(socket, message)
        {
            let first = message.lines().next().unwrap_or_default();
            log::warn!("cannot notify the supervisor at {socket} of {first}: {error}");
        }
    }
}

fn send(socket: &str, message: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    datagram.set_write_timeout(Some(SEND_WITHIN))?;
    datagram.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn told_by(variables: &[(&str, &str)]) -> Supervisor {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Supervisor::from_variables(find, 7)
    }

    #[test]
    fn the_watchdog_is_heeded_when_it_is_ours() {
        assert!(!told_by(&[]).is_there());
        assert!(!told_by(&[("NOTIFY_SOCKET", "")]).is_there());
        let of = |more: &[(&str, &str)]| {
            let all = [&[("NOTIFY_SOCKET", "/run/x"), ("WATCHDOG_USEC", "9")], more].concat();
            told_by(&all).watchdog
        };
        assert_eq!(of(&[]), Some(9));
        assert_eq!(of(&[("WATCHDOG_PID", "7")]), Some(9));
        assert_eq!(of(&[("WATCHDOG_PID", "8")]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_control_loop_that_hangs_is_not_vouched_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let hears = UnixDatagram::bind(&path).unwrap();
        hears.set_nonblocking(true).unwrap();
        let heard = || {
            let mut text = [0; 64];
            let mut count = 0;
            while let Ok(length) = hears.recv(&mut text) {
                assert_eq!(&text[..length], b"WATCHDOG=1");
                count += 1;
            }
            count
        };
        let supervisor = told_by(&[
            ("NOTIFY_SOCKET", path.to_str().unwrap()),
            ("WATCHDOG_USEC", "2000000"),
        ]);
        let hangs = Cell::new(false);
        let alive = async || {
            if hangs.get() {
                std::future::pending::<()>().await;
            }
        };
        let watched = supervisor.watched(alive);
        tokio::pin!(watched);
        let mut after = async |time| {
            let _ = tokio::time::timeout(time, &mut watched).await;
            heard()
        };
        assert_eq!(after(Duration::from_millis(9_500)).await, 10);
        hangs.set(true);
        assert_eq!(after(Duration::from_secs(60)).await, 0);
    }
}
