//! Listening sockets of the proxy and the admin API.

use super::start_error::StartError;
use socket2::SockRef;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Connections that may wait to be accepted, as far as `net.core.somaxconn` allows; the standard
/// library asks for 128, and drops what comes beyond, so that it is a second late.
const BACKLOG: i32 = 4096;

/// What the kernel keeps for a client beyond what is on its way to it. Left alone it keeps up to
/// 4 MiB (`net.ipv4.tcp_wmem`) for each that does not read, and when all of them fill
/// `net.ipv4.tcp_mem`, every connection of the machine stands still. What is on its way is not
/// bounded by this, so that a client far away gets all that its line carries.
const UNSENT_BYTES_MAX: u32 = 128 << 10;

/// Pingora tries to bind for half a minute and then goes on without a listener; we would rather
/// say at once what is wrong. `set_with` is where the address can be changed.
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

/// Those who are accepted inherit it.
pub fn bound_unsent(listener: &TcpListener) {
    if let Err(error) = SockRef::from(listener).set_tcp_notsent_lowat(UNSENT_BYTES_MAX) {
        log::warn!("cannot bound what the kernel keeps for those who do not read: {error}");
    }
}
