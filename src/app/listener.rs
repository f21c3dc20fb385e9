//! Listening sockets of the proxy and the admin API.

use super::start_error::StartError;
use socket2::SockRef;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Connections that may wait to be accepted, as far as `net.core.somaxconn` allows. The standard
/// library asks for 128, and the kernel drops further ones, whose clients retry a second later.
const BACKLOG: i32 = 4096;

/// Unsent bytes that the kernel keeps for a client, beyond those in flight. By default it keeps up to
/// 4 MiB (`net.ipv4.tcp_wmem`) for each client that does not read, and when these fill
/// `net.ipv4.tcp_mem`, every connection of the machine stalls. Bytes in flight are not limited by
/// this, so that distant clients get the full rate of their line.
const UNSENT_BYTES_MAX: u32 = 128 << 10;

/// Binds at once, or says what is wrong: Pingora would try for half a minute and then go on without a
/// listener. `set_with`: the setting that has the address.
pub fn bind(address: SocketAddr, set_with: &str) -> Result<TcpListener, StartError> {
    let open = || {
        let listener = TcpListener::bind(address)?;
        // Again, for a longer queue.
        rustix::net::listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    let error: io::Error = match open() {
        Ok(listener) => return Ok(listener),
        Err(error) => error,
    };
    let port = address.port();
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program listens on port {port}; `ss -ltnp 'sport = :{port}'` names it; stop \
             it, or choose another address with {set_with}"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE; run as root, or \
             choose a port such as 8080 with {set_with} (asked for {port})"
        ),
        _ => format!("choose an address of this machine with {set_with}"),
    };
    Err(StartError::System(format!(
        "cannot listen on {address}: {error}\n  hint: {hint}"
    )))
}

/// Limits unsent bytes; accepted connections inherit the limit.
pub fn bound_unsent(listener: &TcpListener) {
    if let Err(error) = SockRef::from(listener).set_tcp_notsent_lowat(UNSENT_BYTES_MAX) {
        log::warn!("cannot limit what the kernel keeps for clients that do not read: {error}");
    }
}
