//! A listening socket that outlives the edge, as systemd holds it for a `.socket` unit.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use tokio::net::TcpSocket;
use tokio::process::Command;

/// systemd's own is as much as the kernel allows.
const BACKLOG: u32 = 4096;
/// A shell knows the number of the process that it becomes.
const PASS: &str = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";

pub struct Held(TcpListener);

impl Held {
    pub fn bind(address: SocketAddr) -> std::io::Result<Held> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Held(socket.listen(BACKLOG)?.into_std()?))
    }

    /// The same command, with the socket as its descriptor 3.
    pub fn pass_to(&self, command: &Command) -> std::io::Result<Command> {
        let command = command.as_std();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", PASS, "sh"])
            .arg(command.get_program())
            .args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.stdin(OwnedFd::from(self.0.try_clone()?));
        Ok(shell)
    }
}
