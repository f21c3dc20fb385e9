//! Listening sockets that somebody else holds and passes to this process, as systemd does for a
//! `.socket` unit (see sd_listen_fds(3)). They stay open when this process ends, so
//! clients that connect in between wait in the kernel's queue for the next one.

use super::start_error::{StartError, system};
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;
use std::io;
use std::net::{SocketAddr, TcpListener};

const HINT: &str = "pass TCP sockets alone, as in `ListenStream=0.0.0.0:80` of a .socket unit";

/// Passed sockets with their addresses. Changes the environment, so it must run before the first
/// thread.
pub fn sockets() -> Result<Vec<(SocketAddr, TcpListener)>, StartError> {
    let mut passed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..passed.len() {
        let socket = listening(&mut passed, index).map_err(|error| {
            system(&format!(
                "socket {} of those in LISTEN_FDS cannot be used: {error}\n  hint: {HINT}",
                index + 1
            ))
        })?;
        sockets.extend(socket);
    }
    Ok(sockets)
}

fn listening(passed: &mut ListenFd, index: usize) -> io::Result<Option<(SocketAddr, TcpListener)>> {
    let Some(listener) = passed.take_tcp_listener(index)? else {
        return Ok(None);
    };
    if !socket_acceptconn(&listener)? {
        return Err(io::Error::other("the socket does not listen"));
    }
    listener.set_nonblocking(true)?;
    Ok(Some((listener.local_addr()?, listener)))
}

/// Refuses sockets that no listener uses, whose clients would wait for ever.
pub fn all_used(left: &[(SocketAddr, TcpListener)]) -> Result<(), StartError> {
    let Some((address, _)) = left.first() else {
        return Ok(());
    };
    let wild = match address {
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            format!(
                "; for IPv4 alone, let the unit say `ListenStream=0.0.0.0:{}`",
                v6.port()
            )
        }
        _ => String::new(),
    };
    Err(system(&format!(
        "a socket was passed that listens on {address}, and the configuration does not ask for \
         it\n  hint: set `listen: [\"{address}\"]` or `tls: {{ listen: [\"{address}\"] }}`, or take it out of the .socket unit{wild}"
    )))
}
