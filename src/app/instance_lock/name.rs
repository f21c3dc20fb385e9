//! The name half of the lock, in the kernel's namespace of abstract sockets.

use super::refusal::LockRefusal;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt,
};
use nix::unistd::{Uid, getuid};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

/// Binds the name; `None`: a stranger has it. `docker_socket`: access to it is access to all
/// containers.
pub fn bind(name: &str, docker_socket: Option<&Path>) -> Result<Option<OwnedFd>, LockRefusal> {
    let bound =
        SocketAddr::from_abstract_name(name).and_then(|address| UnixListener::bind_addr(&address));
    match bound {
        Ok(listener) => Ok(Some(listener.into())),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => match holder(name) {
            Some((process, user)) if may_control(process, user, docker_socket) => {
                Err(LockRefusal::Locked(process.to_string()))
            }
            _ => Ok(None),
        },
        Err(error) => Err(LockRefusal::Failed(error.to_string())),
    }
}

/// Whether a process of this user could have containers run at all.
fn may_control(process: i32, user: Uid, docker_socket: Option<&Path>) -> bool {
    if user.is_root() || user == getuid() {
        return true;
    }
    let socket = docker_socket.map(fs::metadata);
    let Some(Ok(socket)) = socket else {
        return false;
    };
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    let groups = groups(&status.unwrap_or_default());
    user.as_raw() == socket.uid() || groups.contains(&socket.gid())
}

/// Process and user that hold a name; `None`: they cannot be known.
fn holder(name: &str) -> Option<(i32, Uid)> {
    // A holder that does not accept must not block us.
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let ours = socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
    let address = UnixAddr::new_abstract(name.as_bytes()).ok()?;
    connect(ours.as_raw_fd(), &address).ok()?;
    let theirs = getsockopt(&ours, sockopt::PeerCredentials).ok()?;
    Some((theirs.pid(), Uid::from_raw(theirs.uid())))
}

/// Groups of a process, its own first, from its status file.
fn groups(status: &str) -> Vec<u32> {
    let of = |line: &str| {
        let list = line.strip_prefix("Gid:").or(line.strip_prefix("Groups:"))?;
        Some(
            list.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<u32>>(),
        )
    };
    status.lines().filter_map(of).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_hides_its_holder_is_a_strangers() {
        let name = format!("tidegate hidden-{}", std::process::id());
        assert_eq!(holder(&name), None);
        let address = UnixAddr::new_abstract(name.as_bytes()).unwrap();
        let none = SockFlag::empty();
        let stranger = socket(AddressFamily::Unix, SockType::Stream, none, None).unwrap();
        nix::sys::socket::bind(stranger.as_raw_fd(), &address).unwrap();
        assert_eq!(holder(&name), None, "the socket does not listen");
        drop(stranger);
        let ours = SocketAddr::from_abstract_name(&name).unwrap();
        let _ours = UnixListener::bind_addr(&ours).unwrap();
        let own = (std::process::id() as i32, getuid());
        assert_eq!(holder(&name), Some(own));
    }

    #[test]
    fn the_groups_of_a_process_are_all_of_them() {
        let status = "Name:\ttidegate\nGid:\t999\t999\t999\t999\nGroups:\t27 998 \n";
        assert_eq!(groups(status), [999, 999, 999, 999, 27, 998]);
        assert!(groups("").is_empty());
    }
}
