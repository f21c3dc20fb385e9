//! What must be right before anything starts.

use super::{StartError, system};
use crate::engine::docker::Docker;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// An engine that needs longer is away, for now.
const ENGINE_ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// Each proxied request takes two descriptors.
const OPEN_FILES: u64 = 1 << 20;
/// For listeners, logs, the engine, the admin API and those who are turned away.
const OTHER_FILES: u64 = 512;
/// What a connection may cost at worst, when its client does not take a large answer; less than a
/// tenth of it when it idles.
const CONNECTION_BYTES: u64 = 1 << 20;
const CONNECTIONS_MIN: u64 = 1024;
const CONNECTIONS_MAX: u64 = 16 << 10;

/// Until a handler is there, HUP and USR1 would end the process.
pub fn install_signal_handlers() -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    let _inside = runtime.enter();
    for kind in [
        SignalKind::hangup(),
        SignalKind::user_defined1(),
        SignalKind::quit(),
    ] {
        // The handler stays when its stream goes.
        drop(signal(kind).map_err(|error| system(&error))?);
    }
    Ok(())
}

/// Connections that may wait to be accepted, as far as `net.core.somaxconn` allows; the standard
/// library asks for 128, and drops what comes beyond, so that it is a second late.
const BACKLOG: i32 = 4096;

/// Two processes must not share a socket, nor control the same containers.
pub fn lock_state_dir(dir: &Path) -> Result<fs::File, StartError> {
    let explain = |error: io::Error| {
        StartError::System(format!(
            "cannot use the state folder {}: {error}\n  hint: set `state_dir` to a folder that \
             this user may write",
            dir.display()
        ))
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(explain)?;
    let path = dir.join("lock");
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(explain)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let _ = file.read_to_string(&mut owner);
            Err(StartError::System(format!(
                "another tidegate (process {}) runs with the state folder {}\n  hint: stop it, or \
                 give this one its own `state_dir` and `instance`",
                owner.trim(),
                dir.display()
            )))
        }
        Err(fs::TryLockError::Error(error)) => Err(explain(error)),
    }
}

/// The process that signed the lock last; `None`: nobody has.
pub fn signed_by(mut lock: &fs::File) -> Option<u32> {
    let mut owner = String::new();
    lock.rewind().ok()?;
    lock.read_to_string(&mut owner).ok()?;
    owner.trim().parse().ok()
}

/// The daemon's identity; `None`: no daemon answers yet.
pub fn engine(instance: &str) -> Result<Option<String>, StartError> {
    // A client of its own: its connections end with this runtime.
    let docker = Docker::connect(instance).map_err(|error| system(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    runtime.block_on(async {
        let asked = tokio::time::timeout(ENGINE_ANSWERS_WITHIN, docker.identity());
        Ok(asked.await.ok().and_then(Result::ok))
    })
}

/// The token from the environment, else the one in the state folder, made when it is missing.
pub fn admin_token(dir: &Path) -> Result<String, StartError> {
    if let Ok(token) = std::env::var("TIDEGATE_ADMIN_TOKEN")
        && !token.trim().is_empty()
    {
        let token = token.trim();
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(StartError::System(
                "TIDEGATE_ADMIN_TOKEN has characters that no header can carry\n  hint: use \
                 letters and digits, without spaces"
                    .to_owned(),
            ));
        }
        return Ok(token.to_owned());
    }
    let path = dir.join("admin-token");
    kept_token(&path)
        .map_err(|error| StartError::System(format!("cannot use {}: {error}", path.display())))
}

fn kept_token(path: &Path) -> io::Result<String> {
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    // The mode above is for a new file; somebody may have written this one by hand.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    let mut token = String::new();
    file.read_to_string(&mut token)?;
    if token.trim().is_empty() {
        token = uuid::Uuid::new_v4().simple().to_string();
        file.rewind()?;
        file.write_all(token.as_bytes())?;
    }
    Ok(token.trim().to_owned())
}

/// Pingora tries to bind for half a minute and then goes on without a listener; we would rather
/// say at once what is wrong. `set_with` is where the address can be changed.
pub fn bind(address: std::net::SocketAddr, set_with: &str) -> Result<TcpListener, StartError> {
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

pub fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = OPEN_FILES.min(hard).max(soft);
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    });
    if let Err(error) = raised {
        log::warn!("cannot raise the limit of open files: {error}");
    }
}

/// How many clients' connections there may be: those that are `wanted`, or as many as memory
/// allows for; fewer when the system grants too few files. Each may take another one to a replica.
pub fn connections(wanted: Option<u32>) -> u32 {
    use nix::sys::resource::{Resource, getrlimit};
    let is_typed = wanted.is_some();
    let wanted = wanted.unwrap_or_else(|| room_for(memory_bytes()));
    let Ok((granted, _)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return wanted;
    };
    let affordable = granted.saturating_sub(OTHER_FILES) / 2;
    let affordable = u32::try_from(affordable).unwrap_or(u32::MAX).max(1);
    if affordable < wanted && is_typed {
        log::warn!(
            "the limit of {granted} open files allows for {affordable} connections at once, \
             not for {wanted}"
        );
    }
    wanted.min(affordable)
}

fn room_for(memory: Option<u64>) -> u32 {
    let room = memory.map_or(CONNECTIONS_MIN, |memory| memory / CONNECTION_BYTES);
    room.clamp(CONNECTIONS_MIN, CONNECTIONS_MAX) as u32
}

/// The machine's memory, or what of it this process may have.
fn memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok()?;
    let line = machine
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let machine = line.split_whitespace().next()?.parse::<u64>().ok()? << 10;
    let allowed = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let allowed = allowed.and_then(|allowed| allowed.trim().parse().ok());
    Some(allowed.unwrap_or(machine).min(machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_machine_has_room_for_fewer_connections() {
        assert_eq!(room_for(Some(512 << 20)), 1024);
        assert_eq!(room_for(Some(4 << 30)), 4096);
        assert_eq!(room_for(Some(1 << 40)), 16384);
        assert_eq!(room_for(None), 1024);
    }
}
